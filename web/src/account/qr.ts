/**
 * QR codes (ISO/IEC 18004) for short texts: bytes, error correction level M, versions 1 to 10. That is at most 213
 * bytes, enough for an `otpauth://` address. Mask 0 is not always the best to read, so the one with the lowest
 * penalty is chosen, as the standard asks.
 */
interface Version {
  size: number;
  /** Bytes of error correction in each block. */
  correction: number;
  /** How many blocks there are of how many bytes of data. */
  blocks: [count: number, bytes: number][];
  /** Where the middles of the small squares are. */
  alignment: number[];
}

/** Level M of versions 1 to 10. */
const versions: Version[] = (
  [
    [10, [[1, 16]], []],
    [16, [[1, 28]], [6, 18]],
    [26, [[1, 44]], [6, 22]],
    [18, [[2, 32]], [6, 26]],
    [24, [[2, 43]], [6, 30]],
    [16, [[4, 27]], [6, 34]],
    [18, [[4, 31]], [6, 22, 38]],
    [
      22,
      [
        [2, 38],
        [2, 39],
      ],
      [6, 24, 42],
    ],
    [
      22,
      [
        [3, 36],
        [2, 37],
      ],
      [6, 26, 46],
    ],
    [
      26,
      [
        [4, 43],
        [1, 44],
      ],
      [6, 28, 50],
    ],
  ] as [number, [number, number][], number[]][]
).map(([correction, blocks, alignment], at) => ({ size: 21 + 4 * at, correction, blocks, alignment }));

const capacity = (version: Version): number =>
  version.blocks.reduce((sum, [count, bytes]) => sum + count * bytes, 0);

// The field of 256 elements that the error correction computes in, as powers of its generator.
const powers: number[] = [];
const logarithms: number[] = [];
for (let n = 0, element = 1; n < 255; n++) {
  powers[n] = element;
  logarithms[element] = n;
  element = element << 1;
  if (element & 0x100) element ^= 0x11d;
}
const multiply = (a: number, b: number): number =>
  a === 0 || b === 0 ? 0 : (powers[((logarithms[a] as number) + (logarithms[b] as number)) % 255] as number);

/** The remainder of the data as a polynomial: the bytes with which a reader repairs what it misread. */
function correctionOf(data: number[], count: number): number[] {
  let generator = [1];
  for (let n = 0; n < count; n++) {
    const next = Array.from({ length: generator.length + 1 }, () => 0);
    generator.forEach((factor, at) => {
      next[at] = (next[at] as number) ^ factor;
      next[at + 1] = (next[at + 1] as number) ^ multiply(factor, powers[n] as number);
    });
    generator = next;
  }
  const rest = [...data, ...Array.from({ length: count }, () => 0)];
  for (let at = 0; at < data.length; at++) {
    const lead = rest[at] as number;
    generator.forEach((factor, offset) => {
      rest[at + offset] = (rest[at + offset] as number) ^ multiply(factor, lead);
    });
  }
  return rest.slice(data.length);
}

/** Mode, length and text, filled up, cut into blocks and interleaved with their corrections. */
function codewords(bytes: Uint8Array, number: number, version: Version): number[] {
  const total = capacity(version);
  const bits: number[] = [];
  const push = (value: number, length: number) => {
    for (let n = length - 1; n >= 0; n--) bits.push((value >> n) & 1);
  };
  push(0b0100, 4);
  push(bytes.length, number < 10 ? 8 : 16);
  for (const byte of bytes) push(byte, 8);
  push(0, Math.min(4, total * 8 - bits.length));
  while (bits.length % 8 !== 0) bits.push(0);
  for (let pad = 0xec; bits.length < total * 8; pad ^= 0xec ^ 0x11) push(pad, 8);
  const data = Array.from({ length: total }, (_, at) =>
    bits.slice(at * 8, at * 8 + 8).reduce((byte, bit) => (byte << 1) | bit, 0),
  );
  const blocks: number[][] = [];
  let from = 0;
  for (const [count, length] of version.blocks) {
    for (let n = 0; n < count; n++, from += length) blocks.push(data.slice(from, from + length));
  }
  const corrections = blocks.map(block => correctionOf(block, version.correction));
  const interleave = (parts: number[][]): number[] => {
    const longest = Math.max(...parts.map(part => part.length));
    return Array.from({ length: longest }, (_, at) => parts.flatMap(part => part[at] ?? [])).flat();
  };
  return [...interleave(blocks), ...interleave(corrections)];
}

type Grid = (boolean | null)[][];

/** Everything that is not data; null is where data goes. */
function frame(number: number, { size, alignment }: Version): Grid {
  const grid: Grid = Array.from({ length: size }, () => Array.from({ length: size }, () => null));
  const set = (x: number, y: number, dark: boolean) => {
    const row = grid[y];
    if (row && x >= 0 && x < size) row[x] = dark;
  };
  const square = (cx: number, cy: number, radius: number, light: number[]) => {
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) {
        set(cx + dx, cy + dy, !light.includes(Math.max(Math.abs(dx), Math.abs(dy))));
      }
    }
  };
  for (let n = 8; n < size - 8; n++) {
    set(n, 6, n % 2 === 0);
    set(6, n, n % 2 === 0);
  }
  for (const [x, y] of [
    [3, 3],
    [size - 4, 3],
    [3, size - 4],
  ] as const)
    square(x, y, 4, [2, 4]);
  const last = alignment.at(-1);
  for (const x of alignment) {
    for (const y of alignment) {
      const isFinder = (x === 6 && y === 6) || (x === 6 && y === last) || (x === last && y === 6);
      if (!isFinder) square(x, y, 2, [1]);
    }
  }
  setFormat(grid, 0);
  if (number >= 7) {
    const bits = (number << 12) | remainder(number, 12, 0x1f25);
    for (let n = 0; n < 18; n++) {
      const dark = ((bits >> n) & 1) === 1;
      const [a, b] = [Math.floor(n / 3), size - 11 + (n % 3)];
      set(a, b, dark);
      set(b, a, dark);
    }
  }
  return grid;
}

function remainder(value: number, degree: number, generator: number): number {
  let rest = value;
  for (let n = 0; n < degree; n++) rest = (rest << 1) ^ ((rest >> (degree - 1)) * generator);
  return rest & ((1 << degree) - 1);
}

/** Writes level M and the mask, twice, beside the three large squares. */
function setFormat(grid: Grid, mask: number): void {
  const size = grid.length;
  const bits = ((mask << 10) | remainder(mask, 10, 0x537)) ^ 0x5412;
  const set = (x: number, y: number, n: number) => {
    (grid[y] as (boolean | null)[])[x] = ((bits >> n) & 1) === 1;
  };
  for (let n = 0; n <= 5; n++) set(8, n, n);
  set(8, 7, 6);
  set(8, 8, 7);
  set(7, 8, 8);
  for (let n = 9; n < 15; n++) set(14 - n, 8, n);
  for (let n = 0; n < 8; n++) set(size - 1 - n, 8, n);
  for (let n = 8; n < 15; n++) set(8, size - 15 + n, n);
  (grid[size - 8] as (boolean | null)[])[8] = true;
}

const masks: ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  x => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** The data in its zigzag from the lower right, two columns at a time, under a mask. */
function fill(empty: Grid, words: number[], mask: number): boolean[][] {
  const size = empty.length;
  const grid = empty.map(row => [...row]);
  let at = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    const upward = ((right + 1) & 2) === 0;
    for (let step = 0; step < size; step++) {
      const y = upward ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        const row = grid[y] as (boolean | null)[];
        if (row[x] !== null) continue;
        const bit = (((words[at >> 3] ?? 0) >> (7 - (at & 7))) & 1) === 1;
        at++;
        row[x] = bit !== masks[mask]?.(x, y);
      }
    }
  }
  setFormat(grid, mask);
  return grid as boolean[][];
}

/** How hard to read: long runs, blocks, what looks like a large square, too much of one colour. */
function penalty(grid: boolean[][]): number {
  const size = grid.length;
  const columns = grid.map((_, x) => grid.map(row => row[x] as boolean));
  let sum = 0;
  for (const line of [...grid, ...columns]) {
    const text = line.map(dark => (dark ? '1' : '0')).join('');
    for (const [run] of text.matchAll(/0{5,}|1{5,}/g)) sum += run.length - 2;
    for (const pattern of ['10111010000', '00001011101']) {
      for (let n = text.indexOf(pattern); n >= 0; n = text.indexOf(pattern, n + 1)) sum += 40;
    }
  }
  let dark = 0;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const here = grid[y]?.[x];
      if (here) dark++;
      const isBlock =
        x > 0 && y > 0 && [grid[y]?.[x - 1], grid[y - 1]?.[x], grid[y - 1]?.[x - 1]].every(c => c === here);
      if (isBlock) sum += 3;
    }
  }
  return sum + Math.floor(Math.abs((dark * 20) / (size * size) - 10)) * 10;
}

/** The code of a text: rows of squares, true where dark. @throws RangeError for more than 213 bytes. */
export function qrMatrix(text: string): boolean[][] {
  const bytes = new TextEncoder().encode(text);
  const at = versions.findIndex((v, n) => capacity(v) * 8 >= 4 + (n < 9 ? 8 : 16) + bytes.length * 8);
  const version = versions[at];
  if (!version) throw new RangeError(`${bytes.length} bytes are too many for a code of this size`);
  const empty = frame(at + 1, version);
  const words = codewords(bytes, at + 1, version);
  const filled = masks.map((_, mask) => fill(empty, words, mask));
  const penalties = filled.map(penalty);
  return filled[penalties.indexOf(Math.min(...penalties))] as boolean[][];
}
