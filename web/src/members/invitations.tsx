/** Invitations: made here, handed over by whoever made them, withdrawn while nobody has accepted. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { UserPlus } from 'lucide-react';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, write } from '../api/client.ts';
import { invitationsQuery } from '../api/queries.ts';
import type { Invitation } from '../api/types.ts';
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

export function Invitations(): ReactNode {
  const invitations = useQuery(invitationsQuery);
  const [inviting, setInviting] = useState(false);
  return (
    <Section
      title="Invitations"
      side={
        <Button size="small" onClick={() => setInviting(true)}>
          <UserPlus /> Invite somebody
        </Button>
      }
    >
      {invitations.isPending && <SkeletonRows rows={2} className="border-none" />}
      {invitations.isError && !invitations.data && (
        <ProblemNote error={invitations.error} onRetry={() => void invitations.refetch()} />
      )}
      {invitations.data && (
        <div className="rounded-lg border border-line bg-surface">
          {invitations.data.length === 0 ? (
            <Empty icon={<UserPlus aria-hidden />} title="Nobody is invited">
              <p>An invitation is a link. You hand it over yourself: Guildhall sends no mail.</p>
            </Empty>
          ) : (
            <ul className="divide-y divide-line">
              {invitations.data.map(invitation => (
                <Row key={invitation.id} invitation={invitation} />
              ))}
            </ul>
          )}
        </div>
      )}
      {inviting && <NewInvitation onClose={() => setInviting(false)} />}
    </Section>
  );
}

function stateOf(invitation: Invitation): { text: string; time: string; open: boolean } {
  if (invitation.accepted_at) return { text: 'accepted', time: invitation.accepted_at, open: false };
  if (invitation.revoked_at) return { text: 'withdrawn', time: invitation.revoked_at, open: false };
  const open = Date.parse(invitation.expires_at) > Date.now();
  return { text: open ? 'expires' : 'expired', time: invitation.expires_at, open };
}

function Row({ invitation }: { invitation: Invitation }): ReactNode {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const state = stateOf(invitation);
  const revoke = useMutation({
    mutationFn: () =>
      write(() => api.DELETE('/api/v1/invitations/{id}', { params: { path: { id: invitation.id } } })),
    onSuccess: () => notify(`The invitation of ${invitation.email} is withdrawn`),
    onError: error => notify(error.message, 'failed'),
    onSettled: () => queries.invalidateQueries({ queryKey: invitationsQuery.queryKey }),
  });
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3.5 py-2.5 text-sm">
      <span className={cn('min-w-0 flex-1 basis-48 break-all', state.open ? 'font-medium' : 'text-ink-3')}>
        {invitation.email}
      </span>
      <span className="w-24 text-ink-2 text-xs">{invitation.role}</span>
      <span className="w-36 text-ink-3 text-xs">
        {state.text} <When time={state.time} />
      </span>
      <Button
        size="small"
        look="quiet"
        aria-label={`Withdraw the invitation of ${invitation.email}`}
        because={state.open ? null : 'It cannot be accepted any more.'}
        disabled={revoke.isPending}
        onClick={() => setAsking(true)}
      >
        Withdraw
      </Button>
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        title={`Withdraw the invitation of ${invitation.email}?`}
        description="Its link no longer works."
        confirm="Withdraw it"
        onConfirm={() => revoke.mutate()}
      />
    </li>
  );
}

const roles: { role: Invitation['role']; does: string }[] = [
  { role: 'viewer', does: 'sees everything' },
  { role: 'developer', does: 'gives work and decides' },
  { role: 'manager', does: 'also makes projects' },
  { role: 'auditor', does: 'sees everything and the audit' },
  { role: 'admin', does: 'also manages people, keys and money' },
  { role: 'owner', does: 'all of it' },
];

function NewInvitation({ onClose }: { onClose: () => void }): ReactNode {
  const queries = useQueryClient();
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<Invitation['role']>('developer');
  const invite = useMutation({
    mutationFn: () => write(() => api.POST('/api/v1/invitations', { body: { email: email.trim(), role } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: invitationsQuery.queryKey }),
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    invite.mutate();
  }
  if (invite.data) {
    return (
      <Dialog
        open
        onOpenChange={onClose}
        title="The invitation is made"
        description={`Copy the link and give it to ${invite.data.invitation.email}: it is shown this once, works once, and for three days.`}
      >
        <div className="space-y-4 px-5 py-4">
          <Command
            text={`${location.origin}${invite.data.path}`}
            className="py-1.5 pl-3 [&_code]:break-all"
          />
          <div className="flex justify-end">
            <Button look="primary" onClick={onClose}>
              I have it
            </Button>
          </div>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog open onOpenChange={open => !open && onClose()} title="Invite somebody" className="max-w-md">
      <form onSubmit={submit} className="flex min-h-0 flex-col gap-4 overflow-y-auto px-5 py-4">
        <Field label="E-mail address" hint="They sign in with it">
          <Input type="email" required autoFocus value={email} onChange={e => setEmail(e.target.value)} />
        </Field>
        <Field label="Role">
          <Select value={role} onChange={e => setRole(e.target.value as Invitation['role'])}>
            {roles.map(each => (
              <option key={each.role} value={each.role}>
                {each.role} – {each.does}
              </option>
            ))}
          </Select>
        </Field>
        {invite.error && <ProblemNote error={invite.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Discard</Button>
          <Button look="primary" type="submit" disabled={invite.isPending}>
            Make the link
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
