/** Requests to a secret store: a deadline, a bound on the answer, no redirects, and a few tries where that helps. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, request } from 'undici';
import { backoffMs } from '../../base/backoff.ts';

export interface StoreRequest {
  method: 'GET' | 'POST';
  url: URL;
  headers: Record<string, string>;
  body?: string;
}

export interface StoreAnswer {
  status: number;
  /** The parsed body; undefined when it is no JSON. */
  body: unknown;
}

export interface StoreConnection {
  dispatcher: Dispatcher;
  /** Pause between tries, in milliseconds; tests shorten it. */
  pauseMs: number;
}

export const tries = 4;
const deadlineMs = 10_000;
const largestAnswerBytes = 1_048_576;

/**
 * Sends until the answer is one that another try would not change. @param make builds each try anew, since a
 * signature holds for its moment only. Rejects when the store could not be reached at all.
 */
export async function send(
  connection: StoreConnection,
  make: () => StoreRequest,
  isPassing: (answer: StoreAnswer) => boolean,
): Promise<StoreAnswer> {
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await sendOnce(connection.dispatcher, make());
      if (attempt >= tries || !isPassing(answer)) return answer;
    } catch (error) {
      if (attempt >= tries) throw error;
    }
    await sleep(backoffMs(attempt, { baseMs: connection.pauseMs, capMs: 2_000 }, 0.5));
  }
}

async function sendOnce(
  dispatcher: Dispatcher,
  { method, url, headers, body }: StoreRequest,
): Promise<StoreAnswer> {
  const signal = AbortSignal.timeout(deadlineMs);
  const answer = await request(url, { dispatcher, method, headers, body, signal });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += (chunk as Buffer).length;
    if (bytes > largestAnswerBytes) throw new Error('the answer is too large');
    chunks.push(chunk as Buffer);
  }
  return { status: answer.statusCode, body: parse(Buffer.concat(chunks).toString('utf8')) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
