/**
 * The stage of the sandbox conformance suite: a driver, directories for its sandboxes, and ways to define tests that
 * need a usable driver or an enforced limit.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { Problem } from '../../base/problem.ts';
import {
  defaultSandboxPolicy,
  type ExecRequest,
  type ExecResult,
  type LimitName,
  type Sandbox,
  type SandboxDriver,
  type SandboxMount,
  type SandboxPolicy,
} from './port.ts';

export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

export interface Opening {
  identity?: number;
  policy?: Partial<SandboxPolicy>;
  mounts?: SandboxMount[];
  workspace?: string | null;
}

export interface Stage {
  /** Host directory for what tests put beside their sandboxes; there from the first test on. */
  readonly base: string;
  readonly driver: SandboxDriver;
  /** A sandbox for one test, with a workspace of its own; both end with the test. */
  open(t: TestContext, opening?: Opening): Promise<Sandbox & { workspace: string | null }>;
  shell(sandbox: Sandbox, script: string, request?: Partial<ExecRequest>): Promise<ExecResult>;
  /** Defines a test that needs a usable driver. */
  promise(title: string, body: (t: TestContext) => Promise<void>): void;
  /** Defines a test of a limit: it counts where the driver calls it enforced. */
  limit(name: LimitName, title: string, body: (t: TestContext, sandbox: Opening) => Promise<void>): void;
}

/** To be called inside `describe`. */
export function setStage(makeDriver: () => Promise<SandboxDriver>): Stage {
  let base: string;
  let driver: SandboxDriver;
  let unusable: string | null = null;
  let serial = 0;

  before(async () => {
    base = mkdtempSync(join(tmpdir(), 'guildhall-conformance-'));
    driver = await makeDriver();
    const probe = await driver.probe();
    unusable = probe.usable ? null : `${probe.summary} ${probe.fix ?? ''}`;
  });
  after(() => rmSync(base, { recursive: true, force: true }));

  const open: Stage['open'] = async (t, opening = {}) => {
    const id = `conformance_${process.pid}_${serial++}`;
    const workspace = opening.workspace === undefined ? join(base, 'workspaces', id) : opening.workspace;
    const identity = opening.identity ?? 1;
    if (workspace !== null) await driver.prepareDirectory(workspace, identity);
    const sandbox = await driver.create({
      id,
      identity,
      workspace,
      mounts: opening.mounts ?? [],
      policy: { ...defaultSandboxPolicy, wall_ms: 20_000, ...opening.policy },
    });
    t.after(async () => {
      await sandbox.destroy();
      if (workspace !== null) await driver.removeDirectory(workspace);
    });
    return { ...sandbox, workspace };
  };

  const shell: Stage['shell'] = (sandbox, script, request = {}) =>
    sandbox.exec({ argv: ['/bin/sh', '-c', script], ...request });

  const promise: Stage['promise'] = (title, body) =>
    void test(title, async t => (unusable === null ? await body(t) : t.skip(unusable)));

  const limit: Stage['limit'] = (name, title, body) =>
    promise(title, async t => {
      const { limits } = await driver.probe();
      if (limits[name] === 'enforced') return await body(t, { policy: { require: [name] } });
      await assert.rejects(open(t, { policy: { require: [name] } }), (error: unknown) => {
        assert.ok(error instanceof Problem);
        assert.equal(error.code, 'sandbox_policy_unenforceable');
        return true;
      });
      t.skip(`${name} is ${limits[name]} here; that it cannot be required was shown`);
    });

  return {
    get base() {
      return base;
    },
    get driver() {
      return driver;
    },
    open,
    shell,
    promise,
    limit,
  };
}
