/** Routes of the audit: searching, the seals, verifying, exporting. */
import { Readable } from 'node:stream';
import { z } from 'zod';
import { Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import type { Db, Tenants } from '../../platform/db/db.ts';
import { cursorQuery, pageOf, problemResponses, time, timeOrNull } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { type Actor, appendAudit } from '../../platform/journal/facts.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';
import { actorOf, principalOf } from '../identity/access.ts';
import { may, type Principal, permissionMissing } from '../identity/principal.ts';
import { type Reading, readChain, readingWith } from './chain.ts';
import { exportLines } from './export-format.ts';
import { auditClasses } from './seal-format.ts';
import { readSealedUpTo } from './sealing.ts';
import { countUnsealed, listSeals, type SealRow } from './seals.ts';
import { type AuditItem, searchAudit } from './search.ts';
import { verifyStored } from './verifying.ts';

export interface AuditRouteDeps {
  db: Db;
  tenants: Tenants;
  clock: Clock;
  sealer: Sealer;
}

const outcome = z.enum(['ok', 'refused', 'failed']);

const auditRecord = z
  .object({
    id: z.string().describe('Its place in the order that is sealed: `<transaction>-<sequence>`.'),
    actor: z.string(),
    action: z.string(),
    target: z.string().nullable(),
    outcome,
    data: z.record(z.string(), z.unknown()),
    request_id: z.string().nullable(),
    created_at: z.string(),
  })
  .meta({ id: 'AuditRecord' });

const auditSeal = z
  .object({
    number: z.number().int(),
    class: z.enum(auditClasses as ['administrative', 'access', 'call']),
    from: z.string().describe('Its records stand after this place …'),
    to: z.string().describe('… and not after this one.'),
    records: z.number().int(),
    hash: z.string(),
    previous_hash: z.string(),
    key_id: z.string(),
    introduces_key: z.string().nullable(),
    sealed_at: z.string(),
    pruned_at: z.string().nullable().describe('When retention removed its records.'),
  })
  .meta({ id: 'AuditSeal' });

const finding = z.object({
  kind: z.string(),
  text: z.string(),
  place: z.string().optional(),
  label: z.string().optional(),
  seal: z.number().int().optional(),
  last: z.number().int().optional(),
  key: z.string().optional(),
});

const verification = z
  .object({
    ok: z.boolean(),
    organization_id: z.string().nullable(),
    seals: z.number().int(),
    records: z.number().int().describe('Records that are exactly what was sealed.'),
    pruned_records: z.number().int(),
    unsealed_records: z.number().int(),
    head: z
      .object({ number: z.number().int(), hash: z.string(), sealed_at: z.string() })
      .nullable()
      .describe('The newest seal. Keep it elsewhere, and give it with the next verification.'),
    keys: z.array(z.string()).describe('Fingerprints of the keys that signed, oldest first.'),
    findings: z.array(finding),
    findings_total: z.number().int(),
  })
  .meta({ id: 'AuditVerification' });

const show = (item: AuditItem): z.output<typeof auditRecord> => ({
  ...item,
  created_at: time(item.created_at),
});

const showSeal = (row: SealRow): z.output<typeof auditSeal> => ({
  number: row.number,
  class: row.class,
  from: `${row.from_xid}-${row.from_seq}`,
  to: `${row.to_xid}-${row.to_seq}`,
  records: row.record_count,
  hash: row.hash.toString('hex'),
  previous_hash: row.previous_hash.toString('hex'),
  key_id: row.key_id,
  introduces_key: row.introduces_key,
  sealed_at: time(row.sealed_at),
  pruned_at: timeOrNull(row.pruned_at),
});

const text = z.string().min(1).max(200);
const instant = z.iso.datetime({ offset: true });
const sha256Form = /^[0-9a-f]{64}$/;
const chain = z
  .enum(['organization', 'system'])
  .default('organization')
  .describe('`system`: records that belong to no organization, for who manages the installation.');
type Chain = z.output<typeof chain>;

export function auditRoutes(server: Server, deps: AuditRouteDeps): void {
  const { db, tenants, clock } = deps;
  const now = () => new Date(clock.now());
  const readingOf =
    (actor: Actor): Reading =>
    work =>
      tenants.within(actor, work);
  /** The chain that is asked for: of the organization, or that of records that belong to none. */
  const chainOf = (principal: Principal, chain: Chain): { id: string; reading: Reading } => {
    if (chain === 'organization')
      return { id: principal.actor.organizationId, reading: readingOf(principal.actor) };
    if (!may(principal, 'installation.manage')) throw permissionMissing('installation.manage');
    return { id: 'system', reading: readingWith(db) };
  };

  server.get(
    '/api/v1/audit',
    {
      config: { permission: 'audit.read' },
      schema: {
        tags: ['audit'],
        summary: 'What was done, newest first',
        description:
          'Each page searches a bounded number of rows: it may hold fewer items than asked for, even none, while `next_cursor` tells that there is more to search.',
        querystring: cursorQuery.extend({
          actor: text
            .optional()
            .describe('`member:mem_…`, `agent:agt_…`, `service:svc_…`, `system`, `anonymous`.'),
          action: text.optional().describe('`noun.verb`, e.g. `task.create`, `tool.call`.'),
          target: text.optional().describe('Id of what was acted on; of a tool call the name of the tool.'),
          outcome: outcome.optional(),
          request_id: text.optional(),
          from: instant.optional(),
          to: instant.optional().describe('Before this time.'),
          text: text.optional().describe('Part of the actor, action, target or data.'),
        }),
        response: { 200: pageOf(auditRecord), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const { cursor, limit, request_id: requestId, from, to, ...rest } = request.query;
      const filter = {
        ...rest,
        requestId,
        from: from === undefined ? undefined : new Date(from),
        to: to === undefined ? undefined : new Date(to),
      };
      const page = await tenants.within(actor, tx =>
        searchAudit(tx, actor.organizationId, filter, { cursor, limit }),
      );
      return { ...page, items: page.items.map(show) };
    },
  );

  server.get(
    '/api/v1/audit/seals',
    {
      config: { permission: 'audit.read' },
      schema: {
        tags: ['audit'],
        summary: 'The chain of seals, newest first, and how much is not sealed yet',
        querystring: cursorQuery.extend({
          cursor: z
            .string()
            .regex(/^\d{1,15}$/)
            .optional(),
        }),
        response: {
          200: pageOf(auditSeal).extend({
            unsealed_records: z.number().int().describe('Counted up to 10,000.'),
          }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const actor = actorOf(request);
      const { cursor, limit } = request.query;
      const before = cursor === undefined ? undefined : Number(cursor);
      const sealedUpTo = await readSealedUpTo(db);
      const [rows, unsealed] = await tenants.within(actor, async tx => [
        await listSeals(tx, actor.organizationId, { before, limit: limit + 1 }),
        await countUnsealed(tx, actor.organizationId, sealedUpTo),
      ]);
      const items = rows.slice(0, limit);
      const last = items.at(-1);
      return {
        items: items.map(showSeal),
        next_cursor: rows.length > limit && last ? String(last.number) : null,
        unsealed_records: unsealed,
      };
    },
  );

  const verifying = new Set<string>();
  server.post(
    '/api/v1/audit/verify',
    {
      config: { permission: 'audit.read', limit: 'costly' },
      schema: {
        tags: ['audit'],
        summary: 'Verify the chain of the organization, all of it',
        description:
          'Takes as long as reading all that was recorded. That it was done, and with what result, is recorded.',
        body: z
          .strictObject({
            chain,
            key: z.string().regex(sha256Form).optional().describe('Fingerprint of a key noted before.'),
            head: z
              .strictObject({
                number: z.number().int().min(1),
                hash: z.string().regex(sha256Form),
                sealed_at: z.string().max(40).optional(),
              })
              .optional()
              .describe('`head` of a former verification.'),
          })
          .default({ chain: 'organization' }),
        response: { 200: verification, ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const { chain: asked, ...noted } = request.body;
      const { id, reading } = chainOf(principalOf(request), asked);
      if (verifying.has(id))
        throw new Problem(
          'exhausted',
          'verification_under_way',
          'The audit is being verified just now. Wait for that to end.',
          { retryAfterSeconds: 10 },
        );
      verifying.add(id);
      try {
        const result = await verifyStored(deps, reading, id, noted);
        const found = {
          findings: result.findings_total,
          head: result.head?.number ?? 0,
          records: result.records,
        };
        await tenants.within(actor, tx =>
          appendAudit(tx, actor, now(), 'audit.verify', id, result.ok ? 'ok' : 'failed', found),
        );
        return result;
      } finally {
        verifying.delete(id);
      }
    },
  );

  server.get(
    '/api/v1/audit/export',
    {
      config: { permission: 'audit.export', limit: 'costly' },
      exposeHeadRoute: false,
      schema: {
        tags: ['audit'],
        summary: 'Everything that verifying needs, as lines of JSON',
        description:
          'Keys, seals and records of the organization (docs/operating/audit.md has the format), to be verified without a server by `guildhall audit verify --file`.',
        querystring: z.strictObject({ chain }),
        response: {
          200: z.unknown().describe('Lines of JSON, application/x-ndjson.'),
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const principal = principalOf(request);
      // Transcripts of all projects are in it, and without them it would prove nothing.
      if (principal.reach.hidden.size > 0)
        throw new Problem(
          'forbidden',
          'clearance_missing',
          'The export holds the transcripts of all projects, and your clearance does not reach some. Ask somebody whose does.',
        );
      const { id, reading } = chainOf(principal, request.query.chain);
      const at = now();
      // Before anything leaves: an export that breaks off has been one too.
      await tenants.within(actor, tx => appendAudit(tx, actor, at, 'audit.export', id, 'ok'));
      const header = { organizationId: id, exportedAt: time(at), sealedUpTo: await readSealedUpTo(db) };
      const lines = exportLines(readChain(reading, id), header);
      return reply
        .type('application/x-ndjson')
        .header('cache-control', 'no-store')
        .header('content-disposition', `attachment; filename="audit-${id}.jsonl"`)
        .send(Readable.from(lines));
    },
  );
}
