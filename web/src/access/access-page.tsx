/** People and access: who belongs to the organization, programs, keys, and the projects with their class. */
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { meQuery } from '../api/queries.ts';
import type { Me } from '../api/types.ts';
import { Invitations } from '../members/invitations.tsx';
import { PageHead } from '../ui/page.tsx';
import { ApiKeys } from './api-keys.tsx';
import { Members } from './members.tsx';
import { Projects } from './projects.tsx';
import { ServiceAccounts } from './service-accounts.tsx';

export function AccessPage(): ReactNode {
  const { data: me } = useQuery(meQuery);
  if (!me) return null;
  const can = (permission: Me['permissions'][number]) => me.permissions.includes(permission);
  return (
    <>
      <PageHead title="People and access" />
      <div className="max-w-4xl space-y-8 p-4 sm:p-5">
        {can('member.read') && <Members me={me} />}
        {can('member.manage') && <Invitations />}
        {can('project.read') && <Projects me={me} />}
        {can('service_account.read') && <ServiceAccounts me={me} />}
        {can('key.own') && <ApiKeys />}
      </div>
    </>
  );
}
