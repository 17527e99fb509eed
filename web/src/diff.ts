/** Reads a unified diff as git prints it: files, hunks, numbered lines. */

export interface DiffLine {
  kind: 'add' | 'del' | 'same' | 'note';
  text: string;
  before: number | null;
  after: number | null;
}

export interface Hunk {
  header: string;
  lines: DiffLine[];
}

export interface FileDiff {
  path: string;
  /** Present when the file was renamed or copied. */
  from: string | null;
  change: 'added' | 'deleted' | 'renamed' | 'modified';
  binary: boolean;
  added: number;
  deleted: number;
  hunks: Hunk[];
}

export function parseDiff(diff: string): FileDiff[] {
  const files: FileDiff[] = [];
  const lines = diff.split('\n');
  if (lines.at(-1) === '') lines.pop();
  let file: FileDiff | null = null;
  let hunk: Hunk | null = null;
  // How many lines of each side the hunk still holds: only so can `--- a` in the text be told from a header.
  let left = { before: 0, after: 0 };
  let next = { before: 0, after: 0 };
  for (const line of lines) {
    if (hunk && (left.before > 0 || left.after > 0 || line.startsWith('\\'))) {
      addLine(file as FileDiff, hunk, line, left, next);
      continue;
    }
    if (line.startsWith('diff --git ')) {
      file = newFile(pathOfHeader(line));
      files.push(file);
      hunk = null;
      continue;
    }
    const range = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line);
    if (range && file) {
      next = { before: Number(range[1]), after: Number(range[3]) };
      left = { before: Number(range[2] ?? 1), after: Number(range[4] ?? 1) };
      hunk = { header: line, lines: [] };
      file.hunks.push(hunk);
      continue;
    }
    if (!file && line.startsWith('--- ')) {
      file = newFile('');
      files.push(file);
    }
    if (file) readHeader(file, line);
  }
  return files;
}

const newFile = (path: string): FileDiff => ({
  path,
  from: null,
  change: 'modified',
  binary: false,
  added: 0,
  deleted: 0,
  hunks: [],
});

function addLine(
  file: FileDiff,
  hunk: Hunk,
  line: string,
  left: { before: number; after: number },
  next: { before: number; after: number },
): void {
  const text = line.slice(1);
  if (line.startsWith('+')) {
    hunk.lines.push({ kind: 'add', text, before: null, after: next.after++ });
    left.after--;
    file.added++;
  } else if (line.startsWith('-')) {
    hunk.lines.push({ kind: 'del', text, before: next.before++, after: null });
    left.before--;
    file.deleted++;
  } else if (line.startsWith('\\')) {
    hunk.lines.push({ kind: 'note', text: text.trim(), before: null, after: null });
  } else {
    hunk.lines.push({ kind: 'same', text, before: next.before++, after: next.after++ });
    left.before--;
    left.after--;
  }
}

function readHeader(file: FileDiff, line: string): void {
  if (line.startsWith('new file mode')) file.change = 'added';
  else if (line.startsWith('deleted file mode')) file.change = 'deleted';
  else if (line.startsWith('rename from ')) {
    file.from = unquote(line.slice('rename from '.length));
    file.change = 'renamed';
  } else if (line.startsWith('rename to ')) file.path = unquote(line.slice('rename to '.length));
  else if (line.startsWith('Binary files ') || line.startsWith('GIT binary patch')) file.binary = true;
  else if (line.startsWith('--- ')) takeSide(file, line, 'a/');
  else if (line.startsWith('+++ ')) takeSide(file, line, 'b/');
}

/** Git writes `/dev/null` for the side that is not there, and a tab after paths with spaces. */
function takeSide(file: FileDiff, line: string, prefix: string): void {
  const path = unquote(line.slice(4).replace(/\t$/, ''));
  if (path === '/dev/null') {
    file.change = prefix === 'a/' ? 'added' : 'deleted';
    return;
  }
  file.path = path.startsWith(prefix) ? path.slice(2) : path;
}

/** The path of `diff --git a/x b/x`: both halves are the same unless it is a rename, which says so below. */
function pathOfHeader(line: string): string {
  const rest = line.slice('diff --git '.length);
  const quoted = /^"a\/(.*)" "b\/(.*)"$/.exec(rest);
  if (quoted) return unquote(`"${quoted[2]}"`);
  const half = (rest.length - 1) / 2;
  return rest.slice(0, half).startsWith('a/') ? rest.slice(2, half) : rest;
}

const escapes: Record<string, number> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, '"': 34, '\\': 92 };

/** Git quotes paths with unusual bytes as C strings in UTF-8. */
function unquote(path: string): string {
  const quoted = /^"(.*)"$/.exec(path)?.[1];
  if (quoted === undefined) return path;
  const bytes: number[] = [];
  for (const [, octal, letter, plain] of quoted.matchAll(/\\([0-7]{3})|\\(.)|([^\\]+)/g)) {
    if (octal) bytes.push(Number.parseInt(octal, 8));
    else if (letter) bytes.push(escapes[letter] ?? letter.charCodeAt(0));
    else bytes.push(...new TextEncoder().encode(plain));
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}
