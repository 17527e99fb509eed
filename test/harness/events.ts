/** A client of the event stream, as slow as a test wants it to be. */
import assert from 'node:assert/strict';
import { sql } from 'kysely';
import type { Db } from '../../src/platform/db/db.ts';

export interface SeenEvent {
  id: string;
  type: string;
  data: Record<string, unknown> & { task_id: string | null; data: Record<string, unknown> };
}

export interface EventClient {
  seen: SeenEvent[];
  /** Waits until so many events were seen, or until one holds; fails after a while. */
  until(what: number | ((event: SeenEvent) => boolean)): Promise<SeenEvent[]>;
  close(): void;
  /** Resolves when the server ends the stream. */
  ended: Promise<void>;
}

export async function openEvents(
  url: string,
  headers: Record<string, string>,
  limitMs = 15_000,
): Promise<EventClient> {
  const abort = new AbortController();
  const response = await fetch(url, { headers, signal: abort.signal });
  assert.equal(response.status, 200, await (response.status === 200 ? '' : response.text()));
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const seen: SeenEvent[] = [];
  let wake = (): void => {};
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(part)?.[1];
        const id = field('id');
        if (id) seen.push({ id, type: field('event') ?? '', data: JSON.parse(field('data') ?? 'null') });
      }
      wake();
    }
  };
  const ended = read().catch(() => {});
  return {
    seen,
    ended,
    close: () => abort.abort(),
    until: async what => {
      const done = () => (typeof what === 'number' ? seen.length >= what : seen.some(what));
      const end = Date.now() + limitMs;
      while (!done()) {
        if (Date.now() > end) throw new Error(`saw only ${JSON.stringify(seen.map(e => e.type))}`);
        await new Promise<void>(resolve => {
          wake = resolve;
          setTimeout(resolve, 100).unref();
        });
      }
      return seen;
    },
  };
}

/**
 * Waits until every transaction that was open up to now is closed, in other databases of the server too: only then
 * is what was written surely behind the end at which a subscriber starts, and before the end up to which is sealed.
 */
export async function untilSettled(db: Db): Promise<void> {
  const { rows } = await sql<{ xid: string }>`select pg_current_xact_id()::text as xid`.execute(db);
  const xid = rows[0]?.xid ?? '';
  for (let i = 0; i < 500; i++) {
    const looked = await sql<{ settled: boolean }>`
      select pg_snapshot_xmin(pg_current_snapshot()) > ${xid}::text::xid8 as settled`.execute(db);
    if (looked.rows[0]?.settled) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error('an older transaction stayed open');
}
