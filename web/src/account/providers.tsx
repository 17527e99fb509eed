/** Outside providers that are joined to the account, and those that can be. */
import { useMutation, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { api, write } from '../api/client.ts';
import { signInMethodsQuery } from '../api/queries.ts';
import type { Account } from '../api/types.ts';
import { Button } from '../ui/button.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { Section } from '../ui/page.tsx';
import { Box } from './box.tsx';

export function Providers({ account }: { account: Account }): ReactNode {
  const { data: methods } = useQuery(signInMethodsQuery);
  const join = useMutation({
    mutationFn: (provider: string) =>
      write(() => api.POST('/api/v1/account/providers', { body: { provider } })),
    onSuccess: ({ url }) => location.assign(url),
  });
  if (!methods || methods.providers.length === 0) return null;
  return (
    <Section title="Outside providers">
      <Box>
        <ul className="-my-1 divide-y divide-line">
          {methods.providers.map(({ id, name, usable }) => (
            <li key={id} className="flex items-center gap-3 py-1.5">
              <span className="min-w-0 flex-1 font-medium">{name}</span>
              {account.providers.includes(id) ? (
                <span className="text-ink-3 text-sm">joined</span>
              ) : (
                <Button
                  size="small"
                  aria-label={`Join ${name}`}
                  disabled={join.isPending}
                  because={
                    !account.email
                      ? 'Set your e-mail address and a password first.'
                      : usable
                        ? null
                        : 'It does not answer just now; it is asked again.'
                  }
                  onClick={() => join.mutate(id)}
                >
                  Join
                </Button>
              )}
            </li>
          ))}
        </ul>
        {join.error && <ProblemNote error={join.error} />}
      </Box>
    </Section>
  );
}
