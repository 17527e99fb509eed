/** What the attack tests share: a driver with state of its own, sandboxes that end with their test, host canaries. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { createBwrapDriver } from '../../src/drivers/sandboxes/bwrap.ts';
import {
  defaultSandboxPolicy,
  type ExecRequest,
  type ExecResult,
  type Sandbox,
  type SandboxDriver,
  type SandboxPolicy,
} from '../../src/features/sandboxes/port.ts';

export const mebibyte = 1024 * 1024;
export const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

export interface Opening {
  identity?: number;
  policy?: Partial<SandboxPolicy>;
  workspace?: null;
}

export interface OpenSandbox extends Sandbox {
  workspace: string | null;
  shell(script: string, request?: Partial<ExecRequest>): Promise<ExecResult>;
}

export interface Bench {
  directory: () => string;
  stateDir: () => string;
  driver: () => SandboxDriver;
  open(t: TestContext, opening?: Opening): Promise<OpenSandbox>;
  /** Defines a test that is skipped, with the reason, where the sandbox does not work. */
  attack(title: string, body: (t: TestContext) => Promise<void>): void;
}

export function makeBench(): Bench {
  let directory: string;
  let driver: SandboxDriver;
  let unusable: string | null = null;
  let serial = 0;
  const stateDir = () => join(directory, 'state');

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'guildhall-attacks-'));
    driver = await createBwrapDriver({ stateDir: stateDir(), toolchainPaths: [], nodeBinary: null });
    const probe = await driver.probe();
    if (!probe.usable) unusable = `${probe.summary} ${probe.fix ?? ''}`;
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  return {
    directory: () => directory,
    stateDir,
    driver: () => driver,
    async open(t, opening = {}) {
      const id = `attack_${process.pid}_${serial++}`;
      const identity = opening.identity ?? 1;
      const workspace = opening.workspace === null ? null : join(directory, 'workspaces', id);
      if (workspace !== null) await driver.prepareDirectory(workspace, identity);
      const policy = { ...defaultSandboxPolicy, wall_ms: 20_000, require: [], ...opening.policy };
      const sandbox = await driver.create({ id, identity, workspace, mounts: [], policy });
      t.after(async () => {
        await sandbox.destroy();
        if (workspace !== null) await driver.removeDirectory(workspace);
      });
      return {
        ...sandbox,
        workspace,
        shell: (script, request = {}) => sandbox.exec({ argv: ['/bin/bash', '-c', script], ...request }),
      };
    },
    attack: (title, body) =>
      void test(title, async t => (unusable === null ? await body(t) : t.skip(unusable))),
  };
}

/** Host processes whose command line holds a word. */
export function processesWith(word: string): number[] {
  return processesWhere(line => line.includes(word));
}

/** Host processes that are `sleep` with the given argument, not those that merely start it. */
export function sleepers(argument: string): number[] {
  return processesWhere(line => line === `sleep\0${argument}\0`);
}

function processesWhere(accept: (commandLine: string) => boolean): number[] {
  return readdirSync('/proc')
    .filter(entry => /^\d+$/.test(entry))
    .filter(entry => {
      try {
        return accept(readFileSync(`/proc/${entry}/cmdline`, 'utf8'));
      } catch {
        return false; // Ended meanwhile.
      }
    })
    .map(Number);
}

export interface Canaries {
  file: string;
  workspaces: string;
  port: number;
  abstract: string;
  hostname: string;
  server_pid: number;
  server_word: string;
  secret_half: string;
}

/** Things of the host that an attack can try to reach; they end with the test. */
export async function setUpCanaries(t: TestContext, directory: string): Promise<Canaries> {
  const file = join(directory, 'host-canary');
  writeFileSync(file, 'host canary', { mode: 0o666 });
  const workspaces = join(directory, 'others');
  mkdirSync(join(workspaces, 'someone'), { recursive: true, mode: 0o755 });
  const listen = (where: { port: number; host: string } | { path: string }) =>
    new Promise<ReturnType<typeof createServer>>(resolve => {
      const server = createServer(socket => socket.end('host canary'));
      server.listen(where, () => resolve(server));
      t.after(() => server.close());
    });
  const abstract = `guildhall-canary-${process.pid}`;
  const tcp = await listen({ port: 0, host: '127.0.0.1' });
  await listen({ path: `\0${abstract}` });
  return {
    file,
    workspaces,
    port: (tcp.address() as { port: number }).port,
    abstract,
    hostname: hostname(),
    server_pid: process.pid,
    server_word: readFileSync('/proc/self/cmdline', 'utf8').split('\0')[0]!,
    secret_half: `half${process.pid}`,
  };
}
