/** Sets a password with the one-time link that an admin, or the command line, has made. */
import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, value } from '../api/client.ts';
import { Button } from '../ui/button.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { Frame } from './frame.tsx';
import { NewPassword } from './new-password.tsx';
import { useLinkToken } from './token.ts';

export function SetPasswordPage(): ReactNode {
  const token = useLinkToken();
  const [password, setPassword] = useState('');
  const set = useMutation({
    mutationFn: () =>
      value(api.POST('/api/v1/auth/set-password', { body: { token: token ?? '', password } })),
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    set.mutate();
  }
  if (!token)
    return (
      <Frame title="Set a password">
        <p className="text-ink-2">
          Open the whole link that you were given: it ends in a long code after a #.
        </p>
      </Frame>
    );
  if (set.isSuccess)
    return (
      <Frame title="Your password is set">
        <p className="text-ink-2">Wherever you were signed in, you are no longer.</p>
        <Button asChild look="primary" className="h-9 w-full">
          <Link to="/sign-in">Sign in</Link>
        </Button>
      </Frame>
    );
  return (
    <Frame title="Set a password">
      <form onSubmit={submit} className="space-y-3">
        <NewPassword label="New password" value={password} onChange={setPassword} />
        {set.error && <ProblemNote error={set.error} />}
        <Button type="submit" look="primary" className="h-9 w-full" disabled={set.isPending}>
          Set the password
        </Button>
      </form>
    </Frame>
  );
}
