/** Passkeys: added on the device that one sits at, removed when the device is gone. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Fingerprint } from 'lucide-react';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, write } from '../api/client.ts';
import { passkeysQuery, sessionsQuery, signInMethodsQuery } from '../api/queries.ts';
import type { Passkey } from '../api/types.ts';
import { addPasskey, browserHasPasskeys, isTurnedAway } from '../sign-in/passkey.ts';
import { Button } from '../ui/button.tsx';
import Confirm from '../ui/confirm.tsx';
import { ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { Field, Input } from '../ui/field.tsx';
import { Section } from '../ui/page.tsx';
import { When } from '../ui/time.tsx';
import { notify } from '../ui/toast.tsx';
import { Box } from './box.tsx';

export function Passkeys(): ReactNode {
  const passkeys = useQuery(passkeysQuery);
  const { data: methods } = useQuery(signInMethodsQuery);
  const [adding, setAdding] = useState(false);
  const because = !browserHasPasskeys
    ? 'This browser has no passkeys at this address.'
    : methods && !methods.passkeys
      ? 'Browsers allow passkeys only over https, or by the name localhost.'
      : null;
  return (
    <Section
      title="Passkeys"
      side={
        !adding && (
          <Button size="small" because={because} onClick={() => setAdding(true)}>
            <Fingerprint /> Add a passkey
          </Button>
        )
      }
    >
      <Box>
        {passkeys.isPending && <SkeletonRows rows={1} className="border-none" />}
        {passkeys.isError && <ProblemNote error={passkeys.error} onRetry={() => void passkeys.refetch()} />}
        {passkeys.data?.length === 0 && !adding && (
          <p className="text-ink-2">
            None. With one you sign in by finger, face or PIN of your device, and need no password.
          </p>
        )}
        {passkeys.data && passkeys.data.length > 0 && (
          <ul className="-my-1 divide-y divide-line">
            {passkeys.data.map(passkey => (
              <Row key={passkey.id} passkey={passkey} />
            ))}
          </ul>
        )}
        {adding && <Form onClose={() => setAdding(false)} />}
      </Box>
    </Section>
  );
}

function Row({ passkey }: { passkey: Passkey }): ReactNode {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const name = passkey.name ?? 'A passkey';
  const remove = useMutation({
    mutationFn: () =>
      write(() => api.DELETE('/api/v1/account/passkeys/{id}', { params: { path: { id: passkey.id } } })),
    onError: error => notify(error.message, 'failed'),
    onSettled: () => queries.invalidateQueries({ queryKey: passkeysQuery.queryKey }),
  });
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1 py-1.5">
      <span className="min-w-0 flex-1 basis-40 break-words font-medium">{name}</span>
      <span className="text-ink-3 text-sm">
        {passkey.synced ? 'on several devices' : 'on one device'}
        {passkey.created_at && (
          <>
            , since <When time={passkey.created_at} />
          </>
        )}
      </span>
      <Button size="small" look="quiet" aria-label={`Remove ${name}`} onClick={() => setAsking(true)}>
        Remove
      </Button>
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        title={`Remove ${name}?`}
        description="It signs nobody in any more. Your device may go on offering it until you delete it there too."
        confirm="Remove the passkey"
        onConfirm={() => remove.mutate()}
      />
    </li>
  );
}

function Form({ onClose }: { onClose: () => void }): ReactNode {
  const queries = useQueryClient();
  const [name, setName] = useState('');
  const add = useMutation({
    mutationFn: () => addPasskey(name.trim()),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: passkeysQuery.queryKey });
      void queries.invalidateQueries({ queryKey: sessionsQuery.queryKey });
      onClose();
    },
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    add.mutate();
  }
  return (
    <form onSubmit={submit} className="max-w-sm space-y-3">
      <Field label="Name" hint="By which you will know the device">
        <Input
          required
          autoFocus
          maxLength={60}
          placeholder="Laptop"
          className="h-9"
          value={name}
          onChange={e => setName(e.target.value)}
        />
      </Field>
      {add.error && !isTurnedAway(add.error) && <ProblemNote error={add.error} />}
      {isTurnedAway(add.error) && (
        <p role="alert" className="text-ink-2 text-sm">
          The device was not asked to the end. Nothing has changed.
        </p>
      )}
      <div className="flex gap-2">
        <Button type="submit" look="primary" disabled={add.isPending}>
          Ask this device
        </Button>
        <Button onClick={onClose}>Discard</Button>
      </div>
    </form>
  );
}
