/**
 * Named pipes for the output of commands. Node would hand over socket pairs, which a program cannot open again by
 * name: `echo … > /dev/stderr`, common in scripts, fails with them. A pipe that the sandbox user owns can be opened.
 *
 * Node cannot make a pipe, so `mkfifo` makes pairs of them once; commands of a sandbox use them one after another.
 */
import { execFile } from 'node:child_process';
import { chownSync, closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The two ends of one stream: a descriptor for the command, and `stream` for us. */
export interface Channel {
  stream: Socket;
  /** Hands over the command's end; who takes it closes it. */
  takeWriter(): number;
  close(): void;
}

export interface Channels {
  /** Two channels that nobody else uses until `release`. */
  acquire(): Promise<{ stdout: Channel; stderr: Channel; release(): void }>;
  remove(): void;
}

export function openChannels(directory: string, mkfifo: string, uid: number | null): Channels {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const idle: number[] = [];
  let made = 0;
  const pathsOf = (serial: number) => [join(directory, `${serial}.out`), join(directory, `${serial}.err`)];

  const make = async (): Promise<number> => {
    const serial = made++;
    const paths = pathsOf(serial);
    for (const path of paths) rmSync(path, { force: true });
    await run(mkfifo, ['-m', '600', ...paths], { env: {} });
    if (uid !== null) for (const path of paths) chownSync(path, uid, uid);
    return serial;
  };

  return {
    async acquire() {
      const serial = idle.pop() ?? (await make());
      const [stdout, stderr] = pathsOf(serial).map(openEnds) as [Channel, Channel];
      return { stdout, stderr, release: () => idle.push(serial) };
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** The reader first, without waiting for a writer; then the writer, so that there is one before anything is read. */
function openEnds(path: string): Channel {
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  let writer: number | null = openSync(path, constants.O_WRONLY);
  const stream = new Socket({ fd: reader, readable: true, writable: false });
  return {
    stream,
    takeWriter() {
      const taken = writer!;
      writer = null;
      return taken;
    },
    close() {
      stream.destroy();
      if (writer !== null) closeSync(writer);
      writer = null;
    },
  };
}
