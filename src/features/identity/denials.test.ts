import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';
import { addMember, askAs } from '../../../test/harness/people.ts';
import { ManualClock, minutes } from '../../base/time.ts';

const clock = new ManualClock();
const guildhall = await startTestApp({ roles: ['api'], clock });
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;
const { organizationId } = guildhall.app.installation;

const records = () =>
  db
    .selectFrom('audit_records')
    .select(['actor', 'target', 'outcome', 'data'])
    .where('action', '=', 'access.deny')
    .orderBy('id')
    .execute();

test('X-28 who is refused is on record: who, what, why, from where; what was shown as a credential is not', async () => {
  const viewer = await addMember(db, organizationId, 'viewer', new Date(clock.now()));
  const refused = await askAs(guildhall, viewer, 'POST', '/api/v1/projects', { name: 'x' });
  assert.equal(refused.status, 403);
  const wrong = `ghk_${'w'.repeat(43)}`;
  assert.equal((await askAs(guildhall, { key: wrong }, 'GET', '/api/v1/tasks')).status, 401);
  const [first, second] = await records();
  assert.deepEqual(
    [first?.actor, first?.target, first?.outcome, first?.data.code],
    [viewer.subject, 'POST /api/v1/projects', 'refused', 'permission_missing'],
  );
  assert.deepEqual(
    [second?.actor, second?.target, second?.data.code],
    ['anonymous', 'GET /api/v1/tasks', 'sign_in_required'],
  );
  assert.ok(second?.data.address);
  assert.ok(!JSON.stringify(await records()).includes('wwww'));
});

test('X-28 without any credential nothing is recorded: that is how everybody begins', async () => {
  const before = (await records()).length;
  await fetch(`${guildhall.app.url}/api/v1/tasks`);
  assert.equal((await records()).length, before);
});

test('whoever hammers at the door is recorded ten times a minute, and how often they were left out later', async () => {
  clock.advance(minutes(2));
  const before = (await records()).length;
  const wrong = { key: `ghk_${'x'.repeat(43)}` };
  for (let i = 0; i < 30; i++) await askAs(guildhall, wrong, 'GET', '/api/v1/tasks');
  assert.equal((await records()).length, before + 10);
  clock.advance(minutes(1));
  await askAs(guildhall, wrong, 'GET', '/api/v1/tasks');
  const after = await records();
  assert.equal(after.length, before + 11);
  assert.equal(after.at(-1)?.data.left_out_before, 20);
});
