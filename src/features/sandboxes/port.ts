/**
 * The sandbox port: where tool code executes. Every command of an agent or a check, git included, runs through
 * `Sandbox.exec`. There is no command string in this interface: a shell is an explicit argv.
 *
 * A driver says for each limit whether it is enforced, best effort or unsupported, and refuses a spec that
 * requires what it cannot enforce. It never falls back to running unsandboxed.
 */

export type Enforcement = 'enforced' | 'best_effort' | 'unsupported';

export const limitNames = [
  'cpu',
  'memory',
  'pids',
  'wall_time',
  'disk',
  'file_size',
  'output',
  'network',
  'filesystem',
  'syscalls',
  'privileges',
  'identity',
] as const;
export type LimitName = (typeof limitNames)[number];

export interface SandboxPolicy {
  /** Cores, may be fractional. */
  cpu_cores: number;
  memory_bytes: number;
  pids: number;
  /** Longest a single exec may take, milliseconds; an exec may ask for less. */
  wall_ms: number;
  /** Bytes that /workspace may hold. */
  workspace_bytes: number;
  tmp_bytes: number;
  shm_bytes: number;
  /** Largest single file, bytes. */
  file_bytes: number;
  open_files: number;
  /** `none`: no network at all. `host`: the host's network, only for fetching a repository by URL. */
  network: 'none' | 'host';
  /** Limits that must be enforced, or the sandbox is refused. */
  require: LimitName[];
}

export const defaultSandboxPolicy: SandboxPolicy = {
  cpu_cores: 1,
  memory_bytes: 1024 * 1024 * 1024,
  pids: 256,
  wall_ms: 120_000,
  workspace_bytes: 2 * 1024 * 1024 * 1024,
  tmp_bytes: 256 * 1024 * 1024,
  shm_bytes: 16 * 1024 * 1024,
  file_bytes: 1024 * 1024 * 1024,
  open_files: 1024,
  network: 'none',
  require: ['network', 'filesystem', 'syscalls', 'privileges', 'identity', 'wall_time', 'output', 'pids'],
};

/** A host path shown inside. Sources may lie below directories that the sandbox user cannot enter. */
export interface SandboxMount {
  source: string;
  target: string;
  read_only: boolean;
}

export interface SandboxSpec {
  /** Names the sandbox in logs, cgroups and clean-up; `[a-z0-9_]+`. */
  id: string;
  /**
   * Whole number that picks the uid out of the pool when the server is root: sandboxes of one task tree share it,
   * different trees get different ones. Ignored when the server is an ordinary user.
   */
  identity: number;
  /**
   * Host directory bound read-write at /workspace; made by the driver's `prepareDirectory`. Null: an empty tmpfs.
   */
  workspace: string | null;
  mounts: SandboxMount[];
  policy: SandboxPolicy;
}

export interface ExecRequest {
  argv: string[];
  /** Inside path, below /workspace; default `/workspace`. */
  cwd?: string;
  /** Added to the fixed environment (PATH, HOME=/workspace/.home or /tmp, LANG, CI). Nothing is inherited. */
  env?: Record<string, string>;
  /** Bytes for standard input; default none (`/dev/null`). */
  stdin?: string | Uint8Array;
  /** Milliseconds, at most the policy's. */
  timeout_ms?: number;
  /** Bytes kept of stdout and of stderr, each: the head and the tail are kept, the middle is dropped and counted. */
  max_output_bytes?: number;
  signal?: AbortSignal;
  /** Live output, in the order of arrival. */
  onOutput?: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void;
}

export type ExecOutcome =
  | 'exited'
  | 'timed_out'
  | 'out_of_memory'
  | 'disk_limit'
  | 'output_limit' // produced far more than is kept (64 ×) and was stopped
  | 'cancelled'
  | 'sandbox_error'; // the sandbox could not run it: says nothing about the command

export interface ExecResult {
  outcome: ExecOutcome;
  /** Null when a signal ended it or it never ran. */
  exit_code: number | null;
  signal: string | null;
  stdout: Uint8Array;
  stderr: Uint8Array;
  stdout_dropped_bytes: number;
  stderr_dropped_bytes: number;
  duration_ms: number;
  /** Sentence for people when the outcome is not `exited`. */
  message: string | null;
}

export interface Sandbox {
  readonly id: string;
  /** What is really in force, kept with the run and shown on the page. */
  readonly effective: Record<LimitName, Enforcement>;
  /** Runs argv; resolves when the whole process tree is gone. Never throws for what the command does. */
  exec(request: ExecRequest): Promise<ExecResult>;
  /** Kills what still runs and releases the sandbox's own resources; the workspace stays. */
  destroy(): Promise<void>;
}

export interface SandboxProbe {
  usable: boolean;
  /** One sentence for the banner, /readyz and doctor. */
  summary: string;
  /** The exact command that mends it, when not usable. */
  fix: string | null;
  limits: Record<LimitName, Enforcement>;
}

export interface SandboxDriver {
  readonly kind: string;
  /** Really runs a sandbox and some canaries in it. */
  probe(): Promise<SandboxProbe>;
  /** @throws Problem `sandbox_policy_unenforceable`, `sandbox_unavailable`. */
  create(spec: SandboxSpec): Promise<Sandbox>;
  /** Makes a host directory (0700, parents passable) that the identity's uid owns; kept when it exists. */
  prepareDirectory(path: string, identity: number): Promise<void>;
  /** Removes a directory made by `prepareDirectory`, whatever lies in it, without following links. */
  removeDirectory(path: string): Promise<void>;
  /** Kills and removes what a former process left behind, except the named. */
  reconcile(liveIds: ReadonlySet<string>): Promise<{ removed: string[] }>;
}
