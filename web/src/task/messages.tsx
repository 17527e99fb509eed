/** What the agents of the tree wrote to each other. */
import { useQuery } from '@tanstack/react-query';
import { ArrowRight, MessagesSquare } from 'lucide-react';
import type { ReactNode } from 'react';
import { agentsQuery, messagesQuery } from '../api/queries.ts';
import type { TaskDetail } from '../api/types.ts';
import { Avatar } from '../ui/avatar.tsx';
import { Empty, ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { Prose } from '../ui/prose.tsx';
import { When } from '../ui/time.tsx';

export default function Messages({ task }: { task: TaskDetail }): ReactNode {
  const messages = useQuery(messagesQuery(task.root_task_id));
  const { data: agents } = useQuery(agentsQuery);
  const nameOf = (actor: string) => {
    const id = actor.replace(/^agent:/, '');
    return agents?.find(agent => agent.id === id)?.name ?? actor.split(':')[0] ?? actor;
  };
  if (messages.isPending) return <SkeletonRows rows={3} className="border-none" />;
  if (messages.isError && !messages.data)
    return <ProblemNote error={messages.error} onRetry={() => void messages.refetch()} className="m-5" />;
  if (messages.data.length === 0)
    return <Empty icon={<MessagesSquare aria-hidden />} title="The agents have not written to each other" />;
  return (
    <ul className="space-y-4 px-4 py-4 sm:px-5">
      {messages.data.map(message => (
        <li key={message.id} className="flex max-w-3xl gap-3">
          <Avatar name={nameOf(message.sender)} className="mt-0.5 size-6" />
          <div className="min-w-0 flex-1">
            <p className="flex flex-wrap items-center gap-x-1.5 text-sm">
              <strong className="font-semibold">{nameOf(message.sender)}</strong>
              <ArrowRight className="size-3.5 text-ink-3" aria-label="to" role="img" />
              {nameOf(message.recipient)}
              <When time={message.created_at} className="ml-auto text-ink-3 text-xs" />
            </p>
            {message.subject && <p className="font-medium">{message.subject}</p>}
            <Prose text={message.body} className="text-ink-2" />
          </div>
        </li>
      ))}
    </ul>
  );
}
