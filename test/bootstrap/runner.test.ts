/** The test runner: what it counts, what it hides from the tests, and that it cannot be green by accident. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runInNewContext } from 'node:vm';

const here = join(import.meta.dirname, '..', '..');
let root: string;

before(async () => {
  root = await mkdtemp('/tmp/guildhall-runner-');
  await mkdir(join(root, 'src'));
  await mkdir(join(root, 'test', 'heavy'), { recursive: true });
  await cp(join(here, 'test', 'run.ts'), join(root, 'test', 'run.ts'));
  await cp(join(here, 'test', 'runner'), join(root, 'test', 'runner'), { recursive: true });
  await writeFile(join(root, 'package.json'), '{"type":"module"}');
  const files: Record<string, string> = {
    'src/mixed.test.ts': `
      test('good', () => {});
      test('bad', () => assert.equal(1, 2));
      test('later', { skip: 'no such program here' }, () => {});
      test('parent', async t => { await t.test('child', () => { throw new Error('inner'); }); });
      describe('group', () => { test('grouped', () => {}); });`,
    'src/empty.test.ts': '',
    'src/broken.test.ts': `console.log('on the way'); throw new Error('at the top');`,
    'src/good.test.ts': `
      test('the order', () => fs.appendFileSync('order', 'quick '));
      test('the environment', () => assert.deepEqual(
        Object.keys(process.env).filter(name => /GUILDHALL|ANTHROPIC|OPENAI|DATABASE|REDIS|^PORT$/.test(name)), []));`,
    'test/heavy/last.test.ts': `test('the order', () => fs.appendFileSync('order', 'heavy '));`,
    'src/hangs.test.ts': `test('done', () => {}); setInterval(() => {}, 1000);`,
  };
  const head = `import assert from 'node:assert/strict'; import fs from 'node:fs'; import { describe, test } from 'node:test';\n`;
  for (const [name, text] of Object.entries(files)) await writeFile(join(root, name), head + text);
});
after(() => rm(root, { recursive: true, force: true }));

async function execute(
  program: string,
  args: string[],
): Promise<{ code: number | null; output: string; last: string }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const secrets = {
    GUILDHALL_MODEL: 'x/y',
    ANTHROPIC_API_KEY: 'sk',
    OPENAI_BASE_URL: 'http://x',
    DATABASE_URL: 'x',
    PORT: '1',
  };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...args], {
    cwd: root,
    env: { ...env, ...secrets },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', text => (output += text));
  child.stderr.setEncoding('utf8').on('data', text => (output += text));
  const code = await new Promise<number | null>(resolve => child.once('close', resolve));
  return { code, output, last: output.trimEnd().split('\n').at(-1)! };
}
const run = (...args: string[]) => execute(join(root, 'test', 'run.ts'), args);

test('passes, failures and skips are counted, named and explained', async () => {
  const { code, output, last } = await run('mixed');
  assert.equal(code, 1);
  assert.equal(last, '2 passed, 2 failed, 1 skipped');
  assert.match(output, /✗ src\/mixed\.test\.ts {2}2 passed, 2 failed, 1 skipped/);
  assert.match(output, /later \(no such program here\)/);
  assert.match(output, /✗ src\/mixed\.test\.ts: bad\n.*Expected values to be strictly equal/);
  assert.match(output, /✗ src\/mixed\.test\.ts: parent › child\n.*Error: inner/);
});

test('the quick ones first, and nobody’s keys or databases reach them', async () => {
  const { code, output, last } = await run('good', 'last');
  assert.deepEqual({ code, last }, { code: 0, last: '3 passed, 0 failed' }, output);
  assert.equal(await readFile(join(root, 'order'), 'utf8'), 'quick heavy ');
});

test('a file without tests, or with an error outside them, is a failure', async () => {
  const { code, output, last } = await run('empty', 'broken');
  assert.deepEqual({ code, last }, { code: 1, last: '0 passed, 2 failed' });
  assert.match(output, /src\/empty\.test\.ts\n {4}it has no tests/);
  assert.match(
    output,
    /it ended with an error outside its tests\n {4}It printed:\n {4}on the way\n.*Error: at the top/s,
  );
});

test('nothing that ran is not a success', async () => {
  const { code, last } = await run('no-such-file');
  assert.deepEqual({ code, last }, { code: 1, last: '0 passed, 0 failed' });
});

test('--only chooses tests by title', async () => {
  const { code, last } = await run('--only', 'good', 'mixed');
  assert.deepEqual({ code, last }, { code: 0, last: '1 passed, 0 failed' });
});

test('an option that does not exist is refused', async () => {
  const { code, last } = await run('--onyl', 'x');
  assert.equal(code, 2);
  assert.match(last, /--onyl/);
});

test('a file that does not end is ended', async () => {
  const program = join(root, 'limited.ts');
  await writeFile(
    program,
    `import { runFile } from './test/runner/file.ts';
     const limits = { testMs: 1000, fileMs: 1500 };
     const file = ${JSON.stringify(join(root, 'src', 'hangs.test.ts'))};
     const { failures } = await runFile(${JSON.stringify(root)}, file, limits, undefined, new AbortController().signal);
     console.log(failures.length, failures[0]?.text);`,
  );
  const { last } = await execute(program, []);
  assert.equal(
    last,
    '1 it was still running after 1.5 s: a test hangs, or something that it opened was not closed',
  );
});

test('the npm scripts tell a Node that is too old what to do, in JavaScript that it can read', async () => {
  const text = await readFile(join(here, 'bin', 'check-node.mjs'), 'utf8');
  const tell = (node: string) => {
    const said: string[] = [];
    const exits: number[] = [];
    const process = {
      versions: { node },
      argv: ['node', 'check-node.mjs', 'test'],
      exit: (code: number) => exits.push(code),
    };
    runInNewContext(text, { process, console: { error: (line: string) => said.push(line) } });
    return { said: said.join('\n'), exits };
  };
  for (const old of ['12.22.0', '20.20.2', '22.18.0']) {
    assert.deepEqual(tell(old).exits, [1]);
    assert.match(
      tell(old).said,
      new RegExp(`22\\.19 or newer.*this is ${old}\\.\n.*run \\./guildhall test, which fetches`),
    );
  }
  for (const fit of ['22.19.0', '24.0.0', '100.1.0']) assert.deepEqual(tell(fit), { said: '', exits: [] });
  assert.doesNotMatch(text, /=>|\b(?:const|let|import|class)\b|`/);
});
