import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countedAs, isRange } from './addresses.ts';
import { defaultQuotas, readQuotas } from './limits.ts';

test('RL-02 a text changes the limits that it names and no other', () => {
  assert.deepEqual(readQuotas(''), { quotas: defaultQuotas });
  assert.deepEqual(readQuotas(' login=3 , global=1000000,'), {
    quotas: { ...defaultQuotas, login: 3, global: 1_000_000 },
  });
});

test('RL-02 a limit that there is not, or no number, is a fault that names it', () => {
  for (const text of [
    'logins=3',
    'login',
    'login=',
    'login=0',
    'login=-1',
    'login=1e3',
    'login=3.5',
    'read=off',
    '__proto__=3',
    'read=9999999999',
  ]) {
    const read = readQuotas(text);
    assert.ok('fault' in read && read.fault.startsWith(text.split('=')[0] as string), text);
  }
});

test('X-42 an address is counted in one form: IPv6 by its first 64 bits, mapped IPv4 as IPv4', () => {
  const forms: [string, string | null][] = [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:0DB8:0000:0000:1:2:3:4', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4::/64'],
    ['', null],
    ['unknown', null],
    ['203.0.113.7:80', null],
    ['203.0.113', null],
    ['[::1]', null],
    ['1.2.3.4, 5.6.7.8', null],
  ];
  for (const [address, expected] of forms) assert.equal(countedAs(address), expected, address);
  assert.equal(countedAs(undefined), null);
});

test('X-42 a trusted proxy is named by its address or a range', () => {
  for (const text of ['10.0.0.0/8', '127.0.0.1', '::1', '2001:db8::/32', '0.0.0.0/0'])
    assert.ok(isRange(text), text);
  for (const text of [
    '10.0.0.0/33',
    '2001:db8::/129',
    '10.0.0.0/8/8',
    'loopback',
    'example.com',
    '10.0.0.0/',
    '*',
  ]) {
    assert.ok(!isRange(text), text);
  }
});
