/** Branches of a repository as its files say, loose or packed: read without running git there. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '../../base/problem.ts';

/** What a branch points to: the name of a commit, or the text of a symbolic reference. Null: there is none. */
export async function readReference(common: string, branch: string): Promise<string | null> {
  const loose = await readFile(join(common, 'refs/heads', branch), 'utf8').catch(() => null);
  if (loose !== null) return loose.trim();
  return (await readPacked(common)).get(`refs/heads/${branch}`) ?? null;
}

/** https://git-scm.com/docs/git-pack-refs: a line for each, `#` opens a comment, `^` what a tag leads to. */
async function readPacked(common: string): Promise<Map<string, string>> {
  const text = await readFile(join(common, 'packed-refs'), 'utf8').catch(() => '');
  const found = text.matchAll(/^([0-9a-f]{40,64}) (\S+)$/gm);
  return new Map([...found].map(([, hash = '', name = '']) => [name, hash]));
}

/**
 * Git keeps branches as files in folders: `a` and `a/b` cannot both be.
 * @throws Problem `delivery_refused` that names the branch in the way.
 */
export async function requireFreeName(common: string, branch: string): Promise<void> {
  const refuse = (other: string) =>
    new Problem(
      'invalid',
      'delivery_refused',
      `The source has a branch ${other}, beside which git cannot have ${branch}. Rename it, then try the task again.`,
    );
  const parts = branch.split('/');
  for (let n = 1; n < parts.length; n++) {
    const other = parts.slice(0, n).join('/');
    if ((await readReference(common, other)) !== null) throw refuse(other);
  }
  const below = [...(await readPacked(common)).keys()].find(name => name.startsWith(`refs/heads/${branch}/`));
  if (below) throw refuse(below.slice('refs/heads/'.length));
  const info = await stat(join(common, 'refs/heads', branch)).catch(() => null);
  if (info?.isDirectory()) throw refuse(`${branch}/…`);
}
