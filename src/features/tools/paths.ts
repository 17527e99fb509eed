/**
 * Paths that agents name: relative, below the root of the repository. The sandbox is what protects the host (it
 * shows nothing else); this check gives a clear answer early and keeps agents out of `.git`.
 */
import { posix } from 'node:path';

export type PathCheck = { ok: true; path: string } | { ok: false; reason: string };

export function checkPath(text: string): PathCheck {
  const refuse = (reason: string): PathCheck => ({ ok: false, reason });
  if (text.includes('\0')) return refuse('the path has a NUL character');
  if (posix.isAbsolute(text) && !text.startsWith('/workspace/') && text !== '/workspace') {
    return refuse(`${text} is outside the repository: give a path relative to its root`);
  }
  const path = posix.normalize(text.replace(/^\/workspace\/?/, '') || '.').replace(/\/$/, '');
  if (path === '..' || path.startsWith('../') || posix.isAbsolute(path))
    return refuse(`${text} is outside the repository`);
  if (path.split('/').some(part => part.toLowerCase() === '.git'))
    return refuse('the .git folder is not for tools: use git_diff and git_commit');
  return { ok: true, path };
}
