/**
 * The tools that work on files and commands. Each is one or two commands run in the task's sandbox: there is no
 * result here that a process did not print. Formats: see catalog.ts.
 */
import { createHash } from 'node:crypto';
import type { ExecRequest, ExecResult, Sandbox } from '../sandboxes/port.ts';
import { describeOutcome, shell } from '../sandboxes/workspaces.ts';
import type { ToolArguments, ToolName } from './catalog.ts';
import { checkPath } from './paths.ts';

export interface ToolOutput {
  content: string;
  is_error: boolean;
}

export interface SandboxToolContext {
  sandbox: Sandbox;
  signal: AbortSignal;
  /** Names the call; left in commits so that a repeated call finds what it did before. */
  idempotencyKey: string;
  /** Notes that outlive a crash: what a former attempt at this very call was about to do. Absent: there was none. */
  intent?: { recall(): Promise<string | null>; declare(effect: string): Promise<void> };
  /** Live output of commands. */
  onOutput?: ExecRequest['onOutput'];
}

/** Longest text that a result carries to the model, in characters. */
export const maxResultChars = 30_000;

const ok = (content: string): ToolOutput => ({ content: bounded(content), is_error: false });
const failed = (content: string): ToolOutput => ({ content: bounded(content), is_error: true });

/** Keeps head and tail: the end of an output is where the error usually stands. */
export function bounded(text: string, limit: number = maxResultChars): string {
  if (text.length <= limit) return text;
  const half = Math.floor((limit - 80) / 2);
  return `${text.slice(0, half)}\n… ${text.length - 2 * half} characters left out …\n${text.slice(-half)}`;
}

type Handler<Name extends ToolName> = (
  context: SandboxToolContext,
  args: ToolArguments<Name>,
) => Promise<ToolOutput>;
type SandboxToolName =
  | 'list_files'
  | 'read_file'
  | 'write_file'
  | 'edit_file'
  | 'search_files'
  | 'run_command'
  | 'git_diff'
  | 'git_commit';

export const sandboxTools: { [Name in SandboxToolName]: Handler<Name> } = {
  list_files: listFiles,
  read_file: readFile,
  write_file: writeFile,
  edit_file: editFile,
  search_files: searchFiles,
  run_command: runCommand,
  git_diff: gitDiff,
  git_commit: gitCommit,
};

export const isSandboxTool = (name: string): name is SandboxToolName => Object.hasOwn(sandboxTools, name);

const fileTimeoutMs = 30_000;
const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

/** A path as an argument: no option, whatever it begins with. */
const operand = (path: string): string => `./${path}`;

/** A fixed script with arguments: `$1`, `$2`, … are data, never script, and paths for git are not patterns. */
function script(
  context: SandboxToolContext,
  text: string,
  args: string[],
  extra: Partial<ExecRequest> = {},
): Promise<ExecResult> {
  return context.sandbox.exec({
    argv: ['/bin/bash', '--norc', '--noprofile', '-uo', 'pipefail', '-c', text, 'guildhall', ...args],
    env: { GIT_LITERAL_PATHSPECS: '1' },
    timeout_ms: fileTimeoutMs,
    max_output_bytes: 2 * 1024 * 1024,
    signal: context.signal,
    ...extra,
  });
}

/** The sentence for a script that did not end well. */
function scriptFailure(result: ExecResult, fallback: string): ToolOutput {
  if (result.outcome !== 'exited')
    return failed(`${fallback}: ${result.outcome}${result.message ? ` (${result.message})` : ''}`);
  return failed(decode(result.stderr).trim().slice(0, 2_000) || fallback);
}

async function listFiles(
  context: SandboxToolContext,
  args: ToolArguments<'list_files'>,
): Promise<ToolOutput> {
  const path = checkPath(args.path);
  if (!path.ok) return failed(path.reason);
  const result = await script(
    context,
    `[ -e "$1" ] || [ -L "$1" ] || { echo "there is no \${1#./}" >&2; exit 1; }
     if [ "$2" = true ]; then git ls-files -z --cached --others --exclude-standard --deduplicate -- "$1"
     elif [ -d "$1" ]; then find "$1/" -mindepth 1 -maxdepth 1 -not -name .git \\( -type d -printf '%P/\\0' -o -printf '%P\\0' \\) | sort -z
     else printf '%s\\0' "\${1#./}"; fi`,
    [operand(path.path), String(args.recursive)],
  );
  if (result.outcome !== 'exited' || result.exit_code !== 0)
    return scriptFailure(result, `${args.path} cannot be listed`);
  // One line each: a name with a line break or the like is shown as JSON shows it.
  const shown = (name: string): string => (/[\u0000-\u001f\u007f]/.test(name) ? JSON.stringify(name) : name);
  const names = decode(result.stdout).split('\0').filter(Boolean).map(shown);
  if (names.length === 0) return ok('no files');
  const more = names.length > args.max_entries ? `\n… ${names.length - args.max_entries} more` : '';
  return ok(names.slice(0, args.max_entries).join('\n') + more);
}

async function readFile(context: SandboxToolContext, args: ToolArguments<'read_file'>): Promise<ToolOutput> {
  const read = await readText(context, args.path);
  if ('content' in read) return read;
  const lines = read.text.split('\n');
  const total = read.text.endsWith('\n') ? lines.length - 1 : lines.length;
  if (args.start_line > Math.max(total, 1)) return failed(`${read.path} has ${total} lines`);
  const last = Math.min(total, args.start_line - 1 + args.max_lines);
  const part =
    lines.slice(args.start_line - 1, last).join('\n') +
    (last === total && read.text.endsWith('\n') ? '\n' : '');
  return ok(`path: ${read.path}\nlines: ${args.start_line}-${last} of ${total}\n---\n${part}`);
}

async function readText(
  context: SandboxToolContext,
  path: string,
): Promise<{ path: string; text: string; isUtf8: boolean } | ToolOutput> {
  const checked = checkPath(path);
  if (!checked.ok) return failed(checked.reason);
  const result = await script(
    context,
    `name=\${1#./}
     [ -e "$1" ] || { echo "there is no file $name" >&2; exit 1; }
     [ -f "$1" ] || { echo "$name is not a file" >&2; exit 1; }
     [ "$(stat -Lc %s "$1")" -le 2000000 ] || { echo "$name is larger than 2 MB: use run_command to look at parts of it" >&2; exit 1; }
     cat "$1"`,
    [operand(checked.path)],
    { max_output_bytes: 2_100_000 },
  );
  if (result.outcome !== 'exited' || result.exit_code !== 0)
    return scriptFailure(result, `${path} cannot be read`);
  if (result.stdout.includes(0)) return failed(`${path} is a binary file of ${result.stdout.length} bytes`);
  const text = decode(result.stdout);
  return { path: checked.path, text, isUtf8: Buffer.from(text).equals(result.stdout) };
}

/** Writes beside the file and renames: a reader sees the old or the new text, and the mode is kept. */
const writeScript = `
[ ! -d "$1" ] || { echo "\${1#./} is a directory" >&2; exit 1; }
mkdir -p -- "$(dirname -- "$1")" || exit 1
target=$(readlink -f -- "$1") || target=$1
new=$(mktemp -- "$target.XXXXXX") || exit 1
cat > "$new" || { rm -f -- "$new"; exit 1; }
if [ -e "$target" ]; then chmod --reference="$target" -- "$new"; else chmod 644 -- "$new"; fi
mv -f -- "$new" "$target"`;

async function writeText(
  context: SandboxToolContext,
  path: string,
  text: string,
): Promise<ToolOutput | null> {
  const result = await script(context, writeScript, [operand(path)], { stdin: text });
  return result.outcome === 'exited' && result.exit_code === 0
    ? null
    : scriptFailure(result, `${path} cannot be written`);
}

async function writeFile(
  context: SandboxToolContext,
  args: ToolArguments<'write_file'>,
): Promise<ToolOutput> {
  const path = checkPath(args.path);
  if (!path.ok) return failed(path.reason);
  const failure = await writeText(context, path.path, args.content);
  return failure ?? ok(`wrote: ${path.path}\nbytes: ${Buffer.byteLength(args.content)}`);
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

async function editFile(context: SandboxToolContext, args: ToolArguments<'edit_file'>): Promise<ToolOutput> {
  if (args.old_text === args.new_text)
    return failed('old_text and new_text are the same: nothing would change');
  const read = await readText(context, args.path);
  if ('content' in read) return read;
  if (!read.isUtf8)
    return failed(`${read.path} is not UTF-8 text, and an edit would spoil the rest of it: use run_command`);
  // After a crash the file may be edited already; what it was to become tells.
  const [made, became] = (await context.intent?.recall())?.split(' ') ?? [];
  if (digest(read.text) === became) return ok(`edited: ${read.path}\nreplacements: ${made}`);
  const count = read.text.split(args.old_text).length - 1;
  if (count === 0)
    return failed(
      `old_text does not occur in ${read.path}: read the file and copy the text exactly, white space included`,
    );
  if (count > 1 && !args.replace_all) {
    return failed(
      `old_text occurs ${count} times in ${read.path}: give more of the text around it, or set replace_all`,
    );
  }
  const text = args.replace_all
    ? read.text.replaceAll(args.old_text, () => args.new_text)
    : read.text.replace(args.old_text, () => args.new_text);
  await context.intent?.declare(`${count} ${digest(text)}`);
  const failure = await writeText(context, read.path, text);
  return failure ?? ok(`edited: ${read.path}\nreplacements: ${count}`);
}

async function searchFiles(
  context: SandboxToolContext,
  args: ToolArguments<'search_files'>,
): Promise<ToolOutput> {
  const path = checkPath(args.path);
  if (!path.ok) return failed(path.reason);
  const result = await script(
    context,
    `git grep -nI --untracked --no-color -E -e "$1" -- "$2" | cut -c1-500 | head -n "$3"; status=\${PIPESTATUS[0]}; [ $status -lt 2 ] || [ $status -eq 141 ]`,
    [args.pattern, operand(path.path), String(args.max_results)],
  );
  if (result.outcome !== 'exited' || result.exit_code !== 0)
    return scriptFailure(result, 'the search failed');
  return ok(decode(result.stdout).trimEnd() || 'no matches');
}

async function runCommand(
  context: SandboxToolContext,
  args: ToolArguments<'run_command'>,
): Promise<ToolOutput> {
  const result = await context.sandbox.exec({
    argv: shell(args.command),
    timeout_ms: args.timeout_seconds * 1000,
    max_output_bytes: 256 * 1024,
    signal: context.signal,
    onOutput: context.onOutput,
  });
  return showCommand(result);
}

/** A finished command as text; an exit code other than 0 is a result, not an error of the tool. */
export function showCommand(result: ExecResult): ToolOutput {
  const head =
    result.outcome === 'exited' && result.exit_code !== null
      ? `exit_code: ${result.exit_code}`
      : `outcome: ${describeOutcome(result)}${result.message ? ` (${result.message})` : ''}`;
  const dropped = (bytes: number) => (bytes > 0 ? ` (${bytes} bytes left out)` : '');
  const part = (name: string, bytes: Uint8Array, lost: number) => {
    const text = bounded(decode(bytes), maxResultChars / 2);
    return text === '' ? '' : `\n--- ${name}${dropped(lost)}\n${text.replace(/\n$/, '')}`;
  };
  const text = `${head}\nduration_ms: ${Math.round(result.duration_ms)}${part('stdout', result.stdout, result.stdout_dropped_bytes)}${part('stderr', result.stderr, result.stderr_dropped_bytes)}`;
  return { content: text, is_error: result.outcome === 'sandbox_error' || result.outcome === 'cancelled' };
}

async function gitDiff(context: SandboxToolContext, args: ToolArguments<'git_diff'>): Promise<ToolOutput> {
  const path = args.path === null ? { ok: true as const, path: '.' } : checkPath(args.path);
  if (!path.ok) return failed(path.reason);
  const result = await script(
    context,
    `git add -A --intent-to-add -- . 2>/dev/null
     git diff --no-color --no-ext-diff "$(git rev-parse --verify --quiet refs/remotes/origin/base || echo refs/guildhall/start)" -- "$1"`,
    [operand(path.path)],
  );
  if (result.outcome !== 'exited' || result.exit_code !== 0) return scriptFailure(result, 'the diff failed');
  return ok(decode(result.stdout).trimEnd() || 'no changes');
}

/** The key is left in the commit as a trailer: after a crash the same call finds its commit instead of making another. */
async function gitCommit(
  context: SandboxToolContext,
  args: ToolArguments<'git_commit'>,
): Promise<ToolOutput> {
  const result = await script(
    context,
    `git rev-parse --git-dir >/dev/null || exit 1
     if [ "$(git log -1 --format='%(trailers:key=Guildhall-Call,valueonly)' | grep . | tail -n 1)" != "$1" ]; then
       rm -f .git/index.lock
       git add -A || exit 1
       if git diff --cached --quiet; then echo 'nothing to commit'; exit 0; fi
       git -c core.hooksPath=/dev/null commit -q --no-verify --no-gpg-sign --trailer "Guildhall-Call: $1" -F - || exit 1
     fi
     echo "commit: $(git rev-parse HEAD)"
     echo "branch: $(git symbolic-ref --short -q HEAD || echo detached)"
     echo "files: $(git show --format= --name-only HEAD | grep -c .)"`,
    [context.idempotencyKey],
    { stdin: args.message },
  );
  if (result.outcome !== 'exited' || result.exit_code !== 0)
    return scriptFailure(result, 'the commit failed');
  return ok(decode(result.stdout).trimEnd());
}
