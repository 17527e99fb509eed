/** Signs in: with the one-time token of a link at once, else in whichever way the server offers. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { CircleAlert, Fingerprint } from 'lucide-react';
import { type ReactNode, useCallback, useEffect, useState } from 'react';
import { api, value } from '../api/client.ts';
import { signInMethodsQuery } from '../api/queries.ts';
import { Button } from '../ui/button.tsx';
import { Command } from '../ui/copy.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { Frame, Or } from './frame.tsx';
import { browserHasPasskeys, isTurnedAway, signInWithPasskey } from './passkey.ts';
import { PasswordForm } from './password-form.tsx';
import { SecondStep } from './second-step.tsx';
import { SignUpForm } from './sign-up-form.tsx';
import { useLinkToken } from './token.ts';
import { problemOfProvider } from './words.ts';

// A token works once, so it must be sent once, however often the component is mounted.
let attempt: { token: string; done: Promise<unknown> } | null = null;

function signInWith(token: string): Promise<unknown> {
  if (attempt?.token !== token)
    attempt = { token, done: value(api.POST('/api/v1/sign-in', { body: { token } })) };
  return attempt.done;
}

/** Where to go once one is in. Nothing of whoever was here before is kept. */
export function useEntrance(): () => void {
  const queries = useQueryClient();
  const navigate = useNavigate();
  return useCallback(() => {
    queries.clear();
    void navigate({ to: '/', replace: true });
  }, [queries, navigate]);
}

export function SignInPage(): ReactNode {
  const enter = useEntrance();
  const token = useLinkToken();
  const [spent, setSpent] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [step, setStep] = useState<'ways' | 'second' | 'new'>('ways');

  useEffect(() => {
    if (!token) return;
    let current = true;
    setError(null);
    signInWith(token).then(
      () => current && enter(),
      (problem: unknown) => {
        if (!current) return;
        setError(problem);
        setSpent(token);
      },
    );
    return () => {
      current = false;
    };
  }, [token, enter]);

  if (token && token !== spent) return <Frame title="Signing in…">{null}</Frame>;
  if (step === 'second') return <SecondStep onDone={enter} onBack={() => setStep('ways')} />;
  if (step === 'new') return <SignUpForm onDone={enter} onBack={() => setStep('ways')} />;
  return (
    <Frame title="Sign in to Guildhall">
      {error !== null && <ProblemNote error={error} />}
      <Ways onDone={enter} onSecondStep={() => setStep('second')} onSignUp={() => setStep('new')} />
    </Frame>
  );
}

function Ways({
  onDone,
  onSecondStep,
  onSignUp,
}: {
  onDone: () => void;
  onSecondStep: () => void;
  onSignUp: () => void;
}): ReactNode {
  const { problem } = useSearch({ from: '/sign-in' });
  const { data: methods } = useQuery(signInMethodsQuery);
  return (
    <>
      {problem && (
        <p role="alert" className="flex gap-2.5 rounded-lg bg-bad-soft px-3.5 py-3 text-sm">
          <CircleAlert className="mt-0.5 size-4 shrink-0 text-bad" aria-hidden />
          {problemOfProvider(problem)}
        </p>
      )}
      <PasswordForm onDone={onDone} onSecondStep={onSecondStep} />
      {methods && (methods.providers.length > 0 || (methods.passkeys && browserHasPasskeys)) && (
        <Or word="or" />
      )}
      {methods?.passkeys && browserHasPasskeys && <PasskeyButton onDone={onDone} />}
      {methods?.providers.map(provider => (
        <ProviderButton key={provider.id} provider={provider} />
      ))}
      {methods?.open_sign_up && (
        <p className="text-ink-2 text-sm">
          New here?{' '}
          <button type="button" className="min-h-6 text-accent hover:underline" onClick={onSignUp}>
            Make an account
          </button>
        </p>
      )}
      <details className="text-ink-2 text-sm">
        <summary className="w-fit min-h-6 rounded hover:text-ink">No password, or forgotten it?</summary>
        <div className="mt-2 space-y-2">
          <p>An admin makes you a link to set a new one. Whoever runs this server gets in from its folder:</p>
          <Command text="./guildhall login --link" className="py-1.5 pl-3" />
        </div>
      </details>
    </>
  );
}

function PasskeyButton({ onDone }: { onDone: () => void }): ReactNode {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  async function signIn(): Promise<void> {
    setBusy(true);
    setError(null);
    try {
      await signInWithPasskey();
      onDone();
    } catch (problem) {
      if (!isTurnedAway(problem)) setError(problem);
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <Button className="h-9 w-full" disabled={busy} onClick={() => void signIn()}>
        <Fingerprint /> Sign in with a passkey
      </Button>
      {error !== null && <ProblemNote error={error} />}
    </>
  );
}

function ProviderButton({
  provider,
}: {
  provider: { id: string; name: string; usable: boolean };
}): ReactNode {
  const [error, setError] = useState<unknown>(null);
  async function leave(): Promise<void> {
    setError(null);
    try {
      const { url } = await value(api.POST('/api/v1/auth/provider', { body: { provider: provider.id } }));
      location.assign(url);
    } catch (problem) {
      setError(problem);
    }
  }
  return (
    <>
      <Button
        className="h-9 w-full"
        because={provider.usable ? null : 'It does not answer just now; it is asked again.'}
        onClick={() => void leave()}
      >
        Continue with {provider.name}
      </Button>
      {error !== null && <ProblemNote error={error} />}
    </>
  );
}
