import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { untilSettled } from '../../../test/harness/events.ts';
import { transact } from '../db/db.ts';
import { appendEvent } from '../journal/facts.ts';
import { EventTail, type LiveEvent, parsePosition, readEnd, readEvents } from './tail.ts';

const database = await openTestDatabase();
after(() => database[Symbol.asyncDispose]());
const { db } = database;

const actor = { id: 'system', organizationId: 'org_a', requestId: 'req_tail' };
const now = new Date(Date.UTC(2030, 0, 1));
const append = (...types: string[]): Promise<void> =>
  transact(db, async tx => {
    for (const type of types) await appendEvent(tx, actor, now, type, {});
  });
const fail = (error: unknown): void => assert.fail(String(error));

/** Polls a condition: the tail looks at the table on its own. */
async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (done()) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  assert.fail('it did not come true');
}

const appendBehindTheEnd = async (type: string): Promise<void> => {
  await append(type);
  await untilSettled(db);
};

interface Follower {
  types: string[];
  from: { xid: string; seq: string };
  stop(): void;
}
async function follow(tail: EventTail, organizationId = 'org_a'): Promise<Follower> {
  const types: string[] = [];
  const { from, stop } = await tail.subscribe(organizationId, (events: readonly LiveEvent[]) => {
    for (const event of events) types.push(event.type);
  });
  return { types, from, stop };
}

test('events come in the order of their transactions, each once, from the moment of subscribing', async () => {
  await appendBehindTheEnd('before');
  await using tail = new EventTail(db, fail, 5);
  const { types } = await follow(tail);
  await append('one', 'two');
  await append('three');
  await until(() => types.length >= 3);
  assert.deepEqual(types, ['one', 'two', 'three']);
});

test('ADV-01 who listens for one organization is handed nothing of another', async () => {
  await using tail = new EventTail(db, fail, 5);
  const [mine, theirs] = [await follow(tail), await follow(tail, 'org_b')];
  await append('mine');
  await transact(db, tx => appendEvent(tx, { ...actor, organizationId: 'org_b' }, now, 'theirs', {}));
  await append('mine too');
  await until(() => mine.types.length >= 2 && theirs.types.length >= 1);
  assert.deepEqual([mine.types, theirs.types], [['mine', 'mine too'], ['theirs']]);
});

test('an event of a transaction that commits late is not skipped: later ones wait for it', async () => {
  await using tail = new EventTail(db, fail, 5);
  const { types, from } = await follow(tail);
  const slow = new pg.Client(database.system as pg.ClientConfig);
  await slow.connect();
  try {
    await slow.query('begin');
    await slow.query(
      `insert into events (organization_id, type, actor, request_id, data, created_at) values ('org_a', 'slow', 'system', 'r', '{}', now())`,
    );
    await append('fast');
    await new Promise(resolve => setTimeout(resolve, 200));
    assert.deepEqual(types, [], 'what came after it must not be shown before it');
    await slow.query('commit');
    await until(() => types.length >= 2);
    assert.deepEqual(types, ['slow', 'fast']);
  } finally {
    await slow.end();
  }
  const again = await readEvents(db, from, 10);
  assert.deepEqual(
    again.map(e => e.type),
    ['slow', 'fast'],
    'and who comes back later sees the same',
  );
});

test('a transaction that is rolled back leaves no event and holds up nobody', async () => {
  await using tail = new EventTail(db, fail, 5);
  const { types } = await follow(tail);
  await assert.rejects(
    transact(db, async tx => {
      await appendEvent(tx, actor, now, 'never', {});
      throw new Error('no');
    }),
  );
  await append('after');
  await until(() => types.length >= 1);
  assert.deepEqual(types, ['after']);
});

test('many who subscribe at once, while events are written, miss nothing after their start', async () => {
  for (let round = 0; round < 5; round++) {
    await using tail = new EventTail(db, fail, 5);
    let writing = true;
    const writer = (async () => {
      for (let i = 0; writing; i++) await append(`e${round}.${i}`);
    })();
    const followers = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        for (let wait = 0; wait < i; wait++) await readEnd(db);
        return follow(tail);
      }),
    );
    await append(`end${round}`);
    writing = false;
    await writer;
    await until(() => followers.every(f => f.types.includes(`end${round}`)));
    await tail[Symbol.asyncDispose]();
    for (const { types, from } of followers) {
      const all = (await readEvents(db, from, 10_000)).map(e => e.type);
      assert.deepEqual(types, all.slice(0, types.length), 'what it was given is what follows its start');
      assert.ok(types.includes(`end${round}`));
    }
  }
});

test('who stops listening hears no more; with nobody left the table is not read', async () => {
  await using tail = new EventTail(db, fail, 5);
  const first = await follow(tail);
  const second = await follow(tail);
  first.stop();
  await append('for the second');
  await until(() => second.types.length === 1);
  assert.deepEqual(first.types, []);
  second.stop();
  await appendBehindTheEnd('for nobody');
  const third = await follow(tail);
  await append('for the third');
  await until(() => third.types.length >= 1);
  assert.deepEqual(third.types, ['for the third']);
});

test('more events than fit a page all arrive', async () => {
  await using tail = new EventTail(db, fail, 5);
  const { types } = await follow(tail);
  const many = Array.from({ length: 1_203 }, (_, i) => `n${i}`);
  await append(...many);
  await until(() => types.length >= many.length);
  assert.deepEqual(types, many);
});

test('a database that is away for a while costs a delay, no event', async () => {
  const errors: unknown[] = [];
  await using tail = new EventTail(db, error => errors.push(error), 5);
  const { types } = await follow(tail);
  const owner = new pg.Client(database.owner as pg.ClientConfig);
  await owner.connect();
  try {
    await appendBehindTheEnd('before');
    await owner.query('alter view facts rename to facts_away');
    await until(() => errors.length > 0);
    await owner.query('alter view facts_away rename to facts');
  } finally {
    await owner.end();
  }
  await append('after');
  await until(() => types.includes('after'));
  assert.deepEqual(types, ['before', 'after']);
});

test('only what this stream gives is a position', () => {
  assert.deepEqual(parsePosition('12-3'), { xid: '12', seq: '3' });
  assert.deepEqual(parsePosition('0-0'), { xid: '0', seq: '0' });
  assert.ok(parsePosition('18446744073709551615-9223372036854775807'));
  for (const wrong of ['', '-', '1', '1-', '-1', 'a-1', '1-1-1', ' 1-1', '1-1 ', '1.0-1', '1e3-1', "1-1'"]) {
    assert.equal(parsePosition(wrong), null, wrong);
  }
  for (const tooLarge of [
    '18446744073709551616-0',
    '99999999999999999999-0',
    '0-9223372036854775808',
    '1'.repeat(30),
  ]) {
    assert.equal(parsePosition(tooLarge), null, tooLarge);
  }
});
