/** The agents, as the chain of command that they form, and what each of them is. */
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { Users } from 'lucide-react';
import type { ReactNode } from 'react';
import { agentsQuery, teamsQuery } from '../api/queries.ts';
import type { Agent, Team } from '../api/types.ts';
import { type Branch, flatten } from '../tree.ts';
import { Avatar } from '../ui/avatar.tsx';
import { cn } from '../ui/cn.ts';
import { Empty, ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { PageHead } from '../ui/page.tsx';
import { useMedia } from '../ui/use-media.ts';
import { AgentPanel } from './agent-panel.tsx';
import { AgentState } from './agent-state.tsx';

const route = getRouteApi('/signed-in/agents');

export function AgentsPage(): ReactNode {
  const agents = useQuery(agentsQuery);
  const teams = useQuery(teamsQuery);
  const chosenId = route.useSearch().agent;
  const wide = useMedia('(min-width: 1024px)');
  const error = agents.error ?? teams.error;
  if (agents.isPending || teams.isPending)
    return (
      <>
        <PageHead title="Agents" />
        <SkeletonRows rows={6} />
      </>
    );
  if (!agents.data || !teams.data)
    return (
      <>
        <PageHead title="Agents" />
        <ProblemNote
          error={error}
          className="m-5"
          onRetry={() => {
            void agents.refetch();
            void teams.refetch();
          }}
        />
      </>
    );
  const chosen = agents.data.find(agent => agent.id === chosenId) ?? (wide ? agents.data[0] : undefined);
  const managerOf = (agent: Agent) => agents.data.find(each => each.id === agent.reports_to);
  return (
    <>
      <PageHead title="Agents" />
      <div className="lg:grid lg:grid-cols-[minmax(0,1fr)_26rem]">
        <div className={cn(chosen && !wide && 'hidden')}>
          {teams.data.length === 0 && (
            <Empty icon={<Users aria-hidden />} title="There is no team yet">
              <p>A team is made from a template: software-team, or company.</p>
            </Empty>
          )}
          {teams.data.map(team => (
            <TeamTree
              key={team.id}
              team={team}
              agents={agents.data.filter(agent => agent.team_id === team.id)}
              chosen={chosen?.id}
            />
          ))}
        </div>
        {chosen && (
          <aside
            aria-label={chosen.name}
            className="border-line lg:sticky lg:top-12 lg:h-[calc(100dvh-3rem)] lg:overflow-y-auto lg:border-l"
          >
            <AgentPanel agent={chosen} manager={managerOf(chosen)} backable={!wide} />
          </aside>
        )}
      </div>
    </>
  );
}

function TeamTree({
  team,
  agents,
  chosen,
}: {
  team: Team;
  agents: Agent[];
  chosen: string | undefined;
}): ReactNode {
  const rows = flatten(
    agents,
    agent => agent.id,
    agent => agent.reports_to,
  );
  const busy = agents.filter(agent => agent.state === 'busy').length;
  return (
    <section aria-label={team.name} className="border-line border-b px-2 pt-4 pb-3 sm:px-3">
      <h2 className="mb-1.5 flex items-baseline gap-2 px-2">
        <span className="font-semibold">{team.name}</span>
        <span className="text-ink-3 text-sm">
          {agents.length} agents{busy > 0 && `, ${busy} busy`}
        </span>
      </h2>
      <ul>
        {rows.map(row => (
          <AgentRow key={row.item.id} row={row} chosen={row.item.id === chosen} />
        ))}
      </ul>
    </section>
  );
}

function AgentRow({ row, chosen }: { row: Branch<Agent>; chosen: boolean }): ReactNode {
  const { item: agent, guides } = row;
  return (
    <li>
      <Link
        to="/agents"
        search={{ agent: agent.id }}
        resetScroll={false}
        aria-current={chosen ? 'true' : undefined}
        className={cn('flex min-h-11 items-stretch rounded-md px-2 hover:bg-hover', chosen && 'bg-hover')}
      >
        {guides.slice(1).map((more, level) => {
          const last = level === guides.length - 2;
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: the level is what a guide line is
            <span key={level} aria-hidden className="relative w-6 shrink-0">
              {(more || last) && (
                <span
                  className={cn(
                    'absolute left-2.5 border-line-strong border-l',
                    more ? 'inset-y-0' : 'top-0 h-1/2',
                  )}
                />
              )}
              {last && <span className="absolute top-1/2 right-1 left-2.5 border-line-strong border-t" />}
            </span>
          );
        })}
        <span className="flex min-w-0 flex-1 items-center gap-2.5">
          <Avatar name={agent.name} className="size-7 text-xs" />
          <span className="min-w-0 flex-1 leading-tight">
            <span className="block truncate font-medium">{agent.name}</span>
            <span className="block truncate text-ink-3 text-xs">{agent.title}</span>
          </span>
          <span className="hidden truncate font-mono text-ink-3 text-xs sm:block">{agent.model}</span>
          <AgentState agent={agent} />
        </span>
      </Link>
    </li>
  );
}
