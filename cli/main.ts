/** The program `guildhall`: ties the command line to this process. */
import { text } from 'node:stream/consumers';
import { styleText } from 'node:util';
import type { Io } from './call.ts';
import { run } from './run.ts';

// `guildhall task list | head` closes the pipe early: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const io: Io = {
  out: chunk => void process.stdout.write(chunk),
  err: chunk => void process.stderr.write(chunk),
  // `styleText` asks the stream: no colours in pipes, none with NO_COLOR.
  styleOut: (format, chunk) => styleText(format, chunk, { stream: process.stdout }),
  styleErr: (format, chunk) => styleText(format, chunk, { stream: process.stderr }),
  columns: process.stdout.isTTY ? process.stdout.columns : null,
  interactive: process.stdin.isTTY === true && process.stdout.isTTY === true,
  readInput: () => text(process.stdin),
  env: process.env,
  cwd: process.cwd(),
  onStop: stop => {
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
    return () => {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    };
  },
};

const exitCode = await run(process.argv.slice(2), io);
// Everything is written before the process ends, also into a slow pipe; idle connections do not hold it open.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
