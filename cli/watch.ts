/** Following a task to its end: the whole story so far, then live. */
import { type Schemas, value } from '../sdk/client.ts';
import type { LiveEvent } from '../sdk/events.ts';
import type { Call, Io } from './call.ts';
import type { Connection } from './connection.ts';
import { exitCodes } from './failures.ts';
import { showTaskCard } from './task-card.ts';
import { oneLine } from './text.ts';
import { Timeline } from './timeline.ts';

type Task = Schemas['TaskDetail'];

const endEvents = ['succeeded', 'failed', 'cancelled', 'timed_out', 'dead_letter'].map(
  state => `task.${state}`,
);

/** Hands over every event of a task's tree until the task has ended. @returns the task then; null when stopped. */
export async function followTask(
  connection: Connection,
  id: string,
  signal: AbortSignal,
  see: (event: LiveEvent) => void,
  onBreak?: (reason: string) => void,
): Promise<Task | null> {
  const events = connection.events({ taskId: id, after: '0-0', signal, onBreak });
  for await (const event of events) {
    see(event);
    if (event.task_id !== id || !endEvents.includes(event.type)) continue;
    // A task that was tried again has ended before: what counts is its state now.
    const task = await getTask(connection, id);
    if (task.ended_at !== null) return task;
  }
  return null;
}

export const getTask = ({ api }: Connection, id: string): Promise<Task> =>
  value(api.GET('/api/v1/tasks/{id}', { params: { path: { id } } }));

/** The names of all agents, for the timeline. */
export async function agentNames({ api }: Connection): Promise<Map<string, string>> {
  const { items } = await value(api.GET('/api/v1/agents'));
  return new Map(items.map(agent => [agent.id, agent.name]));
}

/** A line on standard error for each break of the stream: it goes on by itself. */
export function tellBreak(io: Io): (reason: string) => void {
  return reason => io.err(`${io.styleErr('dim', `(${oneLine(reason, 120)}; trying again)`)}\n`);
}

/** `task watch`: 0 only when the task succeeded. */
export async function watchTask(call: Call, connection: Connection, id: string): Promise<number> {
  await getTask(connection, id);
  const stop = new AbortController();
  const restore = call.io.onStop(() => stop.abort());
  try {
    const timeline = new Timeline(await agentNames(connection), call.io.styleOut);
    const see = (event: LiveEvent) => {
      const lines = call.json ? [JSON.stringify(event)] : timeline.lines(event);
      for (const line of lines) call.io.out(`${line}\n`);
    };
    const task = await followTask(connection, id, stop.signal, see, tellBreak(call.io));
    if (!task) {
      call.io.err(`Stopped watching; the task goes on. ./guildhall task watch ${id}\n`);
      return exitCodes.failed;
    }
    if (!call.json) call.io.out(`\n${await outcome(call.io, connection, task)}`);
    return task.state === 'succeeded' ? exitCodes.ok : exitCodes.failed;
  } finally {
    restore();
  }
}

async function outcome(io: Io, { api }: Connection, task: Task): Promise<string> {
  const params = { path: { id: task.id } };
  const [tree, checks] = await Promise.all([
    value(api.GET('/api/v1/tasks/{id}/tree', { params })),
    value(api.GET('/api/v1/tasks/{id}/checks', { params })),
  ]);
  return showTaskCard(io, task, tree.items, checks.items);
}
