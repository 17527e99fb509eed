/** Members: their role, what they are cleared for, and shutting somebody out. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { api, write } from '../api/client.ts';
import { membersQuery } from '../api/queries.ts';
import type { Me, Member } from '../api/types.ts';
import { Button } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import Confirm from '../ui/confirm.tsx';
import { ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { Select } from '../ui/field.tsx';
import { Section } from '../ui/page.tsx';
import { notify } from '../ui/toast.tsx';
import { classifications, roles } from './words.ts';

export function Members({ me }: { me: Me }): ReactNode {
  const members = useQuery(membersQuery);
  return (
    <Section title="Members">
      {members.isPending && <SkeletonRows rows={2} className="border-none" />}
      {members.isError && !members.data && (
        <ProblemNote error={members.error} onRetry={() => void members.refetch()} />
      )}
      {members.data && (
        <ul className="divide-y divide-line rounded-lg border border-line bg-surface">
          {members.data.map(member => (
            <Row key={member.id} member={member} manages={me.permissions.includes('member.manage')} />
          ))}
        </ul>
      )}
    </Section>
  );
}

type Change = { role: Member['role'] } | { clearance: Member['clearance'] | null };

function Row({ member, manages }: { member: Member; manages: boolean }): ReactNode {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const settled = {
    onError: (error: Error) => notify(error.message, 'failed'),
    onSettled: () => queries.invalidateQueries({ queryKey: membersQuery.queryKey }),
  };
  const change = useMutation({
    mutationFn: (body: Change) =>
      write(() => api.PATCH('/api/v1/members/{id}', { params: { path: { id: member.id } }, body })),
    onSuccess: changed => notify(`${changed.name} is ${changed.role}, cleared for ${changed.clearance}`),
    ...settled,
  });
  const params = { path: { id: member.id } };
  const out = member.deactivated_at !== null;
  const turn = useMutation({
    mutationFn: () =>
      write(() =>
        out
          ? api.POST('/api/v1/members/{id}/reactivate', { params })
          : api.POST('/api/v1/members/{id}/deactivate', { params }),
      ),
    onSuccess: () => notify(out ? `${member.name} is let in again` : `${member.name} is shut out`),
    ...settled,
  });
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1.5 px-3.5 py-2.5 text-sm">
      <span className={cn('min-w-0 flex-1 basis-44', out && 'text-ink-3 line-through')}>
        <span className="font-medium">{member.name}</span>
        {member.email && <span className="block break-all text-ink-3 text-xs">{member.email}</span>}
      </span>
      {manages && !out ? (
        <>
          <Select
            className="w-32"
            aria-label={`Role of ${member.name}`}
            value={member.role}
            disabled={change.isPending}
            onChange={e => change.mutate({ role: e.target.value as Member['role'] })}
          >
            {roles.map(role => (
              <option key={role}>{role}</option>
            ))}
          </Select>
          <Select
            className="w-44"
            aria-label={`Clearance of ${member.name}`}
            value={member.own_clearance ? member.clearance : ''}
            disabled={change.isPending}
            onChange={e =>
              change.mutate({ clearance: (e.target.value || null) as Member['clearance'] | null })
            }
          >
            <option value="">{member.own_clearance ? 'as the role' : `${member.clearance} (by role)`}</option>
            {classifications.map(each => (
              <option key={each}>{each}</option>
            ))}
          </Select>
        </>
      ) : (
        <span className="w-64 text-ink-2 text-xs">
          {member.role}, cleared for {member.clearance}
        </span>
      )}
      {manages && (
        <Button
          size="small"
          look="quiet"
          className="w-24"
          disabled={turn.isPending}
          aria-label={`${out ? 'Reactivate' : 'Deactivate'} ${member.name}`}
          onClick={() => (out ? turn.mutate() : setAsking(true))}
        >
          {out ? 'Reactivate' : 'Deactivate'}
        </Button>
      )}
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        title={`Shut ${member.name} out?`}
        description="Sessions and keys end at once. They can be let in again later; keys have to be made anew."
        confirm="Deactivate"
        onConfirm={() => turn.mutate()}
      />
    </li>
  );
}
