/** The repository of a demo: a fresh copy of the example under git, or the one that was given. */
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Problem } from '../../src/base/problem.ts';
import type { Environment } from '../places.ts';

const run = promisify(execFile);
const example = join(import.meta.dirname, '../../examples/demo-repository');

/** Copies the example and commits it. @returns its path. */
export async function makeDemoRepository(dataDir: string, env: Environment): Promise<string> {
  const time = new Date().toISOString().replace(/[-:]/g, '').replace('.', '-');
  const directory = join(dataDir, 'demo', time, 'invoicing');
  await mkdir(directory, { recursive: true });
  await cp(example, directory, { recursive: true });
  const git = gitIn(directory, env);
  await git('init', '--quiet');
  await git('symbolic-ref', 'HEAD', 'refs/heads/main');
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'Invoices: lines, tax, instalments');
  return directory;
}

/** Needs no git configuration and takes none: neither hooks nor signing nor a repository around it. */
function gitIn(directory: string, env: Environment): (...args: string[]) => Promise<void> {
  const clean = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('GIT_')));
  const settings = [
    ['user.name', 'Guildhall demo'],
    ['user.email', 'demo@guildhall.invalid'],
    ['commit.gpgSign', 'false'],
    ['core.hooksPath', '/dev/null'],
    ['core.autocrlf', 'false'],
  ].flatMap(([name, text]) => ['-c', `${name}=${text}`]);
  return async (...args) => {
    try {
      await run('git', [...settings, ...args], { cwd: directory, env: clean });
    } catch (error) {
      const { code, stderr } = error as { code?: unknown; stderr?: string };
      const reason = code === 'ENOENT' ? 'git is not installed' : (stderr ?? '').trim();
      throw new Problem(
        'unavailable',
        'demo_repository_failed',
        `The demo repository could not be made: ${reason}.`,
      );
    }
  };
}

/** What shows that a JavaScript repository works: its test script, or Node's own runner. */
export async function chooseCheck(directory: string): Promise<string> {
  const text = await readFile(join(directory, 'package.json'), 'utf8').catch(() => '{}');
  try {
    const { scripts } = JSON.parse(text) as { scripts?: { test?: unknown } };
    const script = typeof scripts?.test === 'string' ? scripts.test : '';
    return script !== '' && !script.includes('no test specified') ? 'npm test' : 'node --test';
  } catch {
    return 'node --test';
  }
}
