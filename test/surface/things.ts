/** One of everything in an organization: what a foreign caller must not find, and a permitted one must. */
import { newId } from '../../src/base/ids.ts';
import { requestApproval } from '../../src/features/approvals/approvals.ts';
import { createApiKey } from '../../src/features/identity/api-keys.ts';
import { hashOf } from '../../src/features/identity/credentials.ts';
import { issueRunToken } from '../../src/features/identity/run-tokens.ts';
import { putSecret } from '../../src/features/secrets/secrets.ts';
import { createTask } from '../../src/features/tasks/tasks.ts';
import { type Db, transact } from '../../src/platform/db/db.ts';
import type { Actor } from '../../src/platform/journal/facts.ts';
import type { Sealer } from '../../src/platform/secrets/sealer.ts';
import { newTask } from '../harness/organization.ts';

export interface Things {
  organization: string;
  project: string;
  /** Of no other use: it may be archived. */
  otherProject: string;
  team: string;
  agent: string;
  task: string;
  run: string;
  approval: string;
  dead_letter: string;
  /** Somebody whom nobody signs in as. */
  member: string;
  /** Their browser session. */
  session: string;
  /** A passkey that they do not have. */
  passkey: string;
  /** A key of theirs. */
  key: string;
  /** A key of the caller, where there is one; else of the same member. */
  own_key: string;
  service_account: string;
  invitation: string;
  /** By its name. */
  secret: string;
  /** The token of the run, which is under way. */
  runToken: string;
}

export interface Home {
  actor: Actor;
  organizationId: string;
  projectId: string;
  agentId: string;
  teamId: string;
}

/** @param callerId the member whose `own_key` is; default: the member among the things. */
export function addThings(
  db: Db,
  sealer: Sealer,
  home: Home,
  name: string,
  now: Date,
  callerId?: string,
): Promise<Things> {
  const { actor, organizationId } = home;
  const row = { organization_id: organizationId, created_at: now };
  const later = new Date(now.getTime() + 86_400_000);
  return transact(db, async tx => {
    const task = await createTask(tx, actor, now, newTask(home, now));
    const run = await tx
      .updateTable('runs')
      .set({ state: 'waiting' })
      .where('task_id', '=', task.id)
      .returning('id')
      .executeTakeFirstOrThrow();
    const approval = await requestApproval(tx, actor, now, {
      task,
      runId: run.id,
      callId: 'call_1',
      kind: 'question',
      question: 'May I?',
      options: [],
      payload: {},
      expiresAt: later,
    });
    const deadLetter = newId('dl');
    await tx
      .insertInto('dead_letters')
      .values({
        ...row,
        id: deadLetter,
        task_id: task.id,
        run_id: run.id,
        code: 'lost',
        reason: 'It was lost.',
      })
      .execute();
    const otherProject = newId('proj');
    await tx
      .insertInto('projects')
      .values({ ...row, id: otherProject, name: `${name} other` })
      .execute();
    const user = newId('usr');
    const person = { name, created_at: now, updated_at: now };
    await tx
      .insertInto('users')
      .values({ ...person, id: user, email: `${name}@surface.test` })
      .execute();
    const member = newId('mem');
    await tx
      .insertInto('members')
      .values({ ...row, id: member, name, role: 'viewer', user_id: user })
      .execute();
    const session = newId('ses');
    await tx
      .insertInto('sessions')
      .values({
        id: session,
        user_id: user,
        member_id: member,
        token_hash: hashOf(session),
        method: 'link',
        created_at: now,
        updated_at: now,
        expires_at: later,
      })
      .execute();
    const key = await createApiKey(
      tx,
      actor,
      now,
      { memberId: member },
      { name, scopes: ['read'], expiresAt: null },
    );
    const ownKey = await createApiKey(
      tx,
      actor,
      now,
      { memberId: callerId ?? member },
      { name: `${name} own`, scopes: ['read'], expiresAt: null },
    );
    const service = newId('svc');
    await tx
      .insertInto('service_accounts')
      .values({ ...row, id: service, name, role: 'viewer', created_by: actor.id })
      .execute();
    const invitation = newId('inv');
    await tx
      .insertInto('invitations')
      .values({
        ...row,
        id: invitation,
        token_hash: hashOf(invitation),
        email: `${name}.invited@surface.test`,
        role: 'viewer',
        invited_by: actor.id,
        expires_at: later,
      })
      .execute();
    const secret = `${name}_secret`;
    await putSecret(tx, sealer, actor, now, { name: secret, value: newId('call'), rotateBy: null });
    return {
      organization: organizationId,
      project: home.projectId,
      otherProject,
      team: home.teamId,
      agent: home.agentId,
      task: task.id,
      run: run.id,
      approval: approval.id,
      dead_letter: deadLetter,
      member,
      session,
      passkey: newId('psk'),
      key: key.id,
      own_key: ownKey.id,
      service_account: service,
      invitation,
      secret,
      runToken: await issueRunToken(tx, actor, now, run.id),
    };
  });
}
