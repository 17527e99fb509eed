/** A second organization in a test's database: what it holds must never appear in the first one. */
import { newId } from '../../src/base/ids.ts';
import { createTeam, readTeamTemplates } from '../../src/features/agents/agents.ts';
import { createApiKey } from '../../src/features/identity/api-keys.ts';
import { scopes } from '../../src/features/identity/permissions.ts';
import { createTask, type NewTask, type Task } from '../../src/features/tasks/tasks.ts';
import { type Db, transact } from '../../src/platform/db/db.ts';
import type { Actor } from '../../src/platform/journal/facts.ts';

export interface Organization {
  actor: Actor;
  organizationId: string;
  projectId: string;
  /** The lead of its team. */
  agentId: string;
  /** An API key with all scopes. */
  key: string;
}

export async function addOrganization(db: Db, name: string, now: Date): Promise<Organization> {
  const organizationId = newId('org');
  const projectId = newId('proj');
  const memberId = newId('mem');
  const actor: Actor = { id: `member:${memberId}`, organizationId, requestId: `req_${name}` };
  const template = (await readTeamTemplates()).get('software-team');
  if (!template) throw new Error('the template software-team is missing');
  return transact(db, async tx => {
    const row = { organization_id: organizationId, created_at: now };
    await tx.insertInto('organizations').values({ id: organizationId, name, created_at: now }).execute();
    await tx
      .insertInto('projects')
      .values({ ...row, id: projectId, name: 'default' })
      .execute();
    await tx
      .insertInto('members')
      .values({ ...row, id: memberId, name, role: 'owner' })
      .execute();
    const owner = { memberId };
    const { key } = await createApiKey(tx, actor, now, owner, { name, scopes: [...scopes], expiresAt: null });
    const team = await createTeam(tx, actor, now, 'software-team', template);
    const lead = await tx
      .selectFrom('agents')
      .select('id')
      .where('team_id', '=', team.id)
      .where('reports_to', 'is', null)
      .executeTakeFirstOrThrow();
    return { actor, organizationId, projectId, agentId: lead.id, key };
  });
}

/** Terms of a task that need no repository and no check. */
export function newTask(
  of: Pick<Organization, 'projectId' | 'agentId'>,
  now: Date,
  more: Partial<NewTask> = {},
): NewTask {
  return {
    projectId: of.projectId,
    agentId: of.agentId,
    title: 'Some task',
    kind: 'work',
    brief: {
      objective: 'Do it.',
      requirements: [],
      out_of_scope: [],
      inputs: [],
      expected_outputs: [],
      acceptance_criteria: [],
    },
    checks: [],
    source: null,
    baseCommit: null,
    maxTurns: 10,
    deadlineAt: new Date(now.getTime() + 3_600_000),
    budgetMicros: null,
    dependsOn: [],
    ...more,
  };
}

export function addTask(db: Db, of: Organization, now: Date, more: Partial<NewTask> = {}): Promise<Task> {
  return transact(db, tx => createTask(tx, of.actor, now, newTask(of, now, more)));
}
