/**
 * The same tests again with a server that is an ordinary user, when this one is root: no uid to choose, no mounts to
 * stage, mostly no control groups. The user gets copies, because a checkout may lie where only root can read.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isReachable } from '../../src/drivers/sandboxes/mounts.ts';

const nobody = 65534;
const repository = fileURLToPath(new URL('../../', import.meta.url));
const needed = [
  'package.json',
  'src/base/problem.ts',
  'src/features/sandboxes',
  'src/drivers/sandboxes',
  'test/attacks',
];
const files = [
  'src/drivers/sandboxes/bwrap.test.ts',
  'test/attacks/attacks.test.ts',
  'test/attacks/host.test.ts',
  'test/attacks/lifecycle.test.ts',
  'test/attacks/resources.test.ts',
];

test('SBX-05 all of it holds for a server that is an ordinary user', async t => {
  if (process.getuid?.() !== 0) return t.skip('this server is an ordinary user already');
  const directory = mkdtempSync(join(tmpdir(), 'guildhall-as-user-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755);
  for (const path of needed) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    cpSync(join(repository, path), join(directory, path), { recursive: true });
  }
  const temporary = join(directory, 'tmp');
  mkdirSync(temporary, { mode: 0o700 });
  chownSync(temporary, nobody, nobody);

  const child = spawn(
    nodeFor(directory),
    ['--test', '--test-concurrency=2', '--test-reporter=tap', ...files],
    {
      cwd: directory,
      env: { TMPDIR: temporary, PATH: '/usr/bin:/bin' },
      uid: nobody,
      gid: nobody,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let report = '';
  for await (const chunk of child.stdout) report += chunk;
  const count = (word: string) =>
    Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(report)?.[1] ?? Number.NaN);
  const failures = report.match(/^\s*not ok .*$[\s\S]*?^\s*\.\.\.$/gm)?.join('\n') ?? '';
  assert.equal(count('fail'), 0, failures || report.slice(-3000));
  t.diagnostic(`${count('pass')} passed, ${count('skipped')} skipped`);
  assert.ok(count('pass') > 100 || count('skipped') > 0);
});

/** This node binary, or a copy where the user can run it. */
function nodeFor(directory: string): string {
  if (isReachable(process.execPath)) return process.execPath;
  const copy = join(directory, 'node');
  copyFileSync(process.execPath, copy);
  chmodSync(copy, 0o755);
  accessSync(copy, constants.X_OK);
  return copy;
}
