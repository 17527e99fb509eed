/** Requests to an operation: what is sent, and the answer as it came. */
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import type { Answer } from './answers.ts';
import { nastyTexts } from './corpora.ts';
import type { Operation } from './operations.ts';
import { sample } from './values.ts';

export interface Sent {
  path: string;
  headers: Record<string, string>;
  /** Undefined: no body. */
  body: string | Buffer | undefined;
}

const agent = new Agent({ keepAlive: true, maxSockets: 4 });

/** The address is sent as it stands, dots and all. Streams do not end: their head is answer enough. */
export function send(
  url: string,
  operation: Pick<Operation, 'method' | 'streams'>,
  sent: Sent,
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        agent,
        hostname,
        port,
        method: operation.method,
        path: sent.path,
        headers: sent.headers,
        timeout: 20_000,
      },
      incoming => {
        const headers = new Headers();
        for (const [name, value] of Object.entries(incoming.headers))
          for (const one of [value].flat()) headers.append(name, String(one));
        const status = incoming.statusCode ?? 0;
        if (operation.streams && status === 200) {
          incoming.destroy();
          resolve({ status, headers, text: '' });
          return;
        }
        text(incoming).then(read => resolve({ status, headers, text: read }), reject);
      },
    );
    outgoing.on('timeout', () =>
      outgoing.destroy(new Error(`no answer within 20 s: ${operation.method} ${sent.path}`)),
    );
    // An idle connection may be closed at the very moment that it is used again: that is nobody's fault.
    outgoing.on('error', error =>
      outgoing.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET'
        ? resolve(send(url, operation, sent))
        : reject(error),
    );
    outgoing.end(sent.body);
  });
}

/** Requests of the schema, spoilt here and there: parameters, body and headers. */
export function requestsTo(operation: Operation, headers: Record<string, string>): fc.Arbitrary<Sent> {
  const inPath = operation.parameters.filter(p => p.in === 'path');
  const inQuery = operation.parameters.filter(p => p.in === 'query');
  const paths = fc.tuple(...inPath.map(p => oneText(sample(p.schema, 6))));
  const queries = fc.tuple(
    ...inQuery.map(p => fc.option(oneText(sample(p.schema, 5)), { nil: null })),
    fc.oneof(
      { arbitrary: fc.constant(null), weight: 12 },
      { arbitrary: fc.constantFrom(...nastyTexts), weight: 1 },
    ),
  );
  const bodies = operation.body
    ? sample(operation.body, 12).map(value => JSON.stringify(value) as string | undefined)
    : fc.constant(undefined);
  return fc.tuple(paths, queries, bodies, extraHeaders).map(([ids, query, body, extra]) => {
    const parts = inQuery.flatMap((p, at) =>
      query[at] === null ? [] : [`${p.name}=${encode(String(query[at]))}`],
    );
    const more = query.at(-1);
    if (typeof more === 'string') parts.push(`${encode(more)}=1`);
    const path = inPath.reduce(
      (made, p, at) => made.replace(`{${p.name}}`, encode(ids[at] ?? '')),
      operation.path,
    );
    return {
      path: parts.length > 0 ? `${path}?${parts.join('&')}` : path,
      headers: {
        ...headers,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...extra,
      },
      body,
    };
  });
}

const oneText = (value: fc.Arbitrary<unknown>): fc.Arbitrary<string> =>
  value.map(v => (typeof v === 'object' ? JSON.stringify(v) : String(v)));

/** Half a surrogate pair cannot be encoded; it is sent as the bytes that it would be. */
const encode = (text: string): string =>
  text.isWellFormed()
    ? encodeURIComponent(text)
    : text.replace(/[\ud800-\udfff]/g, '%ED%A0%80').replace(/[^%\w.-]/g, '');

const visible = nastyTexts.filter(
  text => /^[\x20-\x7e]+$/.test(text) && text.length < 2_000 && text.trim() === text && text !== '',
);
const extraHeaders: fc.Arbitrary<Record<string, string>> = fc.oneof(
  { arbitrary: fc.constant({}), weight: 8 },
  {
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          'idempotency-key',
          'if-none-match',
          'if-match',
          'x-request-id',
          'last-event-id',
          'accept',
          'accept-encoding',
          'accept-language',
          'cookie',
          'origin',
          'referer',
          'range',
          'x-forwarded-for',
          'x-forwarded-proto',
          'x-http-method-override',
          'user-agent',
        ),
        fc.constantFrom(...visible),
      )
      .map(([name, value]) => ({ [name]: value })),
    weight: 1,
  },
);
