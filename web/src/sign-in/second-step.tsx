/** The second step: the code that the authenticator app shows, or one of the backup codes. */
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, value } from '../api/client.ts';
import { Button } from '../ui/button.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { Field, Input } from '../ui/field.tsx';
import { Frame } from './frame.tsx';

export function SecondStep({ onDone, onBack }: { onDone: () => void; onBack: () => void }): ReactNode {
  const [kind, setKind] = useState<'app' | 'backup'>('app');
  const [code, setCode] = useState('');
  const confirm = useMutation({
    mutationFn: () => value(api.POST('/api/v1/auth/second-step', { body: { code: code.trim(), kind } })),
    onSuccess: onDone,
    onError: () => setCode(''),
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    confirm.mutate();
  }
  function change(): void {
    setKind(old => (old === 'app' ? 'backup' : 'app'));
    setCode('');
    confirm.reset();
  }
  return (
    <Frame title="One more step">
      <form onSubmit={submit} className="space-y-3">
        <Field
          key={kind}
          label={kind === 'app' ? 'Code' : 'Backup code'}
          hint={kind === 'app' ? 'Six digits that your authenticator app shows' : 'Each works once'}
        >
          <Input
            required
            autoFocus
            className="h-9 font-mono"
            inputMode={kind === 'app' ? 'numeric' : 'text'}
            autoComplete="one-time-code"
            minLength={6}
            value={code}
            onChange={e => setCode(e.target.value)}
          />
        </Field>
        {confirm.error && <ProblemNote error={confirm.error} />}
        <Button type="submit" look="primary" className="h-9 w-full" disabled={confirm.isPending}>
          Sign in
        </Button>
      </form>
      <div className="flex flex-wrap justify-between gap-2">
        <Button look="quiet" size="small" onClick={change}>
          {kind === 'app' ? 'Use a backup code' : 'Use the app'}
        </Button>
        <Button look="quiet" size="small" onClick={onBack}>
          Begin again
        </Button>
      </div>
    </Frame>
  );
}
