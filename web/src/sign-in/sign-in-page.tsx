/** Signs in with the one-time token of a link. The token is in the fragment, which no server ever sees, and is wiped. */
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { KeyRound } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { api, value } from '../api/client.ts';
import { Logo } from '../shell/logo.tsx';
import { Command } from '../ui/copy.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { useTitle } from '../ui/page.tsx';

// A token works once, so it must be sent once, however often the component is mounted.
let attempt: { token: string; done: Promise<unknown> } | null = null;

function signInWith(token: string): Promise<unknown> {
  if (attempt?.token !== token)
    attempt = { token, done: value(api.POST('/api/v1/sign-in', { body: { token } })) };
  return attempt.done;
}

export function SignInPage(): ReactNode {
  useTitle('Sign in');
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [token, setToken] = useState(readToken);
  const [error, setError] = useState<unknown>(null);

  // A link opened in a tab that shows this page already changes only the fragment.
  useEffect(() => {
    const onHash = () => setToken(readToken() ?? null);
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);

  useEffect(() => {
    if (!token) return;
    history.replaceState(history.state, '', location.pathname);
    let current = true;
    setError(null);
    signInWith(token).then(
      () => {
        queries.clear();
        if (current) void navigate({ to: '/', replace: true });
      },
      (problem: unknown) => {
        if (!current) return;
        setError(problem);
        setToken(null);
      },
    );
    return () => {
      current = false;
    };
  }, [token, queries, navigate]);

  return (
    <main className="mx-auto flex min-h-dvh max-w-md flex-col justify-center px-6 py-12">
      <Logo className="mb-6 size-11" />
      <h1 className="font-semibold text-xl">{token ? 'Signing in…' : 'Sign in to Guildhall'}</h1>
      {error !== null && <ProblemNote error={error} className="mt-4" />}
      {!token && (
        <div className="mt-4 space-y-3 text-ink-2">
          <p>
            There is no password. A link signs you in, works once, and is made by whoever runs this server. In
            its folder:
          </p>
          <Command text="./guildhall login --link" className="py-1.5 pl-3" />
          <p className="flex gap-2 text-ink-3 text-sm">
            <KeyRound className="mt-0.5 size-4 shrink-0" aria-hidden />
            Open the printed link in this browser. The server prints one when it starts, too.
          </p>
        </div>
      )}
    </main>
  );
}

const readToken = (): string | null => location.hash.slice(1) || null;
