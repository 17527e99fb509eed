/** The repository that the page's tests give to a team: a shop whose discount raises the price. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const shop: Record<string, string> = {
  'package.json': '{"name":"shop","type":"module","scripts":{"test":"node --test"}}\n',
  'src/cart.js': [
    '/** What a line costs after its discount. */',
    'export function lineTotal(line) {',
    '  return line.price * line.count + line.discount;',
    '}',
    '',
    'export function cartTotal(lines) {',
    '  return lines.reduce((sum, line) => sum + lineTotal(line), 0);',
    '}',
    '',
  ].join('\n'),
  'test/cart.test.js': [
    "import assert from 'node:assert/strict';",
    "import test from 'node:test';",
    "import { lineTotal } from '../src/cart.js';",
    '',
    "test('a discount lowers the price of its line', () => {",
    '  assert.equal(lineTotal({ price: 500, count: 2, discount: 100 }), 900);',
    '});',
    '',
  ].join('\n'),
};

export async function makeRepository(): Promise<AsyncDisposable & { path: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'guildhall-page-'));
  const path = join(folder, 'acme/shop');
  for (const [name, content] of Object.entries(shop)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), content);
  }
  // Readable for the sandbox's user, as repositories usually are.
  await chmod(folder, 0o755);
  const git = (...args: string[]) =>
    run('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.com', ...args], { cwd: path });
  await git('init', '-q', '-b', 'main');
  await git('add', '-A');
  await git('commit', '-q', '-m', 'Begin');
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
