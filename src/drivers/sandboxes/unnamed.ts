/**
 * Files without a name, handed to programs as descriptors: nothing can find, change or remove them.
 */
import { openSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A new descriptor of the same file, with an offset of its own; the caller closes it. */
export function reopen(fd: number): number {
  return openSync(`/proc/self/fd/${fd}`, 'r');
}

let serial = 0;

/** A read-only descriptor of a file with the given content and no name. */
export function openUnnamed(directory: string, content: string | Uint8Array): number {
  const path = join(directory, `unnamed-${process.pid}-${serial++}`);
  writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
  try {
    return openSync(path, 'r');
  } finally {
    unlinkSync(path);
  }
}
