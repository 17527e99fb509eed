/**
 * Keeps the head and the tail of an output stream in bounded memory. The head tells what was started, the tail how it
 * ended; a flood in between is counted, not kept.
 */

export interface Collector {
  push(chunk: Uint8Array): void;
  /** All bytes that came. */
  total(): number;
  result(): { bytes: Uint8Array; dropped: number };
}

/** Where the cut lies in the result when bytes were dropped. */
export function headLength(maxBytes: number): number {
  return Math.ceil(maxBytes / 2);
}

export function createCollector(maxBytes: number): Collector {
  const headMax = headLength(maxBytes);
  const tailMax = maxBytes - headMax;
  const head: Uint8Array[] = [];
  let headBytes = 0;
  let tail: Uint8Array[] = [];
  let tailBytes = 0;
  let total = 0;

  const compactTail = () => {
    const joined = Buffer.concat(tail);
    tail = [joined.subarray(Math.max(0, joined.length - tailMax))];
    tailBytes = tail[0]!.length;
  };

  return {
    push(chunk: Uint8Array): void {
      total += chunk.length;
      const room = headMax - headBytes;
      if (room > 0) {
        const part = chunk.subarray(0, room);
        head.push(part);
        headBytes += part.length;
      }
      const rest = chunk.subarray(Math.max(0, room));
      if (rest.length === 0) return;
      tail.push(rest);
      tailBytes += rest.length;
      // Seldom enough that the copying stays linear, often enough that twice the bound is never exceeded by much.
      if (tailBytes > 2 * tailMax + 65_536) compactTail();
    },
    total: () => total,
    result() {
      if (tailBytes > tailMax) compactTail();
      const bytes = Buffer.concat([...head, ...tail]);
      return { bytes, dropped: total - bytes.length };
    },
  };
}
