/**
 * What every sandbox driver must do, as tests. A driver's own test file calls this with a way to make the driver.
 *
 * Limits are judged by what the driver declares: one that it calls enforced and that does not hold fails; one that it
 * calls best effort or unsupported is skipped, and must then be refused when a policy requires it. The commands need
 * a POSIX shell and coreutils inside, nothing more.
 */
import { describe } from 'node:test';
import { commandTests } from './conformance-commands.ts';
import { limitTests } from './conformance-limits.ts';
import { setStage } from './conformance-stage.ts';
import type { SandboxDriver } from './port.ts';

export function sandboxConformance(makeDriver: () => Promise<SandboxDriver>): void {
  describe('sandbox conformance', () => {
    const stage = setStage(makeDriver);
    commandTests(stage);
    limitTests(stage);
  });
}
