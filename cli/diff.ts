/** A unified diff with the usual colours, where the terminal has them. */
import type { Io } from './call.ts';
import { plain } from './text.ts';

export function colourDiff(io: Io, diff: string): string {
  const colour = (line: string): string => {
    if (/^(diff|index|---|\+\+\+|new file|deleted file)/.test(line)) return io.styleOut('bold', line);
    if (line.startsWith('@@')) return io.styleOut('cyan', line);
    if (line.startsWith('+')) return io.styleOut('green', line);
    return line.startsWith('-') ? io.styleOut('red', line) : line;
  };
  // A pipe gets the bytes as they are, so that `git apply` can read them.
  return io.columns === null ? diff : plain(diff).split('\n').map(colour).join('\n');
}
