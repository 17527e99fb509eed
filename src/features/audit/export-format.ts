/**
 * The exported file: one JSON object a line, in the order that verifying wants. A record's line holds the very text
 * that was hashed, as a string: who verifies hashes that and needs no rules of how JSON is written.
 */
import type { StoredItem } from './chain.ts';
import {
  auditClasses,
  type Place,
  parsePlace,
  type Seal,
  type SealContent,
  sha256,
  showPlace,
} from './seal-format.ts';
import {
  type ChainItem,
  type ChainRecord,
  type PrunedSeal,
  type Verification,
  type VerifyOptions,
  verifyChain,
} from './verify.ts';

export const exportFormat = 'guildhall-audit-1';

/** The lines of an export. */
export async function* exportLines(
  items: AsyncIterable<StoredItem>,
  header: { organizationId: string; exportedAt: string; sealedUpTo: Place },
): AsyncGenerator<string> {
  const counts = { key: 0, seal: 0, record: 0 };
  yield `${JSON.stringify({
    type: 'export',
    format: exportFormat,
    organization_id: header.organizationId,
    exported_at: header.exportedAt,
    sealed_up_to: showPlace(header.sealedUpTo),
  })}\n`;
  for await (const item of items) {
    counts[item.kind] += 1;
    yield `${JSON.stringify(lineOf(item))}\n`;
  }
  // Without it the file was cut off.
  yield `${JSON.stringify({ type: 'end', seals: counts.seal, records: counts.record })}\n`;
}

function lineOf(item: StoredItem): object {
  if (item.kind === 'record') return { type: 'record', text: item.text };
  if (item.kind === 'key') {
    return {
      type: 'key',
      id: item.id,
      algorithm: 'Ed25519',
      public_key: item.publicKey.toString('hex'),
    };
  }
  const { seal } = item;
  return {
    type: 'seal',
    organization_id: seal.organizationId,
    number: seal.number,
    class: seal.class,
    from: showPlace(seal.from),
    to: showPlace(seal.to),
    entries: seal.entries.toString('hex'),
    previous_hash: seal.previousHash.toString('hex'),
    introduces_key: seal.introducesKey,
    key_id: seal.keyId,
    sealed_at_ms: seal.sealedAt,
    hash: seal.hash.toString('hex'),
    signature: seal.signature.toString('hex'),
    pruned: seal.pruned,
  };
}

/** Lines end with a line feed and nothing else: texts may hold any other separator. */
export async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let begun: string[] = [];
  for await (const chunk of chunks) {
    const parts = chunk.split('\n');
    for (const part of parts.slice(0, -1)) {
      yield begun.length === 0 ? part : begun.join('') + part;
      begun = [];
    }
    const rest = parts.at(-1);
    if (rest) begun.push(rest);
  }
  if (begun.length > 0) yield begun.join('');
}

/** Verifies an exported file: needs no server and no database. */
export function verifyExport(
  lines: AsyncIterable<string>,
  options: VerifyOptions = {},
): Promise<Verification> {
  const given = { ...options };
  const items = readExport(lines, header => {
    given.sealedUpTo = header.sealedUpTo;
    given.organizationId = header.organizationId;
  });
  return verifyChain(items, given);
}

/** What the lines of a file say, for the verifier. @param begin is told what stands in the first line. */
async function* readExport(
  lines: AsyncIterable<string>,
  begin: (header: { organizationId: string; sealedUpTo: Place }) => void,
): AsyncGenerator<ChainItem> {
  let number = 0;
  let ended = false;
  const counts = { key: 0, seal: 0, record: 0, unreadable: 0 };
  for await (const line of lines) {
    number += 1;
    if (line === '') continue;
    const bad = (reason: string): ChainItem => ({ kind: 'unreadable', line: number, reason });
    if (ended) yield bad('it stands after the end');
    const value = parseObject(line);
    if (!value) {
      yield bad('it is no JSON object');
      continue;
    }
    if (number === 1) {
      const place = value.format === exportFormat ? parsePlace(String(value.sealed_up_to)) : null;
      if (place) begin({ organizationId: String(value.organization_id), sealedUpTo: place });
      else yield bad(`it is not the start of a file of the format ${exportFormat}`);
    } else if (value.type === 'end') {
      ended = true;
      if (value.seals !== counts.seal || value.records !== counts.record)
        yield bad(
          `it tells of ${value.seals} seals and ${value.records} records, not of what stands before it`,
        );
    } else {
      const item = itemOf(value) ?? bad('it is no key, seal or record');
      counts[item.kind] += 1;
      yield item;
    }
  }
  if (!ended) yield { kind: 'unreadable', line: number + 1, reason: 'the file ends before its last line' };
}

function itemOf(value: Record<string, unknown>): ChainItem | null {
  if (value.type === 'key' && value.algorithm === 'Ed25519')
    return { kind: 'key', id: String(value.id), publicKey: Buffer.from(String(value.public_key), 'hex') };
  if (value.type === 'seal') return sealOf(value);
  if (value.type === 'record') return typeof value.text === 'string' ? recordOf(value.text) : null;
  return null;
}

const hexForm = /^([0-9a-f]{2})*$/;

function sealOf(v: Record<string, unknown>): ChainItem | null {
  const [from, to] = [parsePlace(String(v.from)), parsePlace(String(v.to))];
  const kind = auditClasses.find(name => name === v.class);
  const bytes = [v.entries, v.previous_hash, v.hash, v.signature];
  if (
    !from ||
    !to ||
    !kind ||
    typeof v.pruned !== 'boolean' ||
    !bytes.every(text => typeof text === 'string' && hexForm.test(text))
  )
    return null;
  const hex = (text: unknown): Buffer => Buffer.from(text as string, 'hex');
  const content: SealContent = {
    organizationId: String(v.organization_id),
    number: Number(v.number),
    class: kind,
    from,
    to,
    entries: hex(v.entries),
    previousHash: hex(v.previous_hash),
    introducesKey: v.introduces_key === null ? null : String(v.introduces_key),
    keyId: String(v.key_id),
    sealedAt: String(v.sealed_at_ms),
  };
  const seal: Seal = {
    ...content,
    hash: hex(v.hash),
    signature: hex(v.signature),
    pruned: v.pruned,
  };
  return { kind: 'seal', seal };
}

/** A record of its text, or null when that says no place. */
export function recordOf(text: string): ChainRecord | null {
  const value = parseObject(text);
  const place = value && parsePlace(`${value.xid}-${value.fact_seq}`);
  if (!place) return null;
  const pruned = prunedOf(value);
  return {
    kind: 'record',
    place,
    hash: sha256(text),
    label: labelOf(value),
    ...(pruned ? { pruned } : {}),
  };
}

const labelOf = (v: Record<string, unknown>): string =>
  v.table === 'steps'
    ? `step ${v.seq} of ${v.run_id}: ${v.kind} ${v.name}`
    : `${v.action}${v.target ? ` ${v.target}` : ''} by ${v.actor}`;

function prunedOf(v: Record<string, unknown>): PrunedSeal | null {
  const data = v.data as Record<string, unknown> | null;
  if (v.action !== 'audit.prune' || !data) return null;
  return { number: Number(data.seal), hash: String(data.seal_hash), at: Number(data.at_ms) };
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
