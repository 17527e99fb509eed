/**
 * One POST whose answer is read as it arrives, with a deadline for each phase and an abort that closes the socket
 * at once. It uses undici's dispatch interface because only that tells when the connection stands, which separates
 * a slow network (`connect`) from a slow model (`first_token`). Redirects are not followed: the request carries a key.
 */
import { performance } from 'node:perf_hooks';
import { Agent, type Dispatcher } from 'undici';
import type { ModelTimeouts } from '../../features/models/port.ts';

/** The largest answer that is read, in bytes. The longest real ones are about 1 MB. */
export const maxAnswerBytes = 32 * 1024 * 1024;

/** How long the rest of an answer may take whose closing event has come, before its connection is given up. */
const drainMs = 1_000;

export type Headers = Record<string, string | string[] | undefined>;

export interface HttpRequest {
  url: URL;
  headers: Record<string, string>;
  body: string;
  signal: AbortSignal;
  timeouts: ModelTimeouts;
  maxBytes: number;
}

export interface Receiver {
  head(status: number, headers: Headers): void;
  /** `started`: the answer proper has begun, from now on the idle limit counts. `stop`: no more is needed. */
  chunk(bytes: Buffer): 'more' | 'started' | 'stop';
}

type Cause =
  | { how: 'ended' | 'stopped' | 'aborted' | 'too_large' }
  | { how: 'timeout'; phase: keyof ModelTimeouts }
  | { how: 'broken'; error: Error };

/** `sent`: the request may have reached the server. */
export type Ending = Cause & { sent: boolean };

/** A pool per origin. HTTP/1.1 only: closing its socket is what makes a provider stop generating. */
export function newDispatcher(): Agent {
  return new Agent({ allowH2: false, keepAliveTimeout: 30_000, connect: { timeout: 60_000 } });
}

/** Never rejects. `attempts` holds the running ones, so that the driver can abort them when it closes. */
export function post(
  dispatcher: Dispatcher,
  request: HttpRequest,
  receiver: Receiver,
  attempts: Set<Attempt>,
): Promise<Ending> {
  const attempt = new Attempt(request, receiver);
  attempts.add(attempt);
  void attempt.ending.then(() => attempts.delete(attempt));
  attempt.start(dispatcher);
  return attempt.ending;
}

export class Attempt implements Dispatcher.DispatchHandler {
  readonly ending: Promise<Ending>;
  readonly #request: HttpRequest;
  readonly #receiver: Receiver;
  readonly #resolve: (ending: Ending) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #phase: 'connect' | 'first_token' | 'idle' = 'connect';
  #phaseTimer: NodeJS.Timeout | undefined;
  #totalTimer: NodeJS.Timeout | undefined;
  #drainTimer: NodeJS.Timeout | undefined;
  #bytes: number = 0;
  #over: boolean = false;

  constructor(request: HttpRequest, receiver: Receiver) {
    this.#request = request;
    this.#receiver = receiver;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ending = promise;
    this.#resolve = resolve;
  }

  start(dispatcher: Dispatcher): void {
    const { url, headers, body, signal, timeouts } = this.#request;
    if (signal.aborted) {
      this.abort();
      return;
    }
    signal.addEventListener('abort', this.abort, { once: true });
    this.#totalTimer = setTimeout(() => this.#finish({ how: 'timeout', phase: 'total' }), timeouts.total);
    this.#enter('connect');
    try {
      dispatcher.dispatch(
        {
          origin: url.origin,
          path: url.pathname + url.search,
          method: 'POST',
          headers,
          body,
          headersTimeout: 0, // the limits of this file replace undici's
          bodyTimeout: 0,
        },
        this,
      );
    } catch (error) {
      this.onResponseError(null, error instanceof Error ? error : new Error(String(error)));
    }
  }

  readonly abort = (): void => this.#finish({ how: 'aborted' });

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#over) {
      controller.abort(new Error('The call has ended.'));
      return;
    }
    this.#controller = controller;
    this.#enter('first_token');
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (this.#over || status < 200) return;
    this.#receiver.head(status, headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, bytes: Buffer): void {
    if (this.#over) return;
    this.#bytes += bytes.length;
    if (this.#bytes > this.#request.maxBytes) {
      this.#finish({ how: 'too_large' });
      return;
    }
    const wish = this.#receiver.chunk(bytes);
    if (wish === 'stop') this.#finish({ how: 'stopped' });
    else if (this.#phase === 'idle') this.#phaseTimer?.refresh();
    else if (wish === 'started') this.#enter('idle');
  }

  onResponseEnd(): void {
    clearTimeout(this.#drainTimer);
    this.#finish({ how: 'ended' });
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    clearTimeout(this.#drainTimer);
    if ('code' in error && error.code === 'UND_ERR_CONNECT_TIMEOUT')
      this.#finish({ how: 'timeout', phase: 'connect' });
    else this.#finish({ how: 'broken', error });
  }

  #enter(phase: 'connect' | 'first_token' | 'idle'): void {
    this.#phase = phase;
    clearTimeout(this.#phaseTimer);
    this.#phaseTimer = setTimeout(
      () => this.#finish({ how: 'timeout', phase }),
      this.#request.timeouts[phase],
    );
  }

  #finish(cause: Cause): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#phaseTimer);
    clearTimeout(this.#totalTimer);
    this.#request.signal.removeEventListener('abort', this.abort);
    // After the closing event the connection is worth keeping, so its few last bytes are awaited; else it closes now.
    if (cause.how === 'stopped') this.#drainTimer = setTimeout(this.#drop, drainMs).unref();
    else if (cause.how !== 'ended' && cause.how !== 'broken') this.#drop();
    this.#resolve({ ...cause, sent: this.#phase !== 'connect' });
  }

  readonly #drop = (): void => this.#controller?.abort(new Error('The call has ended.'));
}

/** Milliseconds since `started`, a value of `performance.now()`. */
export function elapsedMs(started: number): number {
  return Math.round(performance.now() - started);
}
