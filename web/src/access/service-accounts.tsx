/** Service accounts: programs as somebody of their own. Their keys are made below, in the list of keys. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Bot } from 'lucide-react';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, write } from '../api/client.ts';
import { apiKeysQuery, serviceAccountsQuery } from '../api/queries.ts';
import type { Me, ServiceAccount } from '../api/types.ts';
import { Button } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import Confirm from '../ui/confirm.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Empty, ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { Field, Input, Select } from '../ui/field.tsx';
import { Section } from '../ui/page.tsx';
import { notify } from '../ui/toast.tsx';
import { roles } from './words.ts';

export function ServiceAccounts({ me }: { me: Me }): ReactNode {
  const accounts = useQuery(serviceAccountsQuery);
  const [creating, setCreating] = useState(false);
  const manages = me.permissions.includes('service_account.manage');
  return (
    <Section
      title="Service accounts"
      side={
        manages && (
          <Button size="small" onClick={() => setCreating(true)}>
            <Bot /> Create one
          </Button>
        )
      }
    >
      {accounts.isPending && <SkeletonRows rows={1} className="border-none" />}
      {accounts.isError && !accounts.data && (
        <ProblemNote error={accounts.error} onRetry={() => void accounts.refetch()} />
      )}
      {accounts.data && (
        <div className="rounded-lg border border-line bg-surface">
          {accounts.data.length === 0 ? (
            <Empty icon={<Bot aria-hidden />} title="No service accounts">
              <p>A program that is somebody of its own: it stays when the person who made it goes.</p>
            </Empty>
          ) : (
            <ul className="divide-y divide-line">
              {accounts.data.map(account => (
                <Row key={account.id} account={account} manages={manages} />
              ))}
            </ul>
          )}
        </div>
      )}
      {creating && <NewAccount onClose={() => setCreating(false)} />}
    </Section>
  );
}

function Row({ account, manages }: { account: ServiceAccount; manages: boolean }): ReactNode {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const disabled = account.disabled_at !== null;
  const disable = useMutation({
    mutationFn: () =>
      write(() =>
        api.POST('/api/v1/service-accounts/{id}/disable', { params: { path: { id: account.id } } }),
      ),
    onSuccess: () => notify(`${account.name} is disabled`),
    onError: error => notify(error.message, 'failed'),
    onSettled: () =>
      Promise.all(
        [serviceAccountsQuery, apiKeysQuery].map(({ queryKey }) => queries.invalidateQueries({ queryKey })),
      ),
  });
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3.5 py-2.5 text-sm">
      <span className={cn('min-w-0 flex-1 basis-40 font-medium', disabled && 'text-ink-3 line-through')}>
        {account.name}
      </span>
      <span className="w-64 text-ink-2 text-xs">
        {account.role === 'none' ? 'what it is given on projects' : account.role}, cleared for{' '}
        {account.clearance}
      </span>
      {manages && (
        <Button
          size="small"
          look="quiet"
          because={disabled ? 'It is disabled for good.' : null}
          disabled={disable.isPending}
          aria-label={`Disable ${account.name}`}
          onClick={() => setAsking(true)}
        >
          Disable
        </Button>
      )}
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        title={`Disable ${account.name}?`}
        description="Its keys and tokens end at once, for good."
        confirm="Disable it"
        onConfirm={() => disable.mutate()}
      />
    </li>
  );
}

function NewAccount({ onClose }: { onClose: () => void }): ReactNode {
  const queries = useQueryClient();
  const [name, setName] = useState('');
  const [role, setRole] = useState<ServiceAccount['role']>('none');
  const create = useMutation({
    mutationFn: () =>
      write(() => api.POST('/api/v1/service-accounts', { body: { name: name.trim(), role } })),
    onSuccess: made => {
      notify(`${made.name} is made`);
      onClose();
    },
    onSettled: () => queries.invalidateQueries({ queryKey: serviceAccountsQuery.queryKey }),
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    create.mutate();
  }
  return (
    <Dialog
      open
      onOpenChange={open => !open && onClose()}
      title="Create a service account"
      className="max-w-md"
    >
      <form onSubmit={submit} className="flex min-h-0 flex-col gap-4 overflow-y-auto px-5 py-4">
        <Field label="Name" hint="Lower-case letters, digits, dots and dashes">
          <Input autoFocus required value={name} maxLength={100} onChange={e => setName(e.target.value)} />
        </Field>
        <Field label="Role in the organization" hint="none: only what it is given on teams and projects">
          <Select value={role} onChange={e => setRole(e.target.value as ServiceAccount['role'])}>
            {roles.map(each => (
              <option key={each}>{each}</option>
            ))}
          </Select>
        </Field>
        {create.error && <ProblemNote error={create.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Discard</Button>
          <Button look="primary" type="submit" disabled={create.isPending || name.trim() === ''}>
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
