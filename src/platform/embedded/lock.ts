/**
 * One process at a time owns a data directory. Whoever wants it puts down a file of its own, `lock-<pid>-<nonce>`,
 * naming itself by pid and start mark (see processes.ts), and then looks at the files of the others: when one of
 * them is alive, it takes its own away again. Of two, the later one always sees the earlier, so there are never two
 * owners; and as no file name is used twice, anybody may delete the file of a process that has died.
 *
 * Two that begin at the same moment may both step back; they try again after a random while. An owner marks its
 * file as held, so that a later comer is refused at once.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../../base/problem.ts';
import { readIfThere, writeWhole } from './files.ts';
import { isAlive, startMark } from './processes.ts';

const attemptLimit = 40;
const backoffMaxMs = 60;
const pattern = /^lock-\d+-[0-9a-f]{16}$/;

export interface DirectoryLock {
  release(): Promise<void>;
}

interface Holder {
  pid: number;
  started: string | undefined;
  held: boolean;
}

/** @param home the folder of the lock files. @param dataDir only named in the refusal. */
export async function acquireLock(home: string, dataDir: string): Promise<DirectoryLock> {
  const started = await startMark(process.pid);
  let last = process.pid;
  for (let attempt = 0; attempt < attemptLimit; attempt++) {
    const name = `lock-${process.pid}-${randomBytes(8).toString('hex')}`;
    const file = join(home, name);
    const write = (held: boolean) =>
      writeWhole(file, `${JSON.stringify({ pid: process.pid, started, held })}\n`);
    await write(false);
    let others: Holder[] = [];
    try {
      others = await liveHolders(home, name);
      if (others.length === 0) {
        await write(true);
        return { release: () => rm(file, { force: true }) };
      }
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    }
    await rm(file, { force: true });
    const owner = others.find(other => other.held);
    if (owner !== undefined) throw inUse(dataDir, owner.pid);
    last = others[0]!.pid;
    await sleep(randomInt(1, backoffMaxMs));
  }
  throw inUse(dataDir, last);
}

function inUse(dataDir: string, pid: number): Problem {
  return new Problem(
    'conflict',
    'data_directory_in_use',
    `${dataDir} is already used by process ${pid}; stop it or choose another GUILDHALL_DATA.`,
    { detail: { pid } },
  );
}

/** The processes whose files lie there and who are alive. Files of the dead are deleted. */
async function liveHolders(home: string, mine: string): Promise<Holder[]> {
  const found: Holder[] = [];
  for (const name of await readdir(home)) {
    if (name === mine || !pattern.test(name)) continue;
    const text = await readIfThere(join(home, name));
    if (text === undefined) continue;
    const holder = parseHolder(text);
    if (holder !== undefined && (await isHolding(holder))) found.push(holder);
    else await rm(join(home, name), { force: true });
  }
  return found;
}

async function isHolding({ pid, started }: Holder): Promise<boolean> {
  if (!isAlive(pid)) return false;
  const mark = await startMark(pid);
  return mark === undefined || started === undefined || mark === started;
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, started, held } = JSON.parse(text) as { pid?: unknown; started?: unknown; held?: unknown };
    if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1) return undefined;
    return { pid, started: typeof started === 'string' ? started : undefined, held: held === true };
  } catch {
    return undefined; // Damaged, by a disk or by hand: nobody holds it.
  }
}
