/** The sandbox in which a run's tools work: over the task's own clone of the repository. */
import type { Sandbox } from '../sandboxes/port.ts';
import { requireSandbox, workspaceDirectory } from '../sandboxes/workshop.ts';
import { ensureClone, ensureRepository, openSandbox } from '../sandboxes/workspaces.ts';
import type { Activity } from './context.ts';

/** Made when the first tool needs it. */
export async function openWorkspace(activity: Activity): Promise<Sandbox> {
  if (activity.sandbox) return activity.sandbox;
  const { deps, tree, agent, task } = activity;
  await requireSandbox(deps.workshop);
  await ensureRepository(deps.workshop, tree);
  const directory = workspaceDirectory(deps.workshop, tree);
  await ensureClone(deps.workshop, tree, {
    directory,
    branch: `guildhall/${task.id}`,
    commit: task.base_commit,
    author: agent.name,
    signal: activity.signal,
  });
  activity.sandbox = await openSandbox(deps.workshop, tree, directory);
  return activity.sandbox;
}
