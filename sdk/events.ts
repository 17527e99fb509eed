/**
 * The live stream: server-sent events over `fetch` (which, unlike EventSource, can send an API key). A stream that
 * breaks or falls silent is opened again after the last event that was seen, so nothing is missed or given twice.
 * Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import { type ClientOptions, headersOf } from './client.ts';
import { errorOf, unreachable } from './errors.ts';

/** A fact of the event table. `type` is `noun.verb_past`, e.g. `task.succeeded`. */
export interface LiveEvent {
  id: string;
  type: string;
  task_id: string | null;
  root_task_id: string | null;
  run_id: string | null;
  actor: string;
  request_id: string | null;
  data: Record<string, unknown>;
  created_at: string;
}

export interface FollowOptions {
  /** Only events of the tree of this task. */
  taskId?: string;
  /** Begin after this event; `0-0` gives all there are. Default: from now on. */
  after?: string;
  signal?: AbortSignal;
  /** Told when the stream broke and will be opened again. */
  onBreak?: (reason: string, retryMs: number) => void;
}

/** The server sends something every 15 seconds: silence three times as long is a dead connection. */
const silenceMs = 45_000;
const retryMsMax = 15_000;

/** Events until the signal is aborted. @throws ApiError when the server refuses. */
export async function* followEvents(
  client: ClientOptions,
  options: FollowOptions = {},
): AsyncGenerator<LiveEvent> {
  const state: Progress = { last: options.after ?? null, retryMs: 1_000, failures: 0 };
  while (!options.signal?.aborted) {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, ...(options.signal ? [options.signal] : [])]);
    let reason = 'the stream ended';
    try {
      const body = await openStream(client, options.taskId, state.last, signal);
      for await (const event of readEvents(body, state, stop)) {
        state.failures = 0;
        state.last = event.id;
        yield event;
      }
    } catch (error) {
      if (options.signal?.aborted) return;
      if (isRefusal(error)) throw error;
      reason = error instanceof Error ? error.message : String(error);
    } finally {
      stop.abort();
    }
    const waitMs = Math.min(state.retryMs * 2 ** state.failures++, retryMsMax);
    options.onBreak?.(reason, waitMs);
    await pause(waitMs, options.signal);
  }
}

interface Progress {
  last: string | null;
  /** What the server asks for in `retry:`. */
  retryMs: number;
  failures: number;
}

async function openStream(
  client: ClientOptions,
  taskId: string | undefined,
  last: string | null,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const url = new URL(`${client.url.replace(/\/+$/, '')}/api/v1/events`);
  if (taskId) url.searchParams.set('task_id', taskId);
  const headers = {
    accept: 'text/event-stream',
    ...headersOf(client),
    ...(last === null ? {} : { 'last-event-id': last }),
  };
  let response: Response;
  try {
    response = await (client.fetch ?? globalThis.fetch)(url, { headers, signal });
  } catch (error) {
    throw signal.aborted ? error : unreachable(url.href, error);
  }
  if (!response.ok || !response.body) throw errorOf(response, await response.json().catch(() => null));
  return response.body;
}

/** 4xx: asking again would be refused again. */
function isRefusal(error: unknown): boolean {
  const status = (error as { status?: unknown }).status;
  return typeof status === 'number' && status >= 400 && status < 500 && status !== 429;
}

async function* readEvents(
  body: ReadableStream<Uint8Array>,
  state: Progress,
  stop: AbortController,
): AsyncGenerator<LiveEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let silence = setTimeout(() => stop.abort(), silenceMs);
  try {
    for await (const chunk of body) {
      clearTimeout(silence);
      silence = setTimeout(() => stop.abort(), silenceMs);
      rest = (rest + decoder.decode(chunk, { stream: true })).replaceAll('\r\n', '\n');
      const blocks = rest.split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const event = readBlock(block, state);
        if (event) yield event;
      }
    }
  } finally {
    clearTimeout(silence);
  }
}

/** One block of fields; null for a comment or a `retry:`. */
function readBlock(block: string, state: Progress): LiveEvent | null {
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const match = /^(data|retry): ?(.*)$/.exec(line);
    if (match?.[1] === 'data') data.push(match[2] as string);
    else if (match && /^\d{1,6}$/.test(match[2] as string)) state.retryMs = Number(match[2]);
  }
  return data.length === 0 ? null : (JSON.parse(data.join('\n')) as LiveEvent);
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}
