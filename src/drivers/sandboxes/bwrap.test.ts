/** The conformance suite on the bubblewrap driver, with control groups where there are some, and without. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe } from 'node:test';
import { sandboxConformance } from '../../features/sandboxes/conformance.ts';
import { createBwrapDriver } from './bwrap.ts';

/** An ordinary user seldom has control groups, and then the second round would repeat the first. */
const rounds = process.getuid?.() === 0 ? [true, false] : [true];

for (const useControlGroups of rounds) {
  describe(`bwrap ${useControlGroups ? 'with control groups where there are some' : 'without control groups'}`, () => {
    const stateDir = mkdtempSync(join(tmpdir(), 'guildhall-bwrap-'));
    after(() => rmSync(stateDir, { recursive: true, force: true }));
    sandboxConformance(() =>
      createBwrapDriver({ stateDir, toolchainPaths: [], nodeBinary: null, useControlGroups }),
    );
  });
}
