import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkPath } from './paths.ts';

test('VAL-03 paths below the root of the repository are taken, in their plain form', () => {
  for (const [text, path] of [
    ['.', '.'],
    ['a', 'a'],
    ['a/b.txt', 'a/b.txt'],
    ['./a', 'a'],
    ['a/./b', 'a/b'],
    ['a//b', 'a/b'],
    ['a/', 'a'],
    ['a/../b', 'b'],
    ['/workspace', '.'],
    ['/workspace/', '.'],
    ['/workspace/a/b', 'a/b'],
    ['with space', 'with space'],
    ['-rf', '-rf'],
    ['--help', '--help'],
    ['$(id)', '$(id)'],
    ['new\nline', 'new\nline'],
    ['ünï/漢字 🦊', 'ünï/漢字 🦊'],
    ['..a', '..a'],
    ['a..b', 'a..b'],
    ['...', '...'],
    ['.gitignore', '.gitignore'],
    ['.github/x.yml', '.github/x.yml'],
    ['a.git/x', 'a.git/x'],
    ['%2e%2e/x', '%2e%2e/x'],
    ['..\\x', '..\\x'],
  ] as const) {
    assert.deepEqual(checkPath(text), { ok: true, path }, text);
  }
});

test('VAL-03 paths that lead out of it, or into .git, are refused with a reason', () => {
  for (const text of [
    '..',
    '../',
    '../x',
    '../../etc/passwd',
    'a/../..',
    'a/../../x',
    './../x',
    'a/b/../../../x',
    '/',
    '/etc/passwd',
    '//etc/passwd',
    '/workspace/..',
    '/workspace/../etc',
    '/workspace/../../etc/passwd',
    '/workspaces/x',
    '/workspace2',
    '/proc/self/environ',
    '/repository/repo.git/HEAD',
    'a\0b',
    '\0',
    '.git',
    '.git/',
    '.git/config',
    './.git/hooks/pre-commit',
    'a/../.git/config',
    'sub/.git/config',
    '.GIT/config',
    '.Git',
    '/workspace/.git/config',
    '/workspace//.git',
  ]) {
    const checked = checkPath(text);
    assert.equal(checked.ok, false, JSON.stringify(text));
    assert.ok(!checked.ok && checked.reason.length > 10);
  }
});

test('VAL-03 whatever an agent writes, a path that is taken stays below the root', () => {
  const part = fc.oneof(
    fc.constantFrom('..', '.', '', '/', 'workspace', '.git', 'a', '-x', '\0'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), parts => {
      const checked = checkPath(parts.join('/'));
      if (!checked.ok) return;
      const names = checked.path.split('/');
      assert.ok(!checked.path.startsWith('/') && !checked.path.includes('\0'));
      assert.ok(!names.includes('..') && !names.some(name => name.toLowerCase() === '.git'));
      assert.ok(checked.path !== '');
    }),
  );
});
