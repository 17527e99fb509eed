/** Makes an account, where the operator lets anybody do so. It has no access until an admin grants some. */
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, value } from '../api/client.ts';
import { Button } from '../ui/button.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { Field, Input } from '../ui/field.tsx';
import { Frame } from './frame.tsx';
import { NewPassword } from './new-password.tsx';

export function SignUpForm({ onDone, onBack }: { onDone: () => void; onBack: () => void }): ReactNode {
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const signUp = useMutation({
    mutationFn: () =>
      value(api.POST('/api/v1/auth/sign-up', { body: { name: name.trim(), email: email.trim(), password } })),
    onSuccess: onDone,
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    signUp.mutate();
  }
  return (
    <Frame title="Make an account">
      <form onSubmit={submit} className="space-y-3">
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
        <Field label="E-mail address">
          <Input
            type="email"
            required
            autoComplete="username"
            className="h-9"
            value={email}
            onChange={e => setEmail(e.target.value)}
          />
        </Field>
        <NewPassword value={password} onChange={setPassword} />
        {signUp.error && <ProblemNote error={signUp.error} />}
        <Button type="submit" look="primary" className="h-9 w-full" disabled={signUp.isPending}>
          Make the account
        </Button>
      </form>
      <Button look="quiet" size="small" onClick={onBack}>
        I have one
      </Button>
    </Frame>
  );
}
