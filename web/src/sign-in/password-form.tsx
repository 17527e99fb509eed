/** E-mail address and password. */
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, value } from '../api/client.ts';
import { Button } from '../ui/button.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { Field, Input } from '../ui/field.tsx';

export function PasswordForm({
  onDone,
  onSecondStep,
}: {
  onDone: () => void;
  onSecondStep: () => void;
}): ReactNode {
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const signIn = useMutation({
    mutationFn: () => value(api.POST('/api/v1/auth/password', { body: { email: email.trim(), password } })),
    onSuccess: answer => (answer.second_step ? onSecondStep() : onDone()),
    onError: () => setPassword(''),
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    signIn.mutate();
  }
  return (
    <form onSubmit={submit} className="space-y-3">
      <Field label="E-mail address">
        <Input
          type="email"
          required
          autoFocus
          autoComplete="username webauthn"
          className="h-9"
          value={email}
          onChange={e => setEmail(e.target.value)}
        />
      </Field>
      <Field label="Password">
        <Input
          type="password"
          required
          autoComplete="current-password"
          className="h-9"
          value={password}
          onChange={e => setPassword(e.target.value)}
        />
      </Field>
      {signIn.error && <ProblemNote error={signIn.error} />}
      <Button type="submit" look="primary" className="h-9 w-full" disabled={signIn.isPending}>
        Sign in
      </Button>
    </form>
  );
}
