/** `guildhall audit …`: what was done, and proof that the record of it is whole, with or without a server. */
import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { headersOf, type Schemas, value } from '../../sdk/client.ts';
import { errorOf } from '../../sdk/errors.ts';
import { linesOf, verifyExport } from '../../src/features/audit/export-format.ts';
import { group, whole } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import { exitCodes, usage } from '../failures.ts';
import { count, plain, table, when } from '../text.ts';

type Record = Schemas['AuditRecord'];
type Verification = Schemas['AuditVerification'];

interface Search {
  actor?: string;
  action?: string;
  target?: string;
  outcome?: string;
  request?: string;
  from?: string;
  to?: string;
  text?: string;
  limit?: number;
  cursor?: string;
}

const outcomes = ['ok', 'refused', 'failed'] as const;

export function auditCommands(program: Command, does: Does): void {
  const audit = group(program, 'audit', 'what was done: list, verify, export');
  audit
    .command('list')
    .description('List what was done, newest first.')
    .option('--actor <actor>', 'who: member:mem_…, agent:agt_…, system')
    .option('--action <action>', 'what: task.create, tool.call …')
    .option('--target <id>', 'to what; of a tool call the name of the tool')
    .option('--outcome <outcome>', `one of ${outcomes.join(', ')}`)
    .option('--request <id>', 'everything that one request caused')
    .option('--from <time>', 'from this time on, such as 2026-11-21 or 2026-11-21T09:00:00Z')
    .option('--to <time>', 'before this time')
    .option('--text <text>', 'part of the actor, action, target or data')
    .option('--limit <n>', 'how many; default 50', whole(1, 200))
    .option('--cursor <cursor>', 'the page after this one')
    .action(does<Search>(list));
  audit
    .command('verify')
    .description('Verify that nothing recorded was changed, removed or inserted.')
    .option('--system', 'the records that belong to no organization')
    .option('--file <path>', 'an exported file: needs no server')
    .option('--key <fingerprint>', 'with --file: the key that must have signed, noted before')
    .option('--head <number:hash>', 'a newest seal noted before, which must still be there')
    .addHelpText(
      'after',
      '\nExit code 1 when something is wrong.\n\nExamples:\n  ./guildhall audit verify\n  ./guildhall audit verify --file audit.jsonl --key 3f9a…',
    )
    .action(does<Verify>(verify));
  audit
    .command('export')
    .description('Write all that was recorded, with its seals and public keys, to a file.')
    .requiredOption('--out <path>', 'where to')
    .option('--system', 'the records that belong to no organization')
    .action(does<{ out: string; system?: boolean }>(exportTo));
}

/** A page may be empty though there is more to search: so many pages are asked for before that is told. */
const pagesAtATime = 50;

async function list(call: Call, options: Search): Promise<void> {
  const { api } = await call.connect();
  const { request: request_id, outcome: given, from, to, limit = 50, ...rest } = options;
  const outcome = outcomes.find(name => name === given);
  if (given !== undefined && !outcome)
    throw usage('outcome_unknown', `--outcome must be one of ${outcomes.join(', ')}.`);
  const filter = { ...rest, outcome, request_id, from: instant('--from', from), to: instant('--to', to) };
  const items: Record[] = [];
  let cursor: string | null | undefined = options.cursor;
  for (let pages = 0; pages < pagesAtATime && items.length < limit && cursor !== null; pages++) {
    const query = { ...chosen(filter), cursor, limit: limit - items.length };
    const page: { items: Record[]; next_cursor: string | null } = await value(
      api.GET('/api/v1/audit', { params: { query } }),
    );
    items.push(...page.items);
    cursor = page.next_cursor;
  }
  call.print({ items, next_cursor: cursor ?? null }, () => {
    const more = cursor ? `\nMore: add --cursor ${cursor}\n` : '';
    if (items.length === 0)
      return cursor ? `Nothing found so far.${more}` : 'Nothing was recorded like that.';
    const rows = items.map(r => [
      when(r.created_at),
      r.actor,
      r.action,
      r.outcome,
      r.target ?? '–',
      JSON.stringify(r.data),
    ]);
    return table(['WHEN', 'WHO', 'WHAT', 'OUTCOME', 'TO WHAT', 'DATA'], rows, call.io.columns) + more;
  });
}

/** Only what the API knows and what was given: the options of a command hold more. */
function chosen(filter: { [name: string]: unknown }) {
  const names = ['actor', 'action', 'target', 'outcome', 'request_id', 'from', 'to', 'text'];
  return Object.fromEntries(
    names.flatMap(name => (filter[name] === undefined ? [] : [[name, filter[name]]])),
  ) as { outcome?: (typeof outcomes)[number] };
}

function instant(name: string, given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  const time = Date.parse(given);
  if (Number.isNaN(time)) throw usage('time_invalid', `${name} must be a time such as 2026-11-21T09:00:00Z.`);
  return new Date(time).toISOString();
}

interface Verify {
  system?: boolean;
  file?: string;
  key?: string;
  head?: string;
}

async function verify(call: Call, options: Verify): Promise<number> {
  const head = options.head === undefined ? undefined : headOf(options.head);
  // Without a file `--key` is what it is everywhere, the API key: a server knows its own signing keys.
  const found = options.file
    ? await verifyFile(resolve(call.io.cwd, options.file), { key: fingerprintOf(options.key), head })
    : await verifyHere(call, { head, chain: chainOf(options) });
  call.print(found, () => show(found));
  return found.ok ? exitCodes.ok : exitCodes.failed;
}

type Noted = { key?: string; head?: { number: number; hash: string } };

const chainOf = ({ system }: { system?: boolean }) => (system ? 'system' : 'organization');

async function verifyHere(
  call: Call,
  body: Pick<Noted, 'head'> & { chain: ReturnType<typeof chainOf> },
): Promise<Verification> {
  const { api } = await call.connect();
  return value(api.POST('/api/v1/audit/verify', { body }));
}

async function verifyFile(path: string, noted: Noted): Promise<Verification> {
  const file = await open(path).catch(error => {
    throw usage('file_unreadable', `${path} cannot be read (${error.code}).`);
  });
  return verifyExport(linesOf(createReadStream('', { fd: file, encoding: 'utf8' })), noted);
}

function fingerprintOf(text: string | undefined): string | undefined {
  if (text === undefined || /^[0-9a-f]{64}$/.test(text)) return text;
  throw usage('key_invalid', '--key must be the 64 hex digits of a fingerprint.');
}

function headOf(text: string): { number: number; hash: string } {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (!match) throw usage('head_invalid', '--head must be as verifying prints it: <number>:<64 hex digits>.');
  return { number: Number(match[1]), hash: match[2] as string };
}

const shownFindings = 100;

function show(found: Verification): string {
  const facts = [
    `${count(found.records, 'record')} in ${count(found.seals, 'seal')} ${found.records === 1 ? 'is' : 'are'} what was sealed.`,
    `${count(found.unsealed_records, 'record')} not sealed yet.`,
    ...(found.pruned_records > 0
      ? [`${count(found.pruned_records, 'record')} removed by retention; their seals stay.`]
      : []),
    ...found.keys.map(key => `Signed with the key ${key}`),
    ...(found.head
      ? [`Newest seal: ${found.head.number}:${found.head.hash}, ${when(found.head.sealed_at)}`]
      : []),
  ];
  if (found.ok) {
    const advice =
      'Keep the key and the newest seal elsewhere: with --key (for a file) and --head the next verification proves that it is the same chain.';
    return `The audit is whole.\n${facts.join('\n')}\n${advice}`;
  }
  const rest = found.findings_total - shownFindings;
  return [
    `The audit is NOT whole: ${count(found.findings_total, 'finding')}.`,
    ...found.findings.slice(0, shownFindings).map(f => `  ${f.kind}: ${plain(f.text)}`),
    ...(rest > 0 ? [`  … and ${rest} more; --json has up to 1,000.`] : []),
    '',
    ...facts,
  ].join('\n');
}

async function exportTo(call: Call, options: { out: string; system?: boolean }): Promise<void> {
  const { place } = await call.connect();
  const path = resolve(call.io.cwd, options.out);
  const response = await fetch(`${place.url}/api/v1/audit/export?chain=${chainOf(options)}`, {
    headers: headersOf(place),
  });
  if (!response.ok || !response.body) throw errorOf(response, await response.json().catch(() => null));
  const partial = `${path}.partial`;
  const file = await open(partial, 'w', 0o600).catch(error => {
    throw usage('file_unwritable', `${path} cannot be written (${error.code}).`);
  });
  try {
    await pipeline(Readable.fromWeb(response.body as never), file.createWriteStream());
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  call.print(
    { file: path },
    () => `Exported to ${path}\nVerify it anywhere: ./guildhall audit verify --file ${options.out}`,
  );
}
