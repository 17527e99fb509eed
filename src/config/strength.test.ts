import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { placeholderReason, weaknessReason } from './strength.ts';

test('SEC-05 what everybody tries first is refused, however it is dressed up', () => {
  for (const value of [
    'changeme',
    'ChangeMe!',
    'change-me-please',
    'CHANGE_ME_IN_PRODUCTION',
    'secret',
    'password',
    'password123',
    'PASSWORD',
    'admin',
    'admin-1',
    'postgres',
    'root',
    'guildhall',
    'minioadmin',
    'supersecret',
    'your-secret-key',
    'your_api_key_here',
    'sk-ant-your-key',
    'sk-...',
    '<your key>',
    `$${'{DB_PASSWORD}'}`,
    '{{ secret }}',
    '[secret]',
    'replace-with-32-random-bytes',
    'example-password',
    'xxxxxxxx',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    'abcabcabcabcabcabcabcabcabcabcabcabc',
    '0123456789',
    'abcdefghijklmnopqrstuvwxyz',
    '0123456789abcdef0123456789abcdef',
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
    Buffer.from('changeme').toString('base64'),
    Buffer.from('12345678901234567890123456789012').toString('base64'),
  ]) {
    assert.notEqual(placeholderReason(value), null, value);
  }
});

test('SEC-05 a secret with fewer than 128 bits is weak, and one that only looks long too', () => {
  for (const value of [
    'P@ssw0rd!',
    'Tr0ub4dor&3',
    'qwertyuiopasdfghjklzxcvbnm',
    'my super secret of the company',
    'correct-horse-battery-staple-and-some-more-words',
    'GuildhallGuildhallGuildhall',
    'f3b1c2d4e5a60718', // 64 bits in hexadecimal
    '836492610473829', // digits
    Buffer.from('correct horse battery staple, 32').toString('base64'),
  ]) {
    assert.match(weaknessReason(value) ?? `${value} passes`, /^is weak \(about \d+ of 128 bits\)/);
  }
});

test('SEC-05 random values pass: 16 and 32 bytes, in hexadecimal and base64', () => {
  // Random enough, and the same on every run.
  const bytes = (n: number, length: number) =>
    createHash('sha512').update(`value ${n}`).digest().subarray(0, length);
  for (let n = 0; n < 500; n++) {
    for (const value of [
      bytes(n, 32).toString('base64'),
      bytes(n, 32).toString('base64url'),
      bytes(n, 32).toString('hex'),
      bytes(n, 16).toString('hex'),
      bytes(n, 24).toString('base64url'),
    ]) {
      assert.deepEqual([placeholderReason(value), weaknessReason(value)], [null, null], value);
    }
  }
});
