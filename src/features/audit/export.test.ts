import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import {
  addAuditedOrganization,
  addStep,
  exportText,
  newSealer,
  record,
  sealAll,
  verifyAll,
  verifyText,
} from '../../../test/harness/audit.ts';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { ManualClock } from '../../base/time.ts';

const database = await openTestDatabase();
const { db } = database;
after(() => database[Symbol.asyncDispose]());
const clock = new ManualClock();
const deps = { db, sealer: newSealer(), clock, keyMaxAgeMs: 400 * 86_400_000 };
const now = () => new Date(clock.now());
const first = await addAuditedOrganization(db, 'first', now());
const second = await addAuditedOrganization(db, 'second', now());
for (let i = 0; i < 4; i++) {
  for (const organization of [first, second]) {
    await record(db, organization.actor, now(), 'task.create', { text: `"ä🦊\n\\ ${i} \u2028` });
    await addStep(db, organization, now(), { content: `round ${i}`, nested: [{ n: 1.5e-7 }, null, true] });
  }
  await sealAll(deps, { records: 5, batches: 10 });
}
await record(db, first.actor, now(), 'late.change');
const lines = await exportText(deps, first.organizationId);
const kindOf = (line: string): string => JSON.parse(line).type;

test('CMP-01 a file verifies without a server, and says the same as the server', async () => {
  const [offline, online] = [await verifyText(lines), await verifyAll(deps, first.organizationId)];
  assert.deepEqual(offline, online);
  assert.deepEqual(
    [offline.ok, offline.unsealed_records, offline.organization_id],
    [true, 1, first.organizationId],
  );
  assert.ok(offline.records > 10);
});

test('a file holds one organization and nothing of others', () => {
  assert.ok(!lines.some(line => line.includes(second.organizationId)));
});

test('CMP-01 one changed byte of any line with a key, a seal or a sealed record is found', async () => {
  const unsealed = lines.findIndex(line => line.includes('late.change'));
  const targets = lines
    .map((_, at) => at)
    .filter(at => at !== unsealed && ['key', 'seal', 'record'].includes(kindOf(lines[at] as string)));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...targets),
      fc.nat(1_000_000),
      fc.constantFrom('q', '7', 'a', ' ', '"', '\\', 'é'),
      async (at, where, other) => {
        const line = lines[at] as string;
        const from = where % line.length;
        fc.pre(line[from] !== other);
        const changed = lines.with(at, line.slice(0, from) + other + line.slice(from + 1));
        const found = await verifyText(changed);
        assert.equal(found.ok, false, changed[at]);
      },
    ),
    { numRuns: 400 },
  );
});

test('CMP-01 a line taken out, put in twice or moved is found', async () => {
  const records = lines.map((line, at) => ({ line, at })).filter(({ line }) => kindOf(line) === 'record');
  const { line, at } = records[3] as { line: string; at: number };
  const place = `${JSON.parse(JSON.parse(line).text).xid}-${JSON.parse(JSON.parse(line).text).fact_seq}`;
  const kinds = async (changed: string[]) =>
    (await verifyText(changed)).findings.filter(f => f.kind !== 'unreadable').map(f => [f.kind, f.place]);
  assert.deepEqual(await kinds(lines.toSpliced(at, 1)), [['record_removed', place]]);
  assert.deepEqual(await kinds(lines.toSpliced(at, 0, line)), [['record_repeated', place]]);
  const moved = lines.toSpliced(at, 1).toSpliced(at + 6, 0, line);
  assert.deepEqual(await kinds(moved), [['record_reordered', place]]);
});

test('a file that was cut off, is empty or is something else is told', async () => {
  for (const [given, reason] of [
    [lines.slice(0, -1), /ends before its last line/],
    [lines.slice(0, 5), /ends before its last line/],
    [[], /ends before its last line/],
    [['hello', ...lines], /no JSON object/],
    [['{}', ...lines], /not the start of a file of the format guildhall-audit-1/],
    [[...lines, '{}'], /after the end/],
  ] as const) {
    const found = await verifyText([...given]);
    assert.equal(found.ok, false);
    assert.ok(
      found.findings.some(f => reason.test(f.text)),
      JSON.stringify(found.findings.slice(0, 3)),
    );
  }
});

test('the seals of another organization prove nothing here', async () => {
  const others = await exportText(deps, second.organizationId);
  const found = await verifyText([lines[0] as string, ...others.slice(1)]);
  assert.ok(found.findings.some(f => f.kind === 'seal_foreign'));
});
