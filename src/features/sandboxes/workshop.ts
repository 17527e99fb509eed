/**
 * The workshop: where the files of task trees lie on this host, and the driver that runs commands on them.
 *
 *   <data>/work/<root task>/repository/repo.git   all commits of the tree; only trusted git commands write here
 *   <data>/work/<root task>/<task>/               the workspace of one task, what its agent sees as /workspace
 *   <data>/work/<root task>/check_<id>/           a fresh clone in which checks run; removed afterwards
 */
import { join } from 'node:path';
import { Problem } from '../../base/problem.ts';
import type { Row } from '../../platform/db/schema.ts';
import type { SandboxDriver, SandboxPolicy, SandboxProbe } from './port.ts';

export interface Workshop {
  dataDir: string;
  driver: SandboxDriver;
  policy: SandboxPolicy;
  /** Hosts that repositories may be fetched from. */
  hosts: readonly string[];
  allowLocal: boolean;
  /** What the driver found when it was last probed. */
  probe(): Promise<SandboxProbe>;
}

type Place = Pick<Row<'tasks'>, 'id' | 'root_task_id'>;

export const treeDirectory = (shop: Workshop, rootTaskId: string): string =>
  join(shop.dataDir, 'work', rootTaskId);
export const repositoryDirectory = (shop: Workshop, task: Place): string =>
  join(treeDirectory(shop, task.root_task_id), 'repository');
export const workspaceDirectory = (shop: Workshop, task: Place): string =>
  join(treeDirectory(shop, task.root_task_id), task.id);
export const checkDirectory = (shop: Workshop, task: Place, id: string): string =>
  join(treeDirectory(shop, task.root_task_id), `check_${id}`);

/** @throws Problem `sandbox_unavailable` with the command that mends it. */
export async function requireSandbox(shop: Workshop): Promise<void> {
  const probe = await shop.probe();
  if (probe.usable) return;
  throw new Problem(
    'unavailable',
    'sandbox_unavailable',
    `${probe.summary}${probe.fix ? ` To mend it: ${probe.fix}` : ''}`,
    {
      detail: { fix: probe.fix },
    },
  );
}
