/** API keys: made here, shown once, revoked at once. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { KeyRound, Plus } from 'lucide-react';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, write } from '../api/client.ts';
import { apiKeysQuery, meQuery } from '../api/queries.ts';
import type { ApiKey, Me } from '../api/types.ts';
import { Button } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import Confirm from '../ui/confirm.tsx';
import { Command } from '../ui/copy.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Empty, ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { Field, Input, Select } from '../ui/field.tsx';
import { Section } from '../ui/page.tsx';
import { When } from '../ui/time.tsx';
import { notify } from '../ui/toast.tsx';

export function ApiKeys(): ReactNode {
  const keys = useQuery(apiKeysQuery);
  const [creating, setCreating] = useState(false);
  return (
    <Section
      title="API keys"
      side={
        <Button size="small" onClick={() => setCreating(true)}>
          <Plus /> Create a key
        </Button>
      }
    >
      {keys.isPending && <SkeletonRows rows={2} className="border-none" />}
      {keys.isError && !keys.data && <ProblemNote error={keys.error} onRetry={() => void keys.refetch()} />}
      {keys.data && (
        <div className="rounded-lg border border-line bg-surface">
          {keys.data.length === 0 ? (
            <Empty icon={<KeyRound aria-hidden />} title="No API keys">
              <p>Programs send one as a bearer token: the command line, scripts, other systems.</p>
            </Empty>
          ) : (
            <ul className="divide-y divide-line">
              {keys.data.map(key => (
                <KeyRow key={key.id} apiKey={key} />
              ))}
            </ul>
          )}
        </div>
      )}
      {creating && <NewKey onClose={() => setCreating(false)} />}
    </Section>
  );
}

function KeyRow({ apiKey }: { apiKey: ApiKey }): ReactNode {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const revoke = useMutation({
    mutationFn: () =>
      write(() => api.DELETE('/api/v1/api-keys/{id}', { params: { path: { id: apiKey.id } } })),
    onSuccess: () => notify(`${apiKey.name} is revoked`),
    onError: error => notify(error.message, 'failed'),
    onSettled: () => queries.invalidateQueries({ queryKey: apiKeysQuery.queryKey }),
  });
  const expired = apiKey.expires_at !== null && Date.parse(apiKey.expires_at) < Date.now();
  const dead = apiKey.revoked_at !== null || expired;
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3.5 py-2.5 text-sm">
      <span className={cn('min-w-0 flex-1 basis-40', dead && 'text-ink-3 line-through')}>
        <span className="font-medium">{apiKey.name}</span>{' '}
        {apiKey.service_account_id && <span className="text-ink-3 text-xs">of a service account </span>}
        <code className="font-mono text-ink-3 text-xs">{apiKey.prefix}…</code>
      </span>
      <span className="text-ink-2 text-xs">{apiKey.scopes.join(', ')}</span>
      <span className="w-36 text-ink-3 text-xs">
        {apiKey.last_used_at ? (
          <>
            used <When time={apiKey.last_used_at} />
          </>
        ) : (
          'never used'
        )}
      </span>
      <span className="w-36 text-ink-3 text-xs">
        {apiKey.revoked_at ? (
          <>
            revoked <When time={apiKey.revoked_at} />
          </>
        ) : apiKey.expires_at ? (
          <>
            {expired ? 'expired' : 'expires'} <When time={apiKey.expires_at} />
          </>
        ) : (
          'never expires'
        )}
      </span>
      {!dead && <Rotate apiKey={apiKey} />}
      <Button
        size="small"
        look="quiet"
        because={dead ? 'It does not work any more.' : null}
        disabled={revoke.isPending}
        aria-label={`Revoke ${apiKey.name}`}
        onClick={() => setAsking(true)}
      >
        Revoke
      </Button>
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        title={`Revoke ${apiKey.name}?`}
        description="Whoever uses this key is refused from this moment on. It cannot be brought back."
        confirm="Revoke the key"
        onConfirm={() => revoke.mutate()}
      />
    </li>
  );
}

/** The old key works on for an hour, so that nothing has to stop. */
function Rotate({ apiKey }: { apiKey: ApiKey }): ReactNode {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const rotate = useMutation({
    mutationFn: () =>
      write(() =>
        api.POST('/api/v1/api-keys/{id}/rotate', {
          params: { path: { id: apiKey.id } },
          body: { overlap_minutes: 60 },
        }),
      ),
    onError: error => notify(error.message, 'failed'),
    onSettled: () => queries.invalidateQueries({ queryKey: apiKeysQuery.queryKey }),
  });
  return (
    <>
      <Button
        size="small"
        look="quiet"
        because={apiKey.replaced_by ? 'It was rotated already.' : null}
        disabled={rotate.isPending}
        aria-label={`Rotate ${apiKey.name}`}
        onClick={() => setAsking(true)}
      >
        Rotate
      </Button>
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        title={`Rotate ${apiKey.name}?`}
        description="A new key takes its place. This one works for an hour more."
        confirm="Make the new key"
        onConfirm={() => rotate.mutate()}
      />
      {rotate.data && (
        <Shown secret={rotate.data.key} title="The new key is made" onClose={() => rotate.reset()} />
      )}
    </>
  );
}

/** A key, this once. */
function Shown({
  secret,
  title,
  onClose,
}: {
  secret: string;
  title: string;
  onClose: () => void;
}): ReactNode {
  return (
    <Dialog open onOpenChange={onClose} title={title} description="Copy it now: it is shown this once.">
      <div className="space-y-4 px-5 py-4">
        <Command text={secret} className="py-1.5 pl-3" />
        <div className="flex justify-end">
          <Button look="primary" onClick={onClose}>
            I have it
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

const lifetimes = [
  { days: '30', label: '30 days' },
  { days: '90', label: '90 days' },
  { days: '365', label: '1 year' },
  { days: '', label: 'Does not expire' },
];

function NewKey({ onClose }: { onClose: () => void }): ReactNode {
  const queries = useQueryClient();
  const { data: me } = useQuery(meQuery);
  const offered = me?.scopes ?? [];
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<Me['scopes']>(['read', 'write']);
  const [days, setDays] = useState('90');
  const create = useMutation({
    mutationFn: () =>
      write(() =>
        api.POST('/api/v1/api-keys', {
          body: { name: name.trim(), scopes, expires_in_days: days === '' ? null : Number(days) },
        }),
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: apiKeysQuery.queryKey }),
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    create.mutate();
  }
  if (create.data) return <Shown secret={create.data.key} title="The key is made" onClose={onClose} />;
  return (
    <Dialog open onOpenChange={open => !open && onClose()} title="Create an API key" className="max-w-md">
      <form onSubmit={submit} className="flex min-h-0 flex-col gap-4 overflow-y-auto px-5 py-4">
        <Field label="Name" hint="What will use it">
          <Input
            autoFocus
            value={name}
            maxLength={100}
            placeholder="ci"
            onChange={e => setName(e.target.value)}
          />
        </Field>
        <fieldset>
          <legend className="mb-1 font-medium text-ink-2 text-sm">What it may do</legend>
          <div className="flex gap-4">
            {offered.map(scope => (
              <label key={scope} className="flex min-h-6 items-center gap-2">
                <input
                  type="checkbox"
                  className="size-4 accent-accent"
                  checked={scopes.includes(scope)}
                  onChange={e =>
                    setScopes(old =>
                      e.target.checked ? [...old, scope] : old.filter(each => each !== scope),
                    )
                  }
                />
                {scope}
              </label>
            ))}
          </div>
        </fieldset>
        <Field label="Expires after">
          <Select value={days} onChange={e => setDays(e.target.value)}>
            {lifetimes.map(({ days: value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </Select>
        </Field>
        {create.error && <ProblemNote error={create.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Discard</Button>
          <Button
            look="primary"
            type="submit"
            disabled={create.isPending || name.trim() === '' || scopes.length === 0}
          >
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
