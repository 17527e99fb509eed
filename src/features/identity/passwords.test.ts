import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Problem } from '../../base/problem.ts';
import { hashPassword, requireGoodPassword, verifyPassword } from './passwords.ts';

const ann = { email: 'ann.miller@example.com', name: 'Ann Miller' };
const codeOf = (password: string): string | null => {
  try {
    requireGoodPassword(password, ann);
    return null;
  } catch (error) {
    assert.ok(error instanceof Problem);
    return error.code;
  }
};

test('what an attacker tries first is refused, however it is dressed up', () => {
  for (const password of [
    ...['password1234', 'Password1234!', 'P@ssw0rd12345', '!!!passw0rd!!!', 'qwertyuiop12', 'QWERTYUIOP2026'],
    ...['letmeinnow99', 'iloveyou1234', 'administrator1', 'changeme12345', 'welcome12345', 'Guildhall2026!'],
    ...['aaaaaaaaaaaa', '123456789012', '0987654321098', 'abcdefghijklm', 'abcabcabcabc', 'qwertqwertqwert'],
    ...['111111222222', 'zxcvbnmasdfgh', 'xY1!xY1!xY1!', 'correcthorsebatterystaple'],
    ...['ann.miller2026', 'AnnMiller123', 'millerann.miller', 'ann.miller@example.com'],
  ])
    assert.equal(codeOf(password), 'password_too_common', password);
});

test('passphrases and random ones are let in, also those that contain a common word', () => {
  for (const password of [
    ...['seven green teapots sail', 'my password is a purple hippo', 'kX9#vLq2!mZp', 'łódź zażółć gęślą'],
    ...['ann miller likes orange boats', '日本語の長いパスワードです今日', '4071 sunsets and a cat'],
  ])
    assert.equal(codeOf(password), null, password);
});

test('a password has twelve characters, as people count them, and not endlessly many', () => {
  assert.equal(codeOf('kX9#vLq2!mZ'), 'password_too_short');
  assert.equal(codeOf('🦊🐻🐼🐨🐯🦁'), 'password_too_short', 'six characters of twelve units');
  assert.equal(codeOf(`${'kX9#vLq2!mZp'.repeat(20)}`), 'password_too_long');
});

test('a hash is argon2id, different every time, and only its own password verifies', async () => {
  const [one, two] = await Promise.all([
    hashPassword('seven green teapots'),
    hashPassword('seven green teapots'),
  ]);
  assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  assert.notEqual(one, two);
  assert.equal(await verifyPassword(one, 'seven green teapots'), true);
  assert.equal(await verifyPassword(one, 'seven green teapot'), false);
  for (const broken of ['', 'x', '$argon2id$v=19$m=1,t=1,p=1$x', '$2b$10$abcdefghijklmnopqrstuv'])
    assert.equal(await verifyPassword(broken, 'seven green teapots'), false, broken);
});
