/** Building the page: a checkout has its source only, a published package ships it built. */
import { spawn } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { rootDirectory } from './app.ts';
import { Problem } from './base/problem.ts';

const pageRoot = join(rootDirectory, 'web');
const vite = join(rootDirectory, 'node_modules/vite/bin/vite.js');

/** Builds the page when it is missing or older than its source. Does nothing where there is no source. */
export async function buildPage(tell: (sentence: string) => void): Promise<void> {
  const source = await newest(join(pageRoot, 'src'));
  if (source === null) return;
  const built = await stat(join(pageRoot, 'dist/index.html')).then(
    info => info.mtimeMs,
    () => 0,
  );
  if (built >= source || !(await stat(vite).catch(() => null))) return;
  tell('Building the page (only when it has changed) …');
  await new Promise<void>((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [vite, 'build', '--config', join(pageRoot, 'vite.config.ts'), '--logLevel', 'warn'],
      {
        cwd: rootDirectory,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let output = '';
    child.stdout.on('data', chunk => (output += chunk));
    child.stderr.on('data', chunk => (output += chunk));
    child.on('error', reject);
    child.on('close', code => {
      if (code === 0) resolve();
      else
        reject(
          new Problem(
            'unavailable',
            'page_not_built',
            `The page could not be built: ${output.trim().slice(-800)}`,
          ),
        );
    });
  });
}

async function newest(directory: string): Promise<number | null> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => null);
  if (!entries) return null;
  const times = await Promise.all(
    entries.filter(e => e.isFile()).map(e => stat(join(e.parentPath, e.name)).then(info => info.mtimeMs)),
  );
  return times.length > 0 ? Math.max(...times) : null;
}
