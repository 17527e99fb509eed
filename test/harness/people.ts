/** People and programs of an organization in a test, each with a key that takes nothing away from them. */
import { newId } from '../../src/base/ids.ts';
import { createApiKey } from '../../src/features/identity/api-keys.ts';
import { type Classification, type Role, scopes } from '../../src/features/identity/permissions.ts';
import { type Db, transact } from '../../src/platform/db/db.ts';
import type { TestApp } from './app.ts';

export interface Person {
  id: string;
  /** As role bindings name them. */
  subject: string;
  key: string;
}

export interface Answer<T> {
  status: number;
  code: string | undefined;
  body: T;
}

export async function addMember(
  db: Db,
  organizationId: string,
  role: Role,
  now: Date,
  clearance: Classification | null = null,
): Promise<Person> {
  const id = newId('mem');
  const actor = { id: `member:${id}`, organizationId, requestId: 'req_people' };
  const { key } = await transact(db, async tx => {
    const row = { id, organization_id: organizationId, name: `${role} ${id.slice(-4)}`, role, clearance };
    await tx
      .insertInto('members')
      .values({ ...row, created_at: now })
      .execute();
    const input = { name: role, scopes: [...scopes], expiresAt: null };
    return createApiKey(tx, actor, now, { memberId: id }, input);
  });
  return { id, subject: `member:${id}`, key };
}

/** Asks the API as somebody. */
export async function askAs<T = Record<string, unknown>>(
  guildhall: TestApp,
  person: { key: string },
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer<T>> {
  const headers = { authorization: `Bearer ${person.key}` };
  const answer = await guildhall.api<T & { code?: string }>(method, path, body, headers);
  return { status: answer.status, code: answer.body?.code, body: answer.body };
}
