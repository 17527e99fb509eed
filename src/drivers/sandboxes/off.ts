/** No sandbox: whatever needs one is refused. Chosen by GUILDHALL_SANDBOX=off; nothing ever runs unsandboxed. */
import { rm } from 'node:fs/promises';
import { Problem } from '../../base/problem.ts';
import {
  type Enforcement,
  type LimitName,
  limitNames,
  type SandboxDriver,
} from '../../features/sandboxes/port.ts';

export function createOffDriver(): SandboxDriver {
  const summary = 'Sandboxes are switched off (GUILDHALL_SANDBOX=off): tasks that run commands are refused.';
  const fix = 'unset GUILDHALL_SANDBOX and start again';
  const refuse = () =>
    Promise.reject(new Problem('unavailable', 'sandbox_unavailable', summary, { detail: { fix } }));
  return {
    kind: 'off',
    probe: async () => ({
      usable: false,
      summary,
      fix,
      limits: Object.fromEntries(limitNames.map(name => [name, 'unsupported'])) as Record<
        LimitName,
        Enforcement
      >,
    }),
    create: refuse,
    prepareDirectory: refuse,
    removeDirectory: path => rm(path, { recursive: true, force: true }),
    reconcile: async () => ({ removed: [] }),
  };
}
