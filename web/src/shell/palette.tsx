/** The palette: jump to a screen, a task or an agent, or act on the task that is open, by typing a few letters. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import { Command } from 'cmdk';
import { Plus } from 'lucide-react';
import { Dialog } from 'radix-ui';
import type { ReactNode } from 'react';
import { agentsQuery, taskQuery, tasksQuery } from '../api/queries.ts';
import type { TaskAction } from '../api/types.ts';
import { actionLooks, useTaskAction } from '../task/header.tsx';
import { StateIcon } from '../tasks/state.tsx';
import { Avatar } from '../ui/avatar.tsx';
import { chooseTheme, useTheme } from '../ui/theme.ts';
import { places } from './navigation.tsx';
import { themes } from './theme-switch.tsx';

const item =
  'flex h-9 cursor-default items-center gap-2.5 rounded-md px-2.5 text-base data-[selected=true]:bg-hover [&>svg]:size-4 [&>svg]:shrink-0 [&>svg]:text-ink-3';
const group =
  '[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-2.5 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-ink-3';

export default function Palette({
  open,
  onOpenChange,
}: {
  open: boolean;
  onOpenChange: (open: boolean) => void;
}): ReactNode {
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 animate-fade-in bg-[oklch(0.1_0.02_265/0.45)]" />
        <Dialog.Content
          aria-describedby={undefined}
          className="fixed top-[12vh] left-1/2 z-40 w-[calc(100vw-1rem)] max-w-xl -translate-x-1/2 animate-rise-in overflow-hidden rounded-xl border border-line bg-surface shadow-pop"
        >
          <Dialog.Title className="sr-only">Go to or do</Dialog.Title>
          <Entries onDone={() => onOpenChange(false)} />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Entries({ onDone }: { onDone: () => void }): ReactNode {
  const navigate = useNavigate();
  const tasks = useInfiniteQuery(tasksQuery('all'));
  const { data: agents } = useQuery(agentsQuery);
  const theme = themes[useTheme()];
  const found = tasks.data?.pages.flatMap(page => page.items) ?? [];
  const then = (act: () => unknown) => () => {
    onDone();
    act();
  };
  return (
    <Command label="Go to or do" loop>
      <Command.Input
        autoFocus
        placeholder="Go to a task, a screen, an agent…"
        className="h-12 w-full border-line border-b bg-transparent px-4 text-lg outline-none"
      />
      <Command.List aria-label="Found" className="max-h-[52vh] overflow-y-auto p-1.5" tabIndex={-1}>
        <Command.Empty className="px-3 py-8 text-center text-ink-3">Nothing is called that.</Command.Empty>
        <OpenTask then={then} />
        <Command.Group heading="Go to" className={group}>
          {places.map(({ to, label, icon: Icon }) => (
            <Command.Item
              key={to}
              value={`go ${label}`}
              className={item}
              onSelect={then(() => navigate({ to }))}
            >
              <Icon aria-hidden /> {label}
            </Command.Item>
          ))}
        </Command.Group>
        <Command.Group heading="Do" className={group}>
          <Command.Item
            value="do new task create"
            className={item}
            onSelect={then(() => navigate({ to: '/', search: { new: true } }))}
          >
            <Plus aria-hidden /> New task
          </Command.Item>
          <Command.Item
            value="do theme light dark"
            className={item}
            onSelect={then(() => chooseTheme(theme.next))}
          >
            <theme.icon aria-hidden /> Theme: {theme.next === 'system' ? 'as the system' : theme.next}
          </Command.Item>
        </Command.Group>
        {found.length > 0 && (
          <Command.Group heading="Tasks" className={group}>
            {found.map(task => (
              <Command.Item
                key={task.id}
                value={`task ${task.title} ${task.id}`}
                className={item}
                onSelect={then(() => navigate({ to: '/tasks/$taskId', params: { taskId: task.id } }))}
              >
                <StateIcon state={task.state} waitingOn={task.waiting_on} />
                <span className="min-w-0 truncate">{task.title}</span>
              </Command.Item>
            ))}
          </Command.Group>
        )}
        {agents && agents.length > 0 && (
          <Command.Group heading="Agents" className={group}>
            {agents.map(agent => (
              <Command.Item
                key={agent.id}
                value={`agent ${agent.name} ${agent.title} ${agent.id}`}
                className={item}
                onSelect={then(() => navigate({ to: '/agents', search: { agent: agent.id } }))}
              >
                <Avatar name={agent.name} />
                {agent.name} <span className="truncate text-ink-3">{agent.title}</span>
              </Command.Item>
            ))}
          </Command.Group>
        )}
      </Command.List>
    </Command>
  );
}

/** What may be done now with the task that is on the screen. Cancelling asks first, on the page itself. */
function OpenTask({ then }: { then: (act: () => unknown) => () => void }): ReactNode {
  const { taskId } = useParams({ strict: false });
  return taskId ? <TaskActions id={taskId} then={then} /> : null;
}

function TaskActions({ id, then }: { id: string; then: (act: () => unknown) => () => void }): ReactNode {
  const { data: task } = useQuery(taskQuery(id));
  const act = useTaskAction(id);
  const allowed = (['pause', 'resume', 'retry'] as TaskAction[]).filter(
    action => task?.actions[action] === null,
  );
  if (!task || allowed.length === 0) return null;
  return (
    <Command.Group heading="This task" className={group}>
      {allowed.map(action => {
        const { label, icon: Icon } = actionLooks[action];
        return (
          <Command.Item
            key={action}
            value={`this task ${label}`}
            className={item}
            onSelect={then(() => act.mutate(action))}
          >
            <Icon aria-hidden /> {label} this task
          </Command.Item>
        );
      })}
    </Command.Group>
  );
}
