/**
 * A workshop with the real sandbox driver, and repositories for it, without a server or a database. The directory
 * lies outside /tmp, since what a repository borrows from /tmp cannot be shown in a sandbox.
 */
import { execFile } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { newId } from '../../src/base/ids.ts';
import { createBwrapDriver } from '../../src/drivers/sandboxes/bwrap.ts';
import { defaultSandboxPolicy, type Sandbox } from '../../src/features/sandboxes/port.ts';
import { inspectSource, type SourceRequest } from '../../src/features/sandboxes/source.ts';
import type { Workshop } from '../../src/features/sandboxes/workshop.ts';
import { repositoryDirectory, workspaceDirectory } from '../../src/features/sandboxes/workshop.ts';
import {
  ensureClone,
  ensureRepository,
  openSandbox,
  type TreeTask,
} from '../../src/features/sandboxes/workspaces.ts';
import type { TaskSource } from '../../src/platform/db/schema.ts';

const run = promisify(execFile);

export interface TestWorkshop extends AsyncDisposable {
  shop: Workshop;
  /** A directory that everybody may enter. */
  base: string;
  /** Why no sandbox can run here, or null. */
  unusable: string | null;
  /** A repository with these files in one commit. */
  repository(files?: Record<string, string | Buffer>): Promise<string>;
  inspect(location: string, more?: Partial<SourceRequest>): Promise<TaskSource>;
  /** A task on that source, not begun. */
  task(source: TaskSource | null): TreeTask;
  /** The sandbox over the workspace of a task, made with its repository and clone; destroyed with the workshop. */
  open(task: TreeTask): Promise<Sandbox>;
}

export async function openWorkshop(): Promise<TestWorkshop> {
  const base = await mkdtemp('/var/tmp/guildhall-workshop-');
  await chmod(base, 0o755);
  const dataDir = join(base, 'data');
  await mkdir(dataDir, { mode: 0o711 });
  const driver = await createBwrapDriver({
    stateDir: join(dataDir, 'sandboxes'),
    uidBase: 200_000,
    toolchainPaths: [],
    nodeBinary: process.execPath,
  });
  const probe = await driver.probe();
  const shop: Workshop = {
    dataDir,
    driver,
    policy: { ...defaultSandboxPolicy, wall_ms: 60_000 },
    hosts: [],
    allowLocal: true,
    probe: async () => probe,
  };
  const opened: Sandbox[] = [];
  let serial = 1;
  return {
    shop,
    base,
    unusable: probe.usable ? null : `${probe.summary} ${probe.fix ?? ''}`,
    repository: async (files = { 'a.txt': 'a\n' }) => {
      const directory = await mkdtemp(join(base, 'repository-'));
      await chmod(directory, 0o755);
      await write(directory, files);
      await git(directory, 'init', '-q', '-b', 'main');
      await git(directory, 'add', '-A');
      await git(directory, 'commit', '-q', '-m', 'Begin');
      return directory;
    },
    inspect: (location, more = {}) =>
      inspectSource(shop, { location, branch: null, setup: null, allow_dirty: false, ...more }),
    task: source => {
      const id = newId('task');
      return { id, root_task_id: id, source, base_commit: source?.commit ?? null, identity: serial++ };
    },
    open: async task => {
      await ensureRepository(shop, task);
      const directory = workspaceDirectory(shop, task);
      const branch = `guildhall/${task.id}`;
      await ensureClone(shop, task, { directory, branch, commit: task.base_commit, author: 'coder' });
      const sandbox = await openSandbox(shop, task, directory);
      opened.push(sandbox);
      return sandbox;
    },
    [Symbol.asyncDispose]: async () => {
      for (const sandbox of opened) await sandbox.destroy();
      await driver.removeDirectory(join(dataDir, 'work'));
      await rm(base, { recursive: true, force: true });
    },
  };
}

export { repositoryDirectory, workspaceDirectory };

export async function write(directory: string, files: Record<string, string | Buffer>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content);
  }
}

export async function git(directory: string, ...args: string[]): Promise<string> {
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com'];
  const { stdout } = await run('git', [...identity, ...args], { cwd: directory });
  return stdout.trim();
}

/** What a directory holds, times and modes included: equal listings, nothing was touched. */
export async function listing(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true });
  const lines = await Promise.all(
    ['.', ...names].map(async name => {
      const path = join(directory, name);
      const s = await lstat(path, { bigint: true });
      const content = s.isSymbolicLink()
        ? await readlink(path)
        : s.isFile()
          ? (await readFile(path)).toString('base64')
          : '';
      return `${name} ${s.mode.toString(8)} ${s.uid} ${s.gid} ${s.mtimeNs} ${s.ctimeNs} ${content}`;
    }),
  );
  return lines.sort((a, b) => (a < b ? -1 : 1));
}
