/** The tests of the fuzzing, for a short run with every change and for a long one. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { addOrganization, addTask } from '../harness/organization.ts';
import {
  hostileJson,
  malformedJson,
  nastyTexts,
  sqlInjections,
  traversals,
  wrongContentTypes,
} from './corpora.ts';
import { fuzz, openTarget, pathWith } from './fuzz.ts';
import type { Operation } from './operations.ts';
import { send } from './requests.ts';

/** Where providers of sign-in send people back, with whatever they like to add. */
const sentBack = 'GET /api/v1/auth/callback/{provider}';

/** Rows of a list, or lines of an export. */
function rowsOf(text: string): number {
  if (!text.startsWith('{"items"')) return text.split('\n').length;
  return (JSON.parse(text) as { items: unknown[] }).items.length;
}

/**
 * @param settings `share`: how many texts of a corpus each route gets, so that all routes together get all of them
 * several times; the whole corpus each with `Infinity`.
 */
export async function fuzzSuite(settings: { numRuns: number; seed: number; share: number }): Promise<void> {
  const target = await openTarget();
  after(() => target[Symbol.asyncDispose]());
  const { operations, ask } = target;
  const some = <T>(corpus: readonly T[], operation: Operation): T[] =>
    settings.share >= corpus.length
      ? [...corpus]
      : Array.from(
          { length: settings.share },
          (_, n) => corpus[(operations.indexOf(operation) * settings.share + n) % corpus.length] as T,
        );
  const withBody = operations.filter(o => o.body);
  const withQuery = operations.filter(o => o.parameters.some(p => p.in === 'query'));
  const withId = operations.filter(o => o.path.includes('{'));

  test('VAL-01 TST-08 requests of every schema, spoilt here and there, are answered or refused, never failed', async t => {
    assert.ok(operations.length > 30, `${operations.length} operations`);
    const all = new Map<number, number>();
    for (const operation of operations) {
      const seen = await fuzz(target, operation, settings);
      for (const [status, count] of seen) all.set(status, (all.get(status) ?? 0) + count);
      assert.ok(!seen.has(0) && !seen.has(429), `${operation.name} was not reached: ${[...seen]}`);
    }
    t.diagnostic(JSON.stringify(Object.fromEntries(all)));
    // Both what is behind the validation and the validation itself were reached.
    for (const status of [200, 404, 422])
      assert.ok((all.get(status) ?? 0) > 10, `${status}: ${all.get(status)}`);
  });

  test('VAL-01 a body that is not JSON is 400 on every route that takes one', async () => {
    for (const operation of withBody) {
      for (const body of some(malformedJson, operation)) {
        const { status } = await ask(operation, {
          path: pathWith(operation),
          headers: { 'content-type': 'application/json' },
          body,
        });
        assert.equal(status, 400, `${operation.name} ${body.toString().slice(0, 40)}: ${status}`);
      }
    }
  });

  test('VAL-01 well-formed JSON that means harm is refused, and leaves no trace in the objects of the server', async () => {
    for (const operation of withBody) {
      for (const body of some(hostileJson, operation)) {
        const optional = ['{}', 'null'].includes(body);
        const sent = { path: pathWith(operation), headers: { 'content-type': 'application/json' }, body };
        const { status } = await ask(operation, sent);
        assert.ok(
          optional || (status >= 400 && status < 500),
          `${operation.name} ${body.slice(0, 40)}: ${status}`,
        );
      }
    }
    assert.equal(({} as { admin?: boolean }).admin, undefined);
  });

  test('VAL-01 an unknown field is refused by name, in every body and every query', async () => {
    for (const operation of withBody) {
      const sent = {
        path: pathWith(operation),
        headers: { 'content-type': 'application/json' },
        body: '{"surprise":1}',
      };
      const { status, text } = await ask(operation, sent);
      assert.equal(status, 422, `${operation.name}: ${status}`);
      assert.match(text, /surprise/, operation.name);
    }
    for (const operation of operations.filter(o => o.path.startsWith('/api/v1/'))) {
      const { status } = await ask(operation, { path: `${pathWith(operation)}?surprise=1` });
      if (withQuery.includes(operation) && operation.name !== sentBack)
        assert.equal(status, 422, operation.name);
    }
  });

  test('VAL-01 another form than JSON is 415, and no form at all is no way round', async () => {
    for (const operation of withBody) {
      for (const type of some(wrongContentTypes, operation)) {
        const sent = { path: pathWith(operation), headers: { 'content-type': type }, body: '{}' };
        const { status } = await ask(operation, sent);
        assert.ok([400, 415].includes(status), `${operation.name} ${type}: ${status}`);
      }
    }
  });

  test('VAL-06 a body over the limit is 413 on every route that takes one', async () => {
    const body = `{"x":"${'x'.repeat(1024 * 1024)}"}`;
    for (const operation of withBody) {
      const sent = { path: pathWith(operation), headers: { 'content-type': 'application/json' }, body };
      assert.equal((await ask(operation, sent)).status, 413, operation.name);
    }
  });

  test('VAL-02 no filter of any list is part of a query: what is injected finds no row more', async () => {
    const foreign = await addOrganization(target.guildhall.database.db, 'other', new Date());
    const task = await addTask(target.guildhall.database.db, foreign, new Date());
    for (const operation of withQuery.filter(o => o.method === 'GET' && !o.streams)) {
      for (const { name } of operation.parameters.filter(p => p.in === 'query')) {
        for (const attempt of some(sqlInjections, operation)) {
          const path = `${pathWith(operation)}?${name}=${encodeURIComponent(attempt)}`;
          const { status, text } = await ask(operation, { path });
          assert.ok(
            !text.includes(foreign.organizationId) && !text.includes(task.id),
            `${operation.name} ${name}`,
          );
          if (status !== 200) continue;
          // Asked afterwards, since what is recorded grows with every request.
          const all = await ask(operation, { path: pathWith(operation) });
          assert.ok(rowsOf(text) <= rowsOf(all.text), `${operation.name} ${name}=${attempt}`);
        }
      }
    }
  });

  test('VAL-03 no id leads out of where ids lead: traversal, encoded once and twice, NUL, other separators', async () => {
    for (const operation of withId) {
      for (const attempt of some([...traversals, ...sqlInjections], operation)) {
        for (const id of [
          attempt.replace(/[^\x21-\x7e]|[?#"<>\\^`{|}]/g, encodeURIComponent),
          encodeURIComponent(attempt),
        ]) {
          const { status, text } = await ask(operation, { path: pathWith(operation, id) });
          // An id with a slash in it is another address, and that may be one that anybody may read.
          if (status === 200) assert.doesNotMatch(text, /root:|\[core\]|ghk_/, `${operation.name} ${id}`);
          else
            assert.ok([400, 404, 405, 414, 415, 422].includes(status), `${operation.name} ${id}: ${status}`);
        }
      }
    }
  });

  test('VAL-03 no file of the host is served beside those of the page and the reference', async () => {
    const { url, headers } = target;
    const wanted = ['package.json', 'src/main.ts', '.git/config', 'etc/passwd'];
    const steps = ['..', '%2e%2e', '.%2e', '%252e%252e', '..%5c..', '%c0%ae%c0%ae', '..;'];
    for (const base of ['/', '/assets/', '/docs/', '/docs/static/']) {
      for (const [step, file, slash] of steps.flatMap(s =>
        wanted.flatMap(f => ['/', '%2f'].map(l => [s, f, l])),
      )) {
        const path = `${base}${`${step}${slash}`.repeat(6)}${file}`;
        const { status, text } = await send(
          url,
          { method: 'GET', streams: false },
          { path, headers, body: undefined },
        );
        assert.doesNotMatch(text, /"dependencies"|import \{|\[core\]|root:x:/, path);
        assert.ok([200, 301, 302, 400, 401, 403, 404, 414].includes(status), `${path}: ${status}`);
      }
    }
  });

  test('VAL-01 whatever stands in a header is refused or ignored, and never comes back as one', async () => {
    const [operation] = operations.filter(o => o.name === 'GET /api/v1/tasks');
    assert.ok(operation);
    const visible = nastyTexts.filter(text => /^[\x20-\x7e]*$/.test(text) && text.length < 2_000);
    const names = [
      'idempotency-key',
      'if-none-match',
      'x-request-id',
      'last-event-id',
      'cookie',
      'accept',
      'range',
    ];
    for (const name of [
      ...names,
      'x-organization',
      'x-csrf-token',
      'forwarded',
      'x-forwarded-host',
      'x-original-url',
    ]) {
      for (const value of visible) await ask(operation, { headers: { [name]: value } });
    }
  });

  /** Bytes as they are, as no client library would send them. @returns what came back, up to the end of the connection. */
  function raw(request: string | Buffer): Promise<string> {
    const { hostname, port } = new URL(target.url);
    const socket = connect(Number(port), hostname);
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer within 10 s')));
    socket.write(request);
    return text(socket);
  }

  const key = target.headers.authorization;
  const head = (...lines: string[]) => ['Host: x', 'Connection: close', ...lines].join('\r\n');

  test('VAL-01 requests that no client sends: doubled headers, torn and smuggled bodies, bad lines', async () => {
    const { host } = new URL(target.url);
    const own = (...lines: string[]) => head(...lines).replace('Host: x', `Host: ${host}`);
    const json = 'Content-Type: application/json';
    const attempts: [string, string | Buffer][] = [
      [
        'two credentials',
        `GET /api/v1/me HTTP/1.1\r\n${own(`Authorization: ${key}`, 'Authorization: Bearer ghk_x')}\r\n\r\n`,
      ],
      [
        'two hosts',
        `GET /api/v1/me HTTP/1.1\r\n${own('Host: evil.example', `Authorization: ${key}`)}\r\n\r\n`,
      ],
      [
        'two lengths',
        `POST /api/v1/tasks HTTP/1.1\r\n${own(json, 'Content-Length: 2', 'Content-Length: 9')}\r\n\r\n{}`,
      ],
      [
        'length and chunks',
        `POST /api/v1/tasks HTTP/1.1\r\n${own(json, 'Content-Length: 4', 'Transfer-Encoding: chunked')}\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n`,
      ],
      [
        'chunked twice',
        `POST /api/v1/tasks HTTP/1.1\r\n${own(json, 'Transfer-Encoding: chunked, chunked')}\r\n\r\n0\r\n\r\n`,
      ],
      [
        'a bad chunk',
        `POST /api/v1/tasks HTTP/1.1\r\n${own(json, 'Transfer-Encoding: chunked')}\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
      ],
      ['a line feed in a header', `GET /api/v1/me HTTP/1.1\r\n${own('X-A: b\n c: d')}\r\n\r\n`],
      ['a NUL in a header', `GET /api/v1/me HTTP/1.1\r\n${own('X-A: b\0c')}\r\n\r\n`],
      ['no version', 'GET /api/v1/me\r\n\r\n'],
      ['another protocol', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
      ['an unknown method', `BREW /api/v1/me HTTP/1.1\r\n${own()}\r\n\r\n`],
      ['TRACE', `TRACE /api/v1/me HTTP/1.1\r\n${own(`Authorization: ${key}`)}\r\n\r\n`],
      ['CONNECT', `CONNECT evil.example:443 HTTP/1.1\r\n${own()}\r\n\r\n`],
      [
        'an absolute address',
        `GET http://evil.example/api/v1/me HTTP/1.1\r\n${own(`Authorization: ${key}`)}\r\n\r\n`,
      ],
      [
        'a path of bytes',
        Buffer.from(
          `GET /api/v1/tasks/\xff\xfe HTTP/1.1\r\n${own(`Authorization: ${key}`)}\r\n\r\n`,
          'latin1',
        ),
      ],
      ['a broken escape', `GET /api/v1/tasks/%zz HTTP/1.1\r\n${own(`Authorization: ${key}`)}\r\n\r\n`],
      ['headers without end', `GET /api/v1/me HTTP/1.1\r\n${own(`X-Long: ${'x'.repeat(100_000)}`)}\r\n\r\n`],
      [
        'a long address',
        `GET /api/v1/tasks?cursor=${'x'.repeat(60_000)} HTTP/1.1\r\n${own(`Authorization: ${key}`)}\r\n\r\n`,
      ],
      ['a folded header', `GET /api/v1/me HTTP/1.1\r\n${own('X-A: b\r\n c')}\r\n\r\n`],
      [
        'an expectation',
        `POST /api/v1/tasks HTTP/1.1\r\n${own(json, `Authorization: ${key}`, 'Expect: 200-ok', 'Content-Length: 2')}\r\n\r\n{}`,
      ],
    ];
    for (const [what, request] of attempts) {
      const answer = await raw(request).catch(error => {
        // Cut off without a word is an answer too, unless the server died of it.
        assert.match(String(error), /ECONNRESET|EPIPE/, what);
        return '';
      });
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 400);
      assert.ok(
        (status >= 200 && status < 300) || (status >= 400 && status < 500),
        `${what}: ${answer.slice(0, 300)}`,
      );
      assert.doesNotMatch(answer, /\bat \w+ \(|node_modules|evil\.example/, what);
      assert.ok((answer.match(/^HTTP\/1\.1 /gm) ?? []).length <= 1, `${what}: one request, one answer`);
    }
    const alive = await fetch(`${target.url}/livez`);
    assert.equal(alive.status, 200);
  });
}
