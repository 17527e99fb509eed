/** An invitation: what it offers, and accepting it as somebody new or with the account that one is signed in with. */
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, getMe, value, write } from '../api/client.ts';
import { Button } from '../ui/button.tsx';
import { ProblemNote, Skeleton } from '../ui/feedback.tsx';
import { Field, Input } from '../ui/field.tsx';
import { Frame } from './frame.tsx';
import { NewPassword } from './new-password.tsx';
import { useEntrance } from './sign-in-page.tsx';
import { useLinkToken } from './token.ts';

export function InvitationPage(): ReactNode {
  const token = useLinkToken();
  const offer = useQuery({
    queryKey: ['invitation', token],
    enabled: token !== null,
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: () => value(api.POST('/api/v1/auth/invitation', { body: { token: token ?? '' } })),
  });
  const isIn = useQuery({
    queryKey: ['is-in'],
    retry: false,
    queryFn: () =>
      getMe().then(
        () => true,
        () => false,
      ),
  });
  if (!token)
    return (
      <Frame title="Invitation">
        <p className="text-ink-2">
          Open the whole link that you were given: it ends in a long code after a #.
        </p>
      </Frame>
    );
  if (offer.isError)
    return (
      <Frame title="Invitation">
        <ProblemNote error={offer.error} />
      </Frame>
    );
  if (!offer.data || isIn.data === undefined)
    return (
      <Frame title="Invitation">
        <Skeleton className="h-24" />
      </Frame>
    );
  const { organization, role, email, account_exists: exists } = offer.data;
  return (
    <Frame title={`Join ${organization}`}>
      <p className="text-ink-2">
        You are invited as <strong className="font-medium text-ink">{role}</strong>, with the address{' '}
        <strong className="break-all font-medium text-ink">{email}</strong>.
      </p>
      {isIn.data ? (
        <AcceptAsMe token={token} />
      ) : exists ? (
        <>
          <p className="text-ink-2">
            There is an account with this address. Sign in with it, then open this link once more.
          </p>
          <Button asChild look="primary" className="h-9 w-full">
            <Link to="/sign-in">Sign in</Link>
          </Button>
        </>
      ) : (
        <AcceptAsNew token={token} email={email} />
      )}
    </Frame>
  );
}

function AcceptAsMe({ token }: { token: string }): ReactNode {
  const enter = useEntrance();
  const accept = useMutation({
    mutationFn: () => write(() => api.POST('/api/v1/invitations/accept', { body: { token } })),
    onSuccess: enter,
  });
  return (
    <>
      {accept.error && <ProblemNote error={accept.error} />}
      <Button
        look="primary"
        className="h-9 w-full"
        disabled={accept.isPending}
        onClick={() => accept.mutate()}
      >
        Accept with the account that I am signed in with
      </Button>
    </>
  );
}

function AcceptAsNew({ token, email }: { token: string; email: string }): ReactNode {
  const enter = useEntrance();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const accept = useMutation({
    mutationFn: () =>
      value(api.POST('/api/v1/auth/invitation/accept', { body: { token, name: name.trim(), password } })),
    onSuccess: enter,
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    accept.mutate();
  }
  return (
    <form onSubmit={submit} className="space-y-3">
      <input type="hidden" autoComplete="username" value={email} readOnly />
      <Field label="Your name">
        <Input
          required
          autoFocus
          maxLength={100}
          className="h-9"
          value={name}
          onChange={e => setName(e.target.value)}
        />
      </Field>
      <NewPassword value={password} onChange={setPassword} />
      {accept.error && <ProblemNote error={accept.error} />}
      <Button type="submit" look="primary" className="h-9 w-full" disabled={accept.isPending}>
        Accept the invitation
      </Button>
    </form>
  );
}
