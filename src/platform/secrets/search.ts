/**
 * Searching a text for thousands of strings at once, after Wu and Manber ("A fast algorithm for multi-pattern
 * searching", 1994): a table tells for the last three characters looked at how far the search may jump, so most of
 * the text is never looked at and the cost hardly grows with the number of strings.
 *
 * Text and strings are compared in a folded view: letters without their case, base64's two alphabets as one, and
 * without line breaks, be they real or escaped as JSON does. So one string also finds its wrapped and its upper-case
 * forms, and what is found is a range of the original text.
 */

/** Every string is at least this long; the table looks at as many of its characters. */
export const shortestLength = 8;

const blockLength = 3;
const farthest = shortestLength - blockLength + 1;
const tableBits = 18;
const keptViewLength = 1_048_576;

const fold = new Uint16Array(65_536).map((_, code) => code);
for (let letter = 0; letter < 26; letter++) fold[65 + letter] = 97 + letter;
fold[45] = 43; // '-' of base64url is '+' of base64,
fold[95] = 47; // and '_' is '/'.

const lineFeed = 10;
const carriageReturn = 13;
const backslash = 92;

/** A text as it is compared: folded codes, and where each stands in the text. */
interface View {
  codes: Uint16Array;
  places: Int32Array;
  length: number;
}

export interface Range {
  start: number;
  /** Exclusive. */
  end: number;
}

export class Search {
  readonly #jump = new Uint8Array(1 << tableBits).fill(farthest);
  /** Strings by the block that ends their first `shortestLength` characters. */
  readonly #byBlock = new Map<number, Uint16Array[]>();
  /** Strings by their first block: for tails of a text that may be the beginning of one. */
  readonly #byBeginning = new Map<number, Uint16Array[]>();
  /** The first one and the first two codes of every string. */
  readonly #firstLetters = new Set<string>();
  readonly #known = new Set<string>();
  #view: View = newView(4_096);
  /** Longest string, in folded characters. */
  longest: number = 0;

  get size(): number {
    return this.#known.size;
  }

  /** Strings that are too short once folded are left out. */
  add(text: string): void {
    const { codes, length } = viewOf(text, newView(text.length));
    if (length < shortestLength) return;
    const string = codes.slice(0, length);
    const name = Buffer.from(string.buffer).toString('latin1');
    if (this.#known.has(name)) return;
    this.#known.add(name);
    this.longest = Math.max(this.longest, length);
    for (let end = blockLength - 1; end < shortestLength; end++) {
      const block = blockAt(string, end);
      this.#jump[block] = Math.min(this.#jump[block] as number, shortestLength - 1 - end);
    }
    this.#firstLetters.add(string.slice(0, 1).join()).add(string.slice(0, 2).join());
    push(this.#byBlock, blockAt(string, shortestLength - 1), string);
    push(this.#byBeginning, blockAt(string, blockLength - 1), string);
  }

  /** Where any of the strings stands, in order, not overlapping. */
  find(text: string): Range[] {
    if (this.#known.size === 0 || text.length < shortestLength) return [];
    return this.#findIn(this.#look(text));
  }

  /** Like `find`, and from where on the text may be the beginning of a string that goes on after its end. */
  findWithTail(text: string): { found: Range[]; tail: number } {
    if (this.#known.size === 0) return { found: [], tail: text.length };
    // Half of an escaped line break may stand within a string.
    const view = this.#look(text.endsWith('\\') ? text.slice(0, -1) : text);
    const found = this.#findIn(view);
    let tail = this.#tailOf(view);
    // Line breaks at the end go with what comes after them.
    if (tail === null) tail = view.length > 0 ? (view.places[view.length - 1] as number) + 1 : 0;
    for (const range of found) if (range.end > tail && range.start < tail) tail = range.start;
    return { found: found.filter(range => range.end <= tail), tail };
  }

  #look(text: string): View {
    if (text.length > keptViewLength) return viewOf(text, newView(text.length));
    if (this.#view.codes.length < text.length)
      this.#view = newView(Math.max(text.length, 2 * this.#view.codes.length));
    return viewOf(text, this.#view);
  }

  #findIn({ codes, places, length }: View): Range[] {
    const found: Range[] = [];
    const jump = this.#jump;
    let at = shortestLength - 1;
    while (at < length) {
      const block = blockAt(codes, at);
      const far = jump[block] as number;
      if (far > 0) {
        at += far;
        continue;
      }
      const start = at - shortestLength + 1;
      let matched = 0;
      for (const string of this.#byBlock.get(block) ?? []) {
        if (string.length > matched && agree(codes, start, length, string) === string.length)
          matched = string.length;
      }
      if (matched > 0) {
        const range = { start: places[start] as number, end: (places[start + matched - 1] as number) + 1 };
        const last = found.at(-1);
        if (last && range.start <= last.end) last.end = Math.max(last.end, range.end);
        else found.push(range);
      }
      at += 1;
    }
    return found;
  }

  /** The first place from which everything up to the end begins some string; null when there is none. */
  #tailOf({ codes, places, length }: View): number | null {
    for (let start = Math.max(0, length - this.longest + 1); start < length; start++) {
      if (length - start < blockLength) {
        if (this.#firstLetters.has(codes.slice(start, length).join())) return places[start] as number;
        continue;
      }
      for (const string of this.#byBeginning.get(blockAt(codes, start + blockLength - 1)) ?? []) {
        if (start + string.length > length && agree(codes, start, length, string) === length - start)
          return places[start] as number;
      }
    }
    return null;
  }
}

const newView = (length: number): View => ({
  codes: new Uint16Array(length),
  places: new Int32Array(length),
  length: 0,
});

function viewOf(text: string, view: View): View {
  const { codes, places } = view;
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === lineFeed || code === carriageReturn) continue;
    if (code === backslash) {
      const next = text.charCodeAt(at + 1);
      if (next === 110 || next === 114) {
        at += 1;
        continue;
      }
    }
    codes[length] = fold[code] as number;
    places[length] = at;
    length += 1;
  }
  view.length = length;
  return view;
}

function blockAt(codes: Uint16Array, end: number): number {
  const [a, b, c] = [codes[end - 2] as number, codes[end - 1] as number, codes[end] as number];
  return ((a << 12) ^ (b << 6) ^ c ^ (a >> 6)) & ((1 << tableBits) - 1);
}

/** How many characters of a string stand at a place, up to the end of the text. */
function agree(codes: Uint16Array, start: number, length: number, string: Uint16Array): number {
  const most = Math.min(string.length, length - start);
  let count = 0;
  while (count < most && codes[start + count] === string[count]) count += 1;
  return count;
}

function push(map: Map<number, Uint16Array[]>, key: number, string: Uint16Array): void {
  const list = map.get(key);
  if (list) list.push(string);
  else map.set(key, [string]);
}
