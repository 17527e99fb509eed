/**
 * The compiled system call filters as open descriptors. bubblewrap reads a filter to its end, so each command gets a
 * descriptor with an offset of its own.
 */
import { arch } from 'node:os';
import { compileFilter, type FilterOptions } from './seccomp.ts';
import { openUnnamed, reopen } from './unnamed.ts';

export interface FilterFiles {
  /** Whether this processor has a filter. */
  supported: boolean;
  /** A new descriptor of the filter; the caller closes it. */
  open(options: FilterOptions): number;
}

export function openFilterFiles(stateDir: string): FilterFiles {
  const processor = arch();
  const kept = new Map<string, number>();
  return {
    supported: processor === 'x64' || processor === 'arm64',
    open(options: FilterOptions): number {
      if (processor !== 'x64' && processor !== 'arm64') throw new Error(`no filter for ${processor}`);
      const key = JSON.stringify(options);
      let fd = kept.get(key);
      if (fd === undefined) {
        fd = openUnnamed(stateDir, compileFilter(processor, options));
        kept.set(key, fd);
      }
      return reopen(fd);
    },
  };
}
