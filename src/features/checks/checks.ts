/**
 * Checks: what the server runs itself before a result counts. Every command gets a fresh clone of the delivered
 * commit in a fresh sandbox; what it printed and how it ended is the evidence, kept as a row.
 */
import { newId } from '../../base/ids.ts';
import type { Db, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { redactor } from '../../platform/secrets/redactor.ts';
import type { ExecResult } from '../sandboxes/port.ts';
import { checkDirectory, type Workshop } from '../sandboxes/workshop.ts';
import { describeOutcome, ensureClone, openSandbox, shell, type TreeTask } from '../sandboxes/workspaces.ts';
import { bounded } from '../tools/sandbox-tools.ts';

export type NewCheck = Omit<Row<'checks'>, 'id' | 'organization_id' | 'task_id' | 'round' | 'created_at'>;

/** Longest that one check may run. */
export const checkTimeoutMs = 600_000;

/** Runs commands one after the other on a commit (null: the base of the tree). Each result is what was executed. */
export async function runCommands(
  shop: Workshop,
  task: TreeTask,
  commit: string | null,
  commands: readonly string[],
  signal: AbortSignal,
): Promise<NewCheck[]> {
  const results: NewCheck[] = [];
  for (const command of commands) {
    signal.throwIfAborted();
    results.push(await runCommand(shop, task, commit, command, signal));
  }
  return results;
}

async function runCommand(
  shop: Workshop,
  task: TreeTask,
  commit: string | null,
  command: string,
  signal: AbortSignal,
): Promise<NewCheck> {
  const directory = checkDirectory(shop, task, newId('chk'));
  try {
    await ensureClone(shop, task, {
      directory,
      branch: null,
      commit: commit ?? task.base_commit,
      author: 'guildhall',
      signal,
    });
    const sandbox = await openSandbox(shop, task, directory);
    try {
      const result = await sandbox.exec({
        argv: shell(command),
        timeout_ms: Math.min(checkTimeoutMs, shop.policy.wall_ms),
        max_output_bytes: 256 * 1024,
        signal,
      });
      // A check that we stopped ourselves says nothing about the commit.
      signal.throwIfAborted();
      return show(command, commit, result);
    } finally {
      await sandbox.destroy();
    }
  } finally {
    await shop.driver.removeDirectory(directory);
  }
}

function show(command: string, commit: string | null, result: ExecResult): NewCheck {
  if (result.outcome === 'sandbox_error') throw new Error(`the check could not run: ${result.message}`);
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8').replaceAll('\0', '\ufffd');
  const output = [text(result.stdout), text(result.stderr)].filter(part => part !== '').join('\n');
  return {
    kind: 'command',
    command,
    commit,
    exit_code: result.exit_code,
    outcome: describeOutcome(result),
    passed: result.outcome === 'exited' && result.exit_code === 0,
    output: bounded(redactor.redactValues(output), 20_000),
    duration_ms: Math.round(result.duration_ms),
  };
}

export async function insertChecks(
  tx: Tx,
  now: Date,
  task: Pick<Row<'tasks'>, 'id' | 'organization_id' | 'round'>,
  checks: readonly NewCheck[],
): Promise<void> {
  // One millisecond apart, so that their ids keep the order they ran in.
  for (const [i, check] of checks.entries()) {
    await tx
      .insertInto('checks')
      .values({
        id: newId('chk', now.getTime() + i),
        organization_id: task.organization_id,
        task_id: task.id,
        round: task.round,
        created_at: now,
        ...redactor.redactDeep(check),
      })
      .execute();
  }
}

/** Whether anybody but its author has shown, by executed checks or a verification, that a commit of the tree holds. */
export async function isVerified(db: Db | Tx, rootTaskId: string, commit: string | null): Promise<boolean> {
  if (commit === null) return false;
  const found = await db
    .selectFrom('checks as c')
    .innerJoin('tasks as t', 't.id', 'c.task_id')
    .where('t.root_task_id', '=', rootTaskId)
    .where('c.commit', '=', commit)
    .where('c.passed', '=', true)
    .where('c.kind', 'in', ['command', 'verification'])
    .select('c.id')
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}
