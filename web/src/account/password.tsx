/** The password: set by whoever has none yet, changed with the present one by everybody else. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, write } from '../api/client.ts';
import { accountQuery, sessionsQuery } from '../api/queries.ts';
import type { Account } from '../api/types.ts';
import { NewPassword } from '../sign-in/new-password.tsx';
import { Button } from '../ui/button.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { Field, Input } from '../ui/field.tsx';
import { Section } from '../ui/page.tsx';
import { notify } from '../ui/toast.tsx';
import { Box } from './box.tsx';

export function Password({ account }: { account: Account }): ReactNode {
  const [open, setOpen] = useState(false);
  const { email, has_password: has } = account;
  return (
    <Section title="E-mail address and password">
      <Box>
        <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
          <p className="min-w-0 flex-1 basis-56 break-words">
            {email ?? (
              <span className="text-ink-2">No address yet: nobody but you can tell who you are.</span>
            )}
            <span className="block text-ink-3 text-sm">{has ? 'With a password' : 'Without a password'}</span>
          </p>
          {!open && (
            <Button onClick={() => setOpen(true)}>{has ? 'Change the password' : 'Set a password'}</Button>
          )}
        </div>
        {open && <Form account={account} onClose={() => setOpen(false)} />}
      </Box>
    </Section>
  );
}

function Form({ account, onClose }: { account: Account; onClose: () => void }): ReactNode {
  const queries = useQueryClient();
  const [email, setEmail] = useState('');
  const [current, setCurrent] = useState('');
  const [wanted, setWanted] = useState('');
  const change = useMutation({
    mutationFn: () =>
      write(() =>
        api.POST('/api/v1/account/password', {
          body: {
            new_password: wanted,
            current_password: account.has_password ? current : undefined,
            email: account.email ? undefined : email.trim(),
          },
        }),
      ),
    onSuccess: () => {
      notify('Your password is set. Your other sessions have ended.');
      void queries.invalidateQueries({ queryKey: accountQuery.queryKey });
      void queries.invalidateQueries({ queryKey: sessionsQuery.queryKey });
      onClose();
    },
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    change.mutate();
  }
  return (
    <form onSubmit={submit} className="max-w-sm space-y-3 border-line border-t pt-3">
      {account.email ? (
        <input type="hidden" autoComplete="username" value={account.email} readOnly />
      ) : (
        <Field label="E-mail address" hint="You sign in with it from now on; it cannot be changed later">
          <Input
            type="email"
            required
            autoFocus
            autoComplete="username"
            className="h-9"
            value={email}
            onChange={e => setEmail(e.target.value)}
          />
        </Field>
      )}
      {account.has_password && (
        <Field label="Present password">
          <Input
            type="password"
            required
            autoFocus
            autoComplete="current-password"
            className="h-9"
            value={current}
            onChange={e => setCurrent(e.target.value)}
          />
        </Field>
      )}
      <NewPassword label="New password" value={wanted} onChange={setWanted} />
      {change.error && <ProblemNote error={change.error} />}
      <div className="flex gap-2">
        <Button type="submit" look="primary" disabled={change.isPending}>
          Set the password
        </Button>
        <Button onClick={onClose}>Discard</Button>
      </div>
    </form>
  );
}
