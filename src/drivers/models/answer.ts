/**
 * One answer as it comes in: the head decides whether a stream, an error or something foreign follows; the body
 * goes to the dialect's reader; the ending gives the verdict.
 */
import type { Json } from '../../base/json.ts';
import type { Clock } from '../../base/time.ts';
import type { ModelCallOptions, ModelFailure } from '../../features/models/port.ts';
import {
  errorMessage,
  fail,
  isObject,
  kindOf,
  type ProviderError,
  parseJson,
  providerErrorOf,
} from './failures.ts';
import { type Ending, elapsedMs, type Headers, maxAnswerBytes, type Receiver } from './http.ts';
import { one, retryAfterMs } from './retry-after.ts';
import { type SseEvent, SseParser } from './sse.ts';
import type { Dialect, Finished, ReadStep, StreamReader } from './stream.ts';

/** An error document is short; of a longer one the beginning is not JSON and only the status counts. */
const maxErrorBytes = 64 * 1024;

export class Answer implements Receiver {
  readonly reader: StreamReader;
  providerRequestId: string | null = null;
  firstTokenMs: number | null = null;
  readonly #dialect: Dialect;
  readonly #options: ModelCallOptions;
  readonly #clock: Clock;
  readonly #started: number;
  readonly #parser = new SseParser();
  #status = 0;
  #headers: Headers = {};
  #streaming: boolean = false;
  /** A body which is not a stream. */
  #document: Buffer[] = [];
  #documentBytes = 0;
  #verdict: ModelFailure | 'done' | null = null;
  /** The provider reported an error in its own format. */
  #explained: boolean = false;
  #listening: boolean;

  constructor(dialect: Dialect, options: ModelCallOptions, clock: Clock, started: number) {
    this.#dialect = dialect;
    this.#options = options;
    this.#clock = clock;
    this.#started = started;
    this.#listening = options.onText !== undefined;
    this.reader = dialect.reader(options);
  }

  head(status: number, headers: Headers): void {
    this.#status = status;
    this.#headers = headers;
    this.providerRequestId = one(headers[this.#dialect.requestIdHeader]) ?? null;
    const type = (one(headers['content-type']) ?? 'text/event-stream').toLowerCase();
    const encoding = one(headers['content-encoding']) ?? 'identity';
    this.#streaming = status === 200 && type.startsWith('text/event-stream') && encoding === 'identity';
  }

  chunk(bytes: Buffer): 'more' | 'started' | 'stop' {
    if (!this.#streaming) return this.#keep(bytes);
    return this.#readEvents(this.#parser.push(bytes));
  }

  #keep(bytes: Buffer): 'started' | 'stop' {
    this.#document.push(bytes);
    this.#documentBytes += bytes.length;
    const limit = this.#status === 200 && this.#dialect.readWhole ? maxAnswerBytes : maxErrorBytes;
    return this.#documentBytes > limit ? 'stop' : 'started';
  }

  #readEvents(events: SseEvent[]): 'more' | 'started' | 'stop' {
    let wish: 'more' | 'started' = 'more';
    for (const event of events) {
      const step = this.#readEvent(event);
      if (step.is === 'token') {
        wish = 'started';
        this.firstTokenMs ??= elapsedMs(this.#started);
        if (step.text) this.#show(step.text);
      } else if (step.is === 'done') {
        this.#verdict = 'done';
        return 'stop';
      } else if (step.is === 'failed') {
        this.#verdict = step.failure;
        this.#explained = step.failure.kind !== 'malformed';
        return 'stop';
      }
    }
    return wish;
  }

  #readEvent(event: SseEvent): ReadStep {
    if (event.data === '[DONE]' && this.reader.readDone) return this.reader.readDone();
    const value = parseJson(event.data);
    if (isObject(value)) return this.reader.read(value);
    return {
      is: 'failed',
      failure: fail('malformed', `${this.#dialect.provider} sent a stream event that is not a JSON object.`),
    };
  }

  /** A listener that throws is not called again; the answer itself is not its concern. */
  #show(text: string): void {
    if (!this.#listening) return;
    try {
      this.#options.onText?.(text);
    } catch {
      this.#listening = false;
    }
  }

  /** True when the provider said no before it generated anything. A bare 5xx may come from a proxy that gave up. */
  get declined(): boolean {
    return this.firstTokenMs === null && (this.#explained || (this.#status >= 400 && this.#status < 500));
  }

  result(ending: Ending): Finished | ModelFailure {
    if (this.#verdict === 'done') return this.reader.finish();
    if (this.#verdict) return this.#withRequestId(this.#verdict);
    if (ending.how === 'aborted') return fail('aborted', 'The call was aborted.');
    if (this.#status >= 300) return this.#withRequestId(this.#statusFailure());
    const { provider, url } = this.#dialect;
    switch (ending.how) {
      case 'timeout':
        return fail(`timeout_${ending.phase}`, timeoutMessage(provider, ending.phase, this.#options));
      case 'too_large':
        return fail('malformed', `${provider} sent more than ${maxAnswerBytes} bytes.`, { retryable: false });
      case 'broken':
        return this.#status === 0
          ? fail('network', `No answer from ${provider} at ${url.host}: ${reasonOf(ending.error)}.`)
          : this.#withRequestId(
              fail('truncated', `${provider} broke off its answer: ${reasonOf(ending.error)}.`),
            );
      default:
        return this.#withRequestId(this.#ended());
    }
  }

  /** The body is complete, but no closing event was seen in it so far. */
  #ended(): Finished | ModelFailure {
    const { provider } = this.#dialect;
    if (!this.#streaming) return this.#documentResult();
    const last = this.#parser.end().filter(event => event.data === '[DONE]' || parseJson(event.data));
    this.#readEvents(last);
    if (this.#verdict && this.#verdict !== 'done') return this.#verdict;
    if (this.#verdict === 'done' || this.reader.complete) return this.reader.finish();
    return fail('truncated', `${provider} ended its stream before the closing event.`);
  }

  #documentResult(): Finished | ModelFailure {
    const { provider, readWhole } = this.#dialect;
    const value = this.#json();
    const error = value === undefined ? null : providerErrorOf(value);
    if (error) return this.#failureFrom(error);
    if (isObject(value) && readWhole?.(this.reader, value, text => this.#show(text)))
      return this.reader.finish();
    const type = one(this.#headers['content-type']) ?? 'no content type';
    return fail('malformed', `${provider} answered ${type.slice(0, 80)} in place of an event stream.`);
  }

  #statusFailure(): ModelFailure {
    const { provider } = this.#dialect;
    if (this.#status < 400)
      return fail(
        'malformed',
        `${provider} answered with a redirect (${this.#status}), which is not followed; check the base URL.`,
        { retryable: false, status: this.#status },
      );
    return this.#failureFrom(providerErrorOf(this.#json() ?? null));
  }

  #failureFrom(error: ProviderError | null): ModelFailure {
    const httpStatus = this.#status >= 400 ? this.#status : 0;
    this.#explained = error !== null;
    const failure = fail(kindOf(httpStatus, error), errorMessage(this.#dialect.provider, httpStatus, error));
    if (httpStatus > 0) failure.status = httpStatus;
    const advice = one(this.#headers['x-should-retry']);
    if (advice === 'false') failure.retryable = false;
    if (failure.retryable) {
      const wait = retryAfterMs(this.#headers, this.#clock.now());
      if (wait !== undefined) failure.retry_after_ms = wait;
    }
    return failure;
  }

  #json(): Json | undefined {
    return parseJson(Buffer.concat(this.#document).toString('utf8'));
  }

  #withRequestId<T extends Finished | ModelFailure>(result: T): T {
    if (!('kind' in result) || this.providerRequestId === null) return result;
    const id = this.providerRequestId.slice(0, 100);
    // The id goes first because long messages are cut at their end.
    return { ...result, message: `[${id}] ${result.message}` };
  }
}

function timeoutMessage(
  provider: string,
  phase: keyof ModelCallOptions['timeouts'],
  options: ModelCallOptions,
): string {
  const limit = `${options.timeouts[phase]} ms`;
  const sentences = {
    connect: `No connection to ${provider} within ${limit}.`,
    first_token: `No first token from ${provider} within ${limit}.`,
    idle: `${provider} fell silent for ${limit} in the midst of its answer.`,
    total: `${provider} did not finish its answer within ${limit}.`,
  };
  return sentences[phase];
}

/** Node's code where there is one (`ECONNREFUSED`): it says more than the message and holds no addresses. */
function reasonOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
