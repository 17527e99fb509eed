import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ago, count, duration, initials, laneOf, money, offset, repositoryName, shortId } from './format.ts';

test('money keeps four decimals below a dollar and never shows a charge as nothing', () => {
  assert.equal(money(0), '$0.0000');
  assert.equal(money(12_300), '$0.0123');
  assert.equal(money(1), '<$0.0001');
  assert.equal(money(50), '$0.0001');
  assert.equal(money(3_284_210), '$3.28');
});

test('counts are short, without zeros that say nothing', () => {
  assert.deepEqual([0, 812, 999, 8_000, 1_200, 1_250, 12_340, 999_949, 999_950, 4_560_000].map(count), [
    '0',
    '812',
    '999',
    '8k',
    '1.2k',
    '1.25k',
    '12.3k',
    '999.9k',
    '1M',
    '4.56M',
  ]);
});

test('durations take the two units that matter', () => {
  assert.equal(duration(0), '0 ms');
  assert.equal(duration(412), '412 ms');
  assert.equal(duration(1_412), '1.4 s');
  assert.equal(duration(59_400), '59 s');
  assert.equal(duration(59_600), '1 min');
  assert.equal(duration(200_000), '3 min 20 s');
  assert.equal(duration(3_600_000), '1 h');
  assert.equal(duration(100 * 3_600_000), '4 d 4 h');
  assert.equal(duration(-5), '0 s');
});

test('ago counts both ways and ends in a date', () => {
  const now = Date.UTC(2026, 0, 31, 12);
  assert.equal(ago(now - 4_000, now), 'now');
  assert.equal(ago(now - 40_000, now), '40 s ago');
  assert.equal(ago(now - 3 * 3_600_000, now), '3 h ago');
  assert.equal(ago(now + 20 * 60_000, now), 'in 20 min');
  assert.match(ago(now - 400 * 86_400_000, now), /2024/);
});

test('an offset is a clock since the start', () => {
  assert.equal(offset(7_900), '+0:07');
  assert.equal(offset(750_000), '+12:30');
  assert.equal(offset(3_723_000), '+1:02:03');
  assert.equal(offset(-1), '+0:00');
});

test('names of repositories come from paths, URLs and scp-like addresses', () => {
  assert.equal(repositoryName('/srv/git/acme/shop'), 'acme/shop');
  assert.equal(repositoryName('https://github.com/acme/shop.git'), 'acme/shop');
  assert.equal(repositoryName('git@example.org:acme/shop.git'), 'acme/shop');
  assert.equal(repositoryName('/'), '/');
});

test('ids are short but end in what tells them apart', () => {
  assert.equal(shortId('task_01jd3abcdefghjkmnpqrstvwxy'), 'task_…rstvwxy'.replace('rstvwxy', 'stvwxy'));
  assert.equal(shortId('mem_1'), 'mem_1');
});

test('faces of agents are letters and a colour that stays', () => {
  assert.equal(initials('engineering-manager'), 'EM');
  assert.equal(initials('lead'), 'LE');
  assert.equal(initials(''), '?');
  assert.equal(laneOf('coder'), laneOf('coder'));
  assert.ok([...'abcdefgh'].every(name => laneOf(name) >= 0 && laneOf(name) < 8));
});
