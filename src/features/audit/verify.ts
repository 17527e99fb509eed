/**
 * Verifying a chain: seals and records in their order, from the database or from an exported file, against each
 * other. Pure, so that it is the same here and on a machine that has nothing but the file. It names every record
 * that was changed, removed, inserted or moved, every seal that is missing or not what was signed, and tells what
 * cannot be known: records that are not sealed yet, and removals by retention.
 */
import { type Finding, type FindingKind, findingTexts } from './findings.ts';
import { KeyTrust } from './key-trust.ts';
import {
  comparePlaces,
  entriesOf,
  entryCount,
  isSameRange,
  noHash,
  type Place,
  type Seal,
  sealText,
  sha256,
  showPlace,
} from './seal-format.ts';

/** A record as it is now. */
export interface ChainRecord {
  kind: 'record';
  place: Place;
  hash: Buffer;
  /** What it tells of, in a few words. */
  label: string;
  /** Of the record that tells of a removal by retention: what it removed. */
  pruned?: PrunedSeal;
}

export interface PrunedSeal {
  number: number;
  hash: string;
  /** When, in milliseconds since the epoch. */
  at: number;
}

/** What a chain consists of, in this order: keys; then for each range its seals and the records up to its end. */
export type ChainItem =
  | { kind: 'key'; id: string; publicKey: Buffer }
  | { kind: 'seal'; seal: Seal }
  | ChainRecord
  /** Something of the export that cannot be read. */
  | { kind: 'unreadable'; line: number; reason: string };

export interface VerifyOptions {
  /** Fingerprint of a key that the chain must be signed with, noted before on another machine. */
  key?: string;
  /** A seal noted before: the chain must still have it. */
  head?: { number: number; hash: string };
  /** Keys that the verifier knows to be the server's own; others are then findings. */
  ownKeys?: ReadonlySet<string>;
  /** Whose chain it is; others' seals are findings. Default: whose the first seal is. */
  organizationId?: string;
  /** The place that sealing has passed: later records are not sealed yet, earlier ones without a seal were inserted. */
  sealedUpTo?: Place;
}

export interface Verification {
  ok: boolean;
  organization_id: string | null;
  seals: number;
  /** Records that are exactly what was sealed. */
  records: number;
  pruned_records: number;
  unsealed_records: number;
  /** The newest seal: keep it elsewhere, and give it as `head` the next time. */
  head: { number: number; hash: string; sealed_at: string } | null;
  /** Fingerprints of the keys that signed, oldest first. */
  keys: string[];
  findings: Finding[];
  findings_total: number;
}

const findingsLimit = 1_000;
/** Records may not go before this, whoever removes them (365 days in the function audit_prune; a day for clocks). */
const leastRetentionMs = 364 * 86_400_000;

interface Expected {
  hash: Buffer;
  seal: number;
  sealedAt: number;
}

/** A seal none of whose records is there any more. */
interface Emptied {
  seal: Seal;
  hash: string;
}

export async function verifyChain(
  items: AsyncIterable<ChainItem> | Iterable<ChainItem>,
  options: VerifyOptions = {},
): Promise<Verification> {
  const chain = new ChainVerifier(options);
  for await (const item of items) chain.take(item);
  return chain.finish();
}

/** The time as people read it; what is none (somebody changed it) as it stands. */
function timeText(milliseconds: string): string {
  const time = new Date(Number(milliseconds));
  return Number.isNaN(time.getTime()) ? milliseconds : time.toISOString();
}

class ChainVerifier {
  readonly #options: VerifyOptions;
  readonly #keys = new KeyTrust();
  readonly #findings: Finding[] = [];
  #findingsTotal = 0;
  #organizationId: string | null = null;
  #head: Seal | null = null;
  #headSeen = false;
  #seals = 0;
  #records = 0;
  #pruned = 0;
  /** The range under way: what its seals say is there, and what of it was not seen yet. */
  #range: { from: Place; to: Place; seals: Seal[]; expected: Map<string, Expected> } | null = null;
  /** Whether seals next to the range are missing, and its records that no seal lists: which comes of which shows later. */
  #gap = false;
  #suspects: ChainRecord[] = [];
  /** Not seen in their range: removed, unless they turn up at another place of the file. */
  readonly #missing = new Map<string, Expected>();
  #emptied: Emptied[] = [];
  readonly #prunings = new Map<number, PrunedSeal>();
  #beyond: ChainRecord[] = [];
  #last: Place | null = null;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  take(item: ChainItem): void {
    if (item.kind === 'key') {
      for (const kind of this.#keys.add(item.id, item.publicKey)) this.#find(kind, { key: item.id });
    } else if (item.kind === 'seal') this.#takeSeal(item.seal);
    else if (item.kind === 'record') this.#takeRecord(item);
    else this.#find('unreadable', { line: item.line, detail: item.reason });
  }

  finish(): Verification {
    this.#closeRange();
    this.#settleSuspects();
    this.#settleEmptied();
    for (const [place, { seal }] of this.#missing) this.#find('record_removed', { place, seal });
    const { sealedUpTo, head, key } = this.#options;
    let unsealed = 0;
    for (const record of this.#beyond) {
      if (sealedUpTo && comparePlaces(record.place, sealedUpTo) <= 0)
        this.#find('record_inserted', { place: showPlace(record.place), label: record.label });
      else unsealed += 1;
    }
    if (head && !this.#headSeen) this.#find('head_missing', { seal: head.number });
    if (key && !this.#keys.used.includes(key)) this.#find('key_not_used', { key });
    const last = this.#head;
    return {
      ok: this.#findingsTotal === 0,
      organization_id: this.#organizationId ?? this.#options.organizationId ?? null,
      seals: this.#seals,
      records: this.#records,
      pruned_records: this.#pruned,
      unsealed_records: unsealed,
      head: last && {
        number: last.number,
        hash: last.hash.toString('hex'),
        sealed_at: timeText(last.sealedAt),
      },
      keys: [...this.#keys.used],
      findings: this.#findings,
      findings_total: this.#findingsTotal,
    };
  }

  #takeSeal(seal: Seal): void {
    const range = this.#range;
    const sameRange = range !== null && isSameRange(range, seal);
    if (!sameRange) this.#closeRange();
    this.#seals += 1;
    this.#organizationId ??= this.#options.organizationId ?? seal.organizationId;
    const gap = this.#checkLink(seal);
    this.#gap ||= gap;
    if (!sameRange) {
      this.#settleSuspects();
      this.#gap = gap;
    }
    this.#checkContent(seal);
    const { head, ownKeys } = this.#options;
    if (head?.number === seal.number) {
      this.#headSeen = true;
      if (head.hash !== seal.hash.toString('hex')) this.#find('head_differs', { seal: seal.number });
    }
    for (const kind of this.#keys.check(seal)) this.#find(kind, { seal: seal.number, key: seal.keyId });
    if (ownKeys && !ownKeys.has(seal.keyId))
      this.#find('key_foreign', { seal: seal.number, key: seal.keyId });
    this.#head = seal;
    this.#range ??= { from: seal.from, to: seal.to, seals: [], expected: new Map() };
    this.#range.seals.push(seal);
    const sealedAt = Number(seal.sealedAt);
    for (const { place, hash } of entriesOf(seal))
      this.#range.expected.set(showPlace(place), { hash, seal: seal.number, sealedAt });
    if (sameRange) return;
    // Records that stood before the seal that speaks for them: only in a file that was rearranged.
    const early = this.#beyond;
    this.#beyond = [];
    for (const record of early) this.#place(record);
  }

  /** Whether it continues the seal before it. @returns whether seals between them are missing. */
  #checkLink(seal: Seal): boolean {
    const before = this.#head;
    const due = (before?.number ?? 0) + 1;
    const gap = seal.number > due;
    if (gap) this.#find('seal_missing', { seal: due, last: seal.number - 1 });
    else if (seal.number < due) this.#find('seal_reordered', { seal: seal.number });
    else if (!seal.previousHash.equals(before?.hash ?? noHash))
      this.#find('seal_unlinked', { seal: seal.number });
    if (seal.organizationId !== this.#organizationId) this.#find('seal_foreign', { seal: seal.number });
    return gap;
  }

  /** Whether it is what was hashed and signed, and makes sense in itself. */
  #checkContent(seal: Seal): void {
    if (!sha256(sealText(seal)).equals(seal.hash)) this.#find('seal_changed', { seal: seal.number });
    let before = seal.from;
    for (const { place } of entriesOf(seal)) {
      if (comparePlaces(place, before) <= 0 || comparePlaces(place, seal.to) > 0) {
        this.#find('seal_malformed', { seal: seal.number });
        return;
      }
      before = place;
    }
  }

  #takeRecord(record: ChainRecord): void {
    if (record.pruned) this.#prunings.set(record.pruned.number, record.pruned);
    const order = this.#last ? comparePlaces(record.place, this.#last) : 1;
    if (order === 0) {
      this.#find('record_repeated', { place: showPlace(record.place), label: record.label });
      return;
    }
    if (order < 0) {
      this.#find('record_reordered', { place: showPlace(record.place), label: record.label });
      const late = this.#missing.get(showPlace(record.place));
      if (late) {
        this.#missing.delete(showPlace(record.place));
        this.#compare(record, late);
        return;
      }
    } else this.#last = record.place;
    this.#place(record);
  }

  #place(record: ChainRecord): void {
    const range = this.#range;
    if (!range || comparePlaces(record.place, range.to) > 0) {
      this.#beyond.push(record);
      return;
    }
    const place = showPlace(record.place);
    const expected = range.expected.get(place);
    if (expected) {
      range.expected.delete(place);
      this.#compare(record, expected);
      return;
    }
    this.#suspects.push(record);
  }

  #settleSuspects(): void {
    const kind = this.#gap ? 'record_uncovered' : 'record_inserted';
    for (const { place, label } of this.#suspects) this.#find(kind, { place: showPlace(place), label });
    this.#suspects = [];
  }

  #compare(record: ChainRecord, expected: Expected): void {
    if (expected.hash.equals(record.hash)) {
      this.#records += 1;
      // Nothing was recorded later than it was sealed, whatever it says.
      if (record.pruned) record.pruned.at = Math.min(record.pruned.at, expected.sealedAt);
    } else {
      const place = showPlace(record.place);
      this.#find('record_changed', { place, seal: expected.seal, label: record.label });
    }
  }

  #closeRange(): void {
    const range = this.#range;
    this.#range = null;
    if (!range) return;
    const left = Map.groupBy(range.expected, ([, { seal }]) => seal);
    for (const seal of range.seals) {
      const absent = left.get(seal.number) ?? [];
      if (absent.length > 0 && absent.length === entryCount(seal))
        this.#emptied.push({
          // Of what retention says it removed the list is not kept: there may be millions.
          seal: seal.pruned ? { ...seal, entries: Buffer.from(seal.entries.subarray(0, 48)) } : seal,
          hash: seal.hash.toString('hex'),
        });
      else for (const [place, expected] of absent) this.#missing.set(place, expected);
      if (seal.pruned) this.#pruned += absent.length === entryCount(seal) ? absent.length : 0;
    }
  }

  /** A seal without any record: retention, if a record of its own tells of it and it was time. */
  #settleEmptied(): void {
    for (const { seal, hash } of this.#emptied) {
      const pruning = this.#prunings.get(seal.number);
      if (pruning?.hash === hash) {
        if (!seal.pruned) this.#pruned += entryCount(seal);
        if (!(pruning.at - Number(seal.sealedAt) >= leastRetentionMs))
          this.#find('pruned_early', { seal: seal.number });
        continue;
      }
      if (seal.pruned) this.#find('pruning_unrecorded', { seal: seal.number });
      for (const { place } of entriesOf(seal)) {
        // One that turned up elsewhere has been told of there.
        this.#missing.set(showPlace(place), { hash: noHash, seal: seal.number, sealedAt: 0 });
      }
    }
    this.#emptied = [];
  }

  #find(kind: FindingKind, facts: Omit<Finding, 'kind' | 'text'>): void {
    this.#findingsTotal += 1;
    if (this.#findings.length < findingsLimit)
      this.#findings.push({ kind, ...facts, text: findingTexts[kind](facts) });
  }
}
