import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chooseCheck, makeDemoRepository } from './repository.ts';

async function scratch(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'guildhall-demo-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function runTests(directory: string): { status: number | null; failed: string } {
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap'], {
    cwd: directory,
    env,
    encoding: 'utf8',
  });
  return { status, failed: /^# fail (\d+)$/m.exec(stdout)?.[1] ?? '' };
}

test('the demo repository is committed and clean, and exactly one of its tests fails', async () => {
  await using dir = await scratch();
  // Settings of the user that would get in the way are not used.
  const env = { ...process.env, GIT_DIR: '/nowhere', GIT_CONFIG_GLOBAL: '/dev/null', HOME: dir.path };
  const repository = await makeDemoRepository(dir.path, env);
  const git = (...args: string[]) =>
    spawnSync('git', args, { cwd: repository, encoding: 'utf8' }).stdout.trim();
  assert.equal(git('status', '--porcelain'), '');
  assert.equal(git('log', '--format=%an %s'), 'Guildhall demo Invoices: lines, tax, instalments');
  assert.equal(git('branch', '--show-current'), 'main');
  assert.deepEqual(runTests(repository), { status: 1, failed: '1' });
});

test('its fault is a believable one: mended in one place, all tests pass', async () => {
  await using dir = await scratch();
  const copy = join(dir.path, 'copy');
  await cp(join(import.meta.dirname, '../../examples/demo-repository'), copy, { recursive: true });
  const file = join(copy, 'src/money.js');
  await writeFile(file, (await readFile(file, 'utf8')).replace('index <= rest', 'index < rest'));
  assert.deepEqual(runTests(copy), { status: 0, failed: '0' });
});

test('the check is the test script of a repository, otherwise the runner of Node', async () => {
  await using dir = await scratch();
  const choose = async (text: string) => {
    await writeFile(join(dir.path, 'package.json'), text);
    return chooseCheck(dir.path);
  };
  assert.equal(await chooseCheck(dir.path), 'node --test');
  assert.equal(await choose('{"scripts": {"test": "vitest run"}}'), 'npm test');
  assert.equal(
    await choose('{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'),
    'node --test',
  );
  assert.equal(await choose('{}'), 'node --test');
  assert.equal(await choose('{ broken'), 'node --test');
});
