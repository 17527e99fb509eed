/**
 * Tool calls put together from their deltas. The rule is: `index` names the call, the first delta carries id and
 * name, later ones only pieces of the arguments. Servers break each part of it: no index, index 0 for all calls,
 * no id or the same one twice, the name repeated on every delta, the arguments at once and as an object.
 */
import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../../base/json.ts';
import { isObject, parseJson } from './failures.ts';
import type { RawCall } from './stream.ts';
import { count, objectAt } from './usage.ts';

interface Call extends RawCall {
  index: number | undefined;
}

export class ToolCalls {
  readonly #calls: Call[] = [];
  readonly #seed: string;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** Takes one delta and returns how many bytes of output it brought. */
  add(delta: JsonObject): number {
    const fn = objectAt(delta, 'function');
    const index = count(delta.index);
    const id = typeof delta.id === 'string' ? delta.id : '';
    const name = typeof fn.name === 'string' ? fn.name : '';
    const piece = argumentText(fn.arguments);
    let call = this.#find(index, id, name, piece);
    if (!call) {
      call = { index, id, name: '', text: '' };
      this.#calls.push(call);
    }
    if (call.id === '') call.id = id;
    if (name !== '') call.name = name; // repeated in full by some, never in pieces
    call.text += piece;
    return Buffer.byteLength(piece) + (piece === '' || name !== '' ? Buffer.byteLength(name) : 0);
  }

  #find(index: number | undefined, id: string, name: string, piece: string): Call | undefined {
    const last = this.#calls.at(-1);
    if (index !== undefined) {
      const same = this.#calls.findLast(call => call.index === index);
      const another = same && (id !== '' ? same.id !== '' && same.id !== id : isNewCall(same, name, piece));
      return another ? undefined : same;
    }
    if (id !== '') return this.#calls.find(call => call.id === id);
    return last && isNewCall(last, name, piece) ? undefined : last;
  }

  /** All calls, each with an id of its own. A made-up id depends on the seed only, so that a replay gives the same. */
  all(): RawCall[] {
    const seen = new Set<string>();
    return this.#calls.map(({ id, name, text }, i) => {
      const own = id === '' || seen.has(id) ? madeUpId(this.#seed, i) : id;
      seen.add(own);
      return { id: own, name, text };
    });
  }
}

/** Without an id: does a delta begin a call of its own, although `last` is the one it seems to belong to? */
function isNewCall(last: Call, name: string, piece: string): boolean {
  if (name === '') return false;
  if (last.name !== name) return true;
  return piece !== '' && last.text !== '' && parseJson(last.text) !== undefined;
}

function argumentText(value: Json | undefined): string {
  if (typeof value === 'string') return value;
  return isObject(value) ? JSON.stringify(value) : '';
}

function madeUpId(seed: string, position: number): string {
  return `call_${createHash('sha256').update(`${seed}:${position}`).digest('hex').slice(0, 24)}`;
}
