/**
 * The text formats in which tools answer, read back into facts. A result that does not have the expected shape
 * gives null or an empty list: the scripted model treats what it cannot read as not known.
 */

export interface CommandResult {
  /** Null when the command did not end by itself. */
  exitCode: number | null;
  /** Why there is no exit code, `timed_out` for instance. */
  outcome: string;
  durationMs: number;
  /** Both streams, without colours. */
  output: string;
}

export interface ChildResult {
  taskId: string;
  assignee: string;
  state: string;
  decision: string;
  commit: string | null;
  checks: string;
  summary: string;
}

/** The `key: value` lines at the top of a result. */
function readHead(content: string): Map<string, string> {
  const head = new Map<string, string>();
  for (const line of content.split('\n')) {
    const match = /^([a-z_]+):\s?(.*)$/.exec(line);
    if (!match) break;
    head.set(match[1]!, match[2]!.trim());
  }
  return head;
}

const colours = /\u001b\[[0-9;]*[A-Za-z]/g;

export function readCommandResult(content: string): CommandResult | null {
  const head = readHead(content);
  const code = head.get('exit_code');
  if (code === undefined && !head.has('outcome')) return null;
  const start = content.indexOf('\n--- ');
  const streams = start < 0 ? '' : content.slice(start + 1).replace(/^--- (stdout|stderr)[^\n]*\n?/gm, '');
  return {
    exitCode: code !== undefined && /^-?\d+$/.test(code) ? Number(code) : null,
    outcome: head.get('outcome') ?? 'exited',
    durationMs: Number(head.get('duration_ms') ?? 0) || 0,
    output: streams.replace(colours, ''),
  };
}

export function passed(result: CommandResult | null): boolean {
  return result !== null && result.exitCode === 0;
}

export interface FilePart {
  text: string;
  /** Lines that the part has, 1-based, and how many the file has. */
  from: number;
  to: number;
  of: number;
}

/** Text of a file, or of some of its lines. Null when the result was too long and its middle was left out. */
export function readFileResult(content: string): FilePart | null {
  const head = readHead(content);
  const start = content.indexOf('\n---\n');
  const lines = /^(\d+)-(\d+) of (\d+)$/.exec(head.get('lines') ?? '');
  if (!head.has('path') || !lines || start < 0) return null;
  const text = content.slice(start + 5);
  if (/\n… \d+ characters left out …\n/.test(text)) return null;
  return { text, from: Number(lines[1]), to: Number(lines[2]), of: Number(lines[3]) };
}

/** Paths of files from `list_files`; folders are left out. */
export function readListing(content: string): string[] {
  return content
    .split('\n')
    .map(line => line.trim().replace(/^\.\//, ''))
    .filter(line => line !== '' && line !== 'no files' && !line.endsWith('/') && !/^[[…]/.test(line));
}

export function readChildResult(content: string): ChildResult | null {
  const head = readHead(content);
  if (!head.has('task') || !head.has('state')) return null;
  const commit = head.get('commit') ?? '';
  return {
    taskId: head.get('task')!,
    assignee: head.get('assignee') ?? '',
    state: head.get('state')!,
    decision: head.get('decision') ?? '',
    commit: /^[0-9a-f]{7,64}$/.test(commit) ? commit : null,
    checks: head.get('checks') ?? 'none',
    summary: (/^---[^\n]*\n([\s\S]*)$/m.exec(content)?.[1] ?? '').trim(),
  };
}

export function readCommit(content: string): string | null {
  return /^commit:\s*([0-9a-f]{7,64})\s*$/m.exec(content)?.[1] ?? null;
}
