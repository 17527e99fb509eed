/** A server to be killed: makes a sandbox with a given state directory and runs a command in it for ever. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createBwrapDriver } from '../../src/drivers/sandboxes/bwrap.ts';
import { defaultSandboxPolicy } from '../../src/features/sandboxes/port.ts';

const [, , stateDir = '', id = '', script = ''] = process.argv;
mkdirSync(stateDir, { recursive: true });
const driver = await createBwrapDriver({ stateDir, toolchainPaths: [], nodeBinary: null });
const workspace = join(stateDir, 'workspace');
await driver.prepareDirectory(workspace, 3);
const sandbox = await driver.create({ id, identity: 3, workspace, mounts: [], policy: defaultSandboxPolicy });
process.stdout.write('starting\n');
const result = await sandbox.exec({
  argv: ['/bin/bash', '-c', script],
  onOutput: (_, chunk) => void process.stdout.write(chunk),
});
process.stdout.write(`${result.outcome} ${result.message} ${Buffer.from(result.stderr).toString()}`);
