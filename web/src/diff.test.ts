import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseDiff } from './diff.ts';

test('lines get the numbers of both sides', () => {
  const [file] = parseDiff(
    [
      'diff --git a/a.js b/a.js',
      '--- a/a.js',
      '+++ b/a.js',
      '@@ -3,3 +3,3 @@ f()',
      ' x',
      '-y',
      '+z',
      ' w',
      '',
    ].join('\n'),
  );
  assert.equal(file?.path, 'a.js');
  assert.deepEqual(
    file?.hunks[0]?.lines.map(l => [l.kind, l.before, l.after, l.text]),
    [
      ['same', 3, 3, 'x'],
      ['del', 4, null, 'y'],
      ['add', null, 4, 'z'],
      ['same', 5, 5, 'w'],
    ],
  );
});

test('text that looks like a header stays text', () => {
  const [file, other] = parseDiff(
    [
      'diff --git a/s.sql b/s.sql',
      '--- a/s.sql',
      '+++ b/s.sql',
      '@@ -1,2 +1,2 @@',
      '--- old comment',
      '+++ new',
      ' diff --git',
      '',
    ].join('\n'),
  );
  assert.equal(other, undefined);
  assert.deepEqual(
    file?.hunks[0]?.lines.map(l => l.text),
    ['-- old comment', '++ new', 'diff --git'],
  );
});

test('nothing at all is no files', () => {
  assert.deepEqual(parseDiff(''), []);
});

test('what git itself prints: new, deleted, renamed, binary, no newline, unusual names', t => {
  const folder = mkdtempSync(join(tmpdir(), 'diff-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const git = (...args: string[]): string =>
    execFileSync(
      'git',
      ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'init.defaultBranch=main', ...args],
      {
        cwd: folder,
        encoding: 'utf8',
        env: { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: '1' },
      },
    );
  git('init', '-q');
  const file = (name: string, content: string | Buffer) => writeFileSync(join(folder, name), content);
  file('gone.txt', 'a\nb\n');
  file('old name.txt', Array.from({ length: 20 }, (_, i) => `line ${i}`).join('\n'));
  file('bin', Buffer.from([0, 1, 2]));
  git('add', '-A');
  git('commit', '-qm', 'before');
  rmSync(join(folder, 'gone.txt'));
  renameSync(join(folder, 'old name.txt'), join(folder, 'new name.txt'));
  file('bin', Buffer.from([0, 3, 4]));
  file('größe.txt', 'neu');
  file('empty', '');
  git('add', '-A');
  const files = parseDiff(git('diff', '--cached', '-M'));
  const seen = new Map(files.map(f => [f.path, f]));
  assert.deepEqual(new Set(seen.keys()), new Set(['bin', 'empty', 'gone.txt', 'größe.txt', 'new name.txt']));
  assert.equal(seen.get('gone.txt')?.change, 'deleted');
  assert.equal(seen.get('gone.txt')?.deleted, 2);
  assert.equal(seen.get('new name.txt')?.change, 'renamed');
  assert.equal(seen.get('new name.txt')?.from, 'old name.txt');
  assert.equal(seen.get('bin')?.binary, true);
  assert.equal(seen.get('größe.txt')?.change, 'added');
  assert.deepEqual(
    seen.get('größe.txt')?.hunks[0]?.lines.map(l => [l.kind, l.text]),
    [
      ['add', 'neu'],
      ['note', 'No newline at end of file'],
    ],
  );
  assert.equal(seen.get('empty')?.change, 'added');
});
