/**
 * The events for one client, whatever they are sent over. A client is live, given what the tail reads; or it catches
 * up from the table: after the last event that it saw, and when it reads more slowly than events happen. Little is
 * kept for it in memory, it misses nothing, and one that does not read at all is cut off.
 */
import { messageOf, Problem } from '../../base/problem.ts';
import type { Tenants } from '../db/db.ts';
import {
  type EventTail,
  isAfter,
  type LiveEvent,
  type Position,
  parsePosition,
  readEnd,
  readEvents,
} from './tail.ts';

/** Bytes that may wait to be sent before a live client has to catch up at its own pace. */
const bufferLimitBytes = 1024 * 1024;
/** How long one that catches up may leave that much unread. */
const stallLimitMs = 10_000;
const pageSize = 200;

/** An event as a client is shown it. */
export type ShownEvent = Omit<LiveEvent, 'organization_id' | 'project_id'>;

/** Where events are written to. */
export interface Sink {
  write(event: ShownEvent): void;
  /** Bytes that wait to be sent. */
  readonly buffered: number;
  readonly closed: boolean;
  /** Resolves when nothing, or little, waits any more; fails when the signal says that it took too long. */
  drained(signal: AbortSignal): Promise<void>;
  /** Ends the connection, without a word to who does not listen. */
  cutOff(why: string): void;
}

export interface FeedOptions {
  organizationId: string;
  /** Only events of this tree of tasks. */
  rootTaskId: string | null;
  /** Start after this event rather than from now. */
  lastEventId: string | null;
  /** Asked for every event: whether the client may hear of it. */
  mayHear(event: LiveEvent): boolean;
  /** Milliseconds until a client that reads nothing is cut off. */
  stallLimitMs?: number;
}

export interface Feed {
  /** Starts to write; what went before it on the connection is the caller's. */
  begin(): void;
  stop(): void;
}

/** Subscribes a client. @throws Problem `last_event_id_invalid`. */
export async function openFeed(
  tenants: Tenants,
  tail: EventTail,
  sink: Sink,
  options: FeedOptions,
): Promise<Feed> {
  const start = options.lastEventId === null ? null : parsePosition(options.lastEventId);
  if (options.lastEventId !== null && !start) {
    throw new Problem(
      'invalid',
      'last_event_id_invalid',
      'Last-Event-ID must be the id of an event that this stream gave.',
      { status: 400 },
    );
  }
  const client = new Client(tenants, sink, options);
  const subscription = await tail.subscribe(options.organizationId, events => client.take(events));
  try {
    const from = start && (await isPast(tenants, options, start)) ? start : subscription.from;
    return { begin: () => client.begin(from, subscription.from), stop: subscription.stop };
  } catch (error) {
    subscription.stop();
    throw error;
  }
}

/** A position that this database has not come to yet is of another one: before a restore, or before it was made anew. */
const isPast = async (tenants: Tenants, of: FeedOptions, position: Position): Promise<boolean> =>
  isAfter(await tenants.within(of, readEnd), position);

class Client {
  readonly #tenants: Tenants;
  readonly #sink: Sink;
  readonly #options: FeedOptions;
  #live = false;
  /** Everything up to here was sent, as far as it is wanted. */
  #at: Position = { xid: '0', seq: '0' };
  /** The last that the tail has read: what there is to catch up with. */
  #newest: Position = this.#at;
  /** Whether the tail may still bring what was sent while catching up. */
  #overlap = false;

  constructor(tenants: Tenants, sink: Sink, options: FeedOptions) {
    this.#tenants = tenants;
    this.#sink = sink;
    this.#options = options;
  }

  begin(start: Position, end: Position): void {
    this.#at = start;
    if (isAfter(end, this.#newest)) this.#newest = end;
    void this.#catchUp();
  }

  /** What the tail has just read. */
  take(events: readonly LiveEvent[]): void {
    const last = parsePosition(events.at(-1)?.id ?? '');
    if (!last) return;
    this.#newest = last;
    if (!this.#live) return;
    for (const event of events) {
      if (this.#overlap && !isAfter(parsePosition(event.id) as Position, this.#at)) continue;
      this.#overlap = false;
      this.#send(event);
      if (this.#sink.buffered <= bufferLimitBytes) continue;
      this.#at = parsePosition(event.id) as Position;
      this.#live = false;
      void this.#catchUp();
      return;
    }
    if (!this.#overlap) this.#at = last;
  }

  /** Reads on from the table at the pace of the client, until there is nothing that the tail has read already. */
  async #catchUp(): Promise<void> {
    const sink = this.#sink;
    try {
      if (sink.buffered > bufferLimitBytes) await this.#drained();
      while (!sink.closed) {
        const known = this.#newest;
        const { organizationId } = this.#options;
        const events = await this.#tenants.within({ organizationId }, tx =>
          readEvents(tx, this.#at, pageSize, organizationId),
        );
        for (const event of events) {
          this.#send(event);
          if (sink.buffered > bufferLimitBytes) await this.#drained();
        }
        this.#at = parsePosition(events.at(-1)?.id ?? '') ?? this.#at;
        if (events.length === pageSize) continue;
        // Nothing up to `known` is left: it was in the table before this read began.
        if (isAfter(known, this.#at)) this.#at = known;
        if (known !== this.#newest) continue;
        this.#overlap = true;
        this.#live = true;
        return;
      }
    } catch (error) {
      sink.cutOff(`it could not catch up (${messageOf(error)})`);
    }
  }

  async #drained(): Promise<void> {
    await this.#sink.drained(AbortSignal.timeout(this.#options.stallLimitMs ?? stallLimitMs));
  }

  #send(event: LiveEvent): void {
    const { organizationId, rootTaskId } = this.#options;
    if (event.organization_id !== organizationId) return;
    if (rootTaskId !== null && event.root_task_id !== rootTaskId) return;
    if (!this.#options.mayHear(event)) return;
    const { organization_id: _o, project_id: _p, ...shown } = event;
    this.#sink.write(shown);
  }
}
