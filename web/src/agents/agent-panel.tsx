/** One agent: what it is told, with which model, and what it may use. */
import { Link } from '@tanstack/react-router';
import { ArrowLeft } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Agent } from '../api/types.ts';
import { count } from '../format.ts';
import { Avatar } from '../ui/avatar.tsx';
import { Button } from '../ui/button.tsx';
import { Id } from '../ui/copy.tsx';
import { Prose } from '../ui/prose.tsx';
import { When } from '../ui/time.tsx';
import { AgentState } from './agent-state.tsx';

export function AgentPanel({
  agent,
  manager,
  backable,
}: {
  agent: Agent;
  manager: Agent | undefined;
  backable: boolean;
}): ReactNode {
  return (
    <div className="space-y-5 p-4 sm:p-5">
      {backable && (
        <Button asChild size="small">
          <Link to="/agents">
            <ArrowLeft /> All agents
          </Link>
        </Button>
      )}
      <header className="flex items-center gap-3">
        <Avatar name={agent.name} className="size-10 text-sm" />
        <div className="min-w-0 flex-1">
          <h2 className="truncate font-semibold text-lg leading-tight">{agent.name}</h2>
          <p className="truncate text-ink-2 text-sm">{agent.title}</p>
        </div>
        <AgentState agent={agent} />
      </header>
      <p className="text-ink-2">{agent.description}</p>
      <dl className="grid grid-cols-[7.5rem_minmax(0,1fr)] items-baseline gap-y-2 text-sm [&>dt]:text-ink-3">
        <dt>Reports to</dt>
        <dd>
          {manager ? (
            <Link to="/agents" search={{ agent: manager.id }} className="text-accent hover:underline">
              {manager.name}
            </Link>
          ) : (
            'people'
          )}
        </dd>
        <dt>Role</dt>
        <dd>{agent.role}</dd>
        <dt>Model</dt>
        <dd className="break-words font-mono text-xs leading-5">{agent.model}</dd>
        <dt>Output limit</dt>
        <dd className="tnum">{count(agent.max_output_tokens)} tokens a turn</dd>
        <dt>Version</dt>
        <dd>
          {agent.version}
          <span className="text-ink-3">
            {' '}
            · agent since <When time={agent.created_at} />
          </span>
        </dd>
        <dt>Id</dt>
        <dd>
          <Id id={agent.id} />
        </dd>
      </dl>
      <section>
        <h3 className="mb-1.5 font-semibold text-sm">Tools</h3>
        <ul className="flex flex-wrap gap-1.5">
          {agent.tools.map(tool => (
            <li key={tool} className="rounded border border-line bg-sunken px-1.5 py-0.5 font-mono text-xs">
              {tool}
            </li>
          ))}
        </ul>
      </section>
      <section>
        <h3 className="mb-1.5 font-semibold text-sm">Instructions</h3>
        <Prose
          text={agent.instructions}
          className="rounded-md border border-line bg-sunken p-3 text-ink-2 text-sm"
        />
      </section>
    </div>
  );
}
