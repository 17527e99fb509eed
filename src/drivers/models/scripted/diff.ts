/** A unified diff, and what a verifier must object to in it whatever the checks say. */
import { isTestFile } from './test-files.ts';

export interface FileChange {
  path: string;
  added: string[];
  removed: string[];
}

export function readDiff(text: string): FileChange[] {
  const changes: FileChange[] = [];
  let inHunk = false;
  for (const line of text.split('\n')) {
    const header = /^diff --git (?:"?a\/(.+?)"?) "?b\/(.+?)"?$/.exec(line);
    if (header) {
      changes.push({ path: header[2]!, added: [], removed: [] });
      inHunk = false;
    } else if (line.startsWith('@@')) {
      inHunk = true;
    } else if (inHunk && line.startsWith('+')) {
      changes.at(-1)?.added.push(line.slice(1));
    } else if (inHunk && line.startsWith('-')) {
      changes.at(-1)?.removed.push(line.slice(1));
    }
  }
  return changes;
}

const assertion = /\b(assert|expect|should)\b/;
const silenced =
  /\.(skip|only|todo)\b|\b(xit|xdescribe|xtest|fit|fdescribe)\s*\(|\b(skip|todo|only):\s*true|pytest\.mark\.(skip|xfail)|@unittest\.skip/;
const testScript = /"(pre|post)?test[^"]*"\s*:/;

/** Reasons to fail a change: it touches tests, weakens them, or changes the command that runs them. */
export function objections(changes: FileChange[]): string[] {
  const found: string[] = [];
  for (const { path, added, removed } of changes) {
    if (/(^|\/)package\.json$/.test(path) && [...added, ...removed].some(line => testScript.test(line))) {
      found.push(`${path} changes the test script.`);
    }
    if (!isTestFile(path)) continue;
    found.push(`${path} is a test, and the change touches it.`);
    const count = (lines: string[]) => lines.filter(line => assertion.test(line)).length;
    if (count(removed) > count(added))
      found.push(`${path} loses ${count(removed) - count(added)} assertions.`);
    if (added.some(line => silenced.test(line))) found.push(`${path} skips tests or runs only some.`);
  }
  return found;
}
