/** Codes of an authenticator app as a second factor: set up in two steps, with backup codes for a lost phone. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, write } from '../api/client.ts';
import { accountQuery, sessionsQuery } from '../api/queries.ts';
import type { Account } from '../api/types.ts';
import { Button } from '../ui/button.tsx';
import { Command, CopyButton } from '../ui/copy.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { Field, Input } from '../ui/field.tsx';
import { Section } from '../ui/page.tsx';
import { notify } from '../ui/toast.tsx';
import { Box } from './box.tsx';
import { QrCode } from './qr-code.tsx';
import { useRenewedSession } from './renewed-session.ts';

type Doing = 'nothing' | 'begin' | 'remove' | 'codes';
interface Begun {
  uri: string;
  secret: string;
  backup_codes: string[];
}

export function SecondFactor({ account }: { account: Account }): ReactNode {
  const [doing, setDoing] = useState<Doing>('nothing');
  const [begun, setBegun] = useState<Begun | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const done = () => setDoing('nothing');
  const { second_factor: on } = account;
  return (
    <Section title="Second factor">
      <Box>
        <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
          <p className="min-w-0 flex-1 basis-56">
            {on ? 'On: signing in with your password needs a code of your authenticator app.' : 'Off'}
          </p>
          {doing === 'nothing' && !begun && (
            <div className="flex flex-wrap gap-2">
              {on ? (
                <>
                  <Button onClick={() => setDoing('codes')}>New backup codes</Button>
                  <Button onClick={() => setDoing('remove')}>Turn it off</Button>
                </>
              ) : (
                <Button
                  because={
                    account.has_password ? null : 'Set a password first: this is the second step after it.'
                  }
                  onClick={() => setDoing('begin')}
                >
                  Set it up
                </Button>
              )}
            </div>
          )}
        </div>
        {doing === 'begin' && (
          <AskPassword
            action="Go on"
            onClose={done}
            send={password => write(() => api.POST('/api/v1/account/second-factor', { body: { password } }))}
            onDone={answer => {
              setBegun(answer);
              done();
            }}
          />
        )}
        {doing === 'remove' && (
          <AskPassword
            action="Turn it off"
            onClose={done}
            renews
            send={password =>
              write(() => api.POST('/api/v1/account/second-factor/remove', { body: { password } }))
            }
            onDone={() => {
              notify('Signing in needs no second factor any more.');
              done();
            }}
          />
        )}
        {doing === 'codes' && (
          <AskPassword
            action="Make new codes"
            onClose={done}
            send={password =>
              write(() => api.POST('/api/v1/account/second-factor/backup-codes', { body: { password } }))
            }
            onDone={answer => {
              setCodes(answer.backup_codes);
              done();
            }}
          />
        )}
        {begun && <Confirm begun={begun} onDone={() => setBegun(null)} onCodes={setCodes} />}
        {codes && <BackupCodes codes={codes} onClose={() => setCodes(null)} />}
      </Box>
    </Section>
  );
}

function AskPassword<T>({
  action,
  send,
  onDone,
  onClose,
  renews,
}: {
  action: string;
  send: (password: string) => Promise<T>;
  onDone: (answer: T) => void;
  onClose: () => void;
  renews?: boolean;
}): ReactNode {
  const renew = useRenewedSession();
  const queries = useQueryClient();
  const [password, setPassword] = useState('');
  const ask = useMutation({
    mutationFn: () => send(password),
    onSuccess: async answer => {
      if (renews) await renew();
      await queries.invalidateQueries({ queryKey: accountQuery.queryKey });
      onDone(answer);
    },
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    ask.mutate();
  }
  return (
    <form onSubmit={submit} className="max-w-sm space-y-3 border-line border-t pt-3">
      <Field label="Your password">
        <Input
          type="password"
          required
          autoFocus
          autoComplete="current-password"
          className="h-9"
          value={password}
          onChange={e => setPassword(e.target.value)}
        />
      </Field>
      {ask.error && <ProblemNote error={ask.error} />}
      <div className="flex gap-2">
        <Button type="submit" look="primary" disabled={ask.isPending}>
          {action}
        </Button>
        <Button onClick={onClose}>Discard</Button>
      </div>
    </form>
  );
}

function Confirm({
  begun,
  onDone,
  onCodes,
}: {
  begun: Begun;
  onDone: () => void;
  onCodes: (codes: string[]) => void;
}): ReactNode {
  const renew = useRenewedSession();
  const queries = useQueryClient();
  const [code, setCode] = useState('');
  const confirm = useMutation({
    mutationFn: () =>
      write(() => api.POST('/api/v1/account/second-factor/confirm', { body: { code: code.trim() } })),
    onSuccess: async () => {
      await renew();
      void queries.invalidateQueries({ queryKey: accountQuery.queryKey });
      void queries.invalidateQueries({ queryKey: sessionsQuery.queryKey });
      onCodes(begun.backup_codes);
      onDone();
    },
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    confirm.mutate();
  }
  return (
    <div className="flex flex-wrap gap-5 border-line border-t pt-4">
      <QrCode text={begun.uri} label="QR code of the secret" />
      <form onSubmit={submit} className="min-w-0 flex-1 basis-64 space-y-3">
        <p className="text-ink-2">
          Scan this with your authenticator app, or{' '}
          <a href={begun.uri} className="text-accent underline">
            open it there
          </a>{' '}
          when this is the phone. By hand:
        </p>
        <Command text={begun.secret} className="py-1.5 pl-3 [&_code]:break-all" />
        <Field label="Code that the app shows now">
          <Input
            required
            inputMode="numeric"
            autoComplete="one-time-code"
            pattern="\s*[0-9]{6}\s*"
            className="h-9 max-w-40 font-mono"
            value={code}
            onChange={e => setCode(e.target.value)}
          />
        </Field>
        {confirm.error && <ProblemNote error={confirm.error} />}
        <div className="flex gap-2">
          <Button type="submit" look="primary" disabled={confirm.isPending}>
            Turn it on
          </Button>
          <Button onClick={onDone}>Discard</Button>
        </div>
      </form>
    </div>
  );
}

function BackupCodes({ codes, onClose }: { codes: string[]; onClose: () => void }): ReactNode {
  return (
    <div className="space-y-3 border-line border-t pt-3">
      <p>
        <strong className="font-medium">Keep these backup codes</strong> where you keep what is dear: each
        signs you in once when the phone is lost. They are shown this once.
      </p>
      <div className="flex items-start gap-2 rounded-md bg-sunken p-3">
        <ul className="grid flex-1 grid-cols-[repeat(auto-fill,minmax(8rem,1fr))] gap-x-4 gap-y-1 font-mono text-sm">
          {codes.map(code => (
            <li key={code}>{code}</li>
          ))}
        </ul>
        <CopyButton text={codes.join('\n')} name="Copy the codes" />
      </div>
      <Button onClick={onClose}>I have them</Button>
    </div>
  );
}
