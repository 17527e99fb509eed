import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRedactor, mark } from './redactor.ts';

const secretOf = (text: string) => {
  const redactor = createRedactor();
  redactor.learn(text);
  return redactor;
};

/** Ways in which programs write a text into another; what is left of the secret afterwards must not show. */
const ways: Record<string, (secret: string) => string> = {
  plain: s => s,
  'upper case': s => s.replace(/[a-z]/g, c => c.toUpperCase()),
  'lower case': s => s.replace(/[A-Z]/g, c => c.toLowerCase()),
  hex: s => Buffer.from(s).toString('hex'),
  'upper-case hex': s => Buffer.from(s).toString('hex').toUpperCase(),
  json: s => JSON.stringify(s),
  'json twice': s => JSON.stringify(JSON.stringify(s)),
  'json in ascii': s =>
    JSON.stringify(s).replace(/[^ -~]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
  url: s => encodeURIComponent(s),
  form: s => new URLSearchParams({ key: s }).toString(),
  'url with lower-case escapes': s => encodeURIComponent(s).replace(/%../g, e => e.toLowerCase()),
  html: s =>
    s
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&#39;'),
  'wrapped lines': s => s.replace(/.{5}/gsu, '$&\n'),
  'wrapped base64': s => Buffer.from(s).toString('base64').replace(/.{7}/g, '$&\r\n'),
  'wrapped base64 in json': s => JSON.stringify(Buffer.from(s).toString('base64').replace(/.{7}/g, '$&\n')),
  'base64 in a url': s => encodeURIComponent(Buffer.from(s).toString('base64')),
  basic: s => Buffer.from(`user:${s}`).toString('base64'),
  ...Object.fromEntries(
    [0, 1, 2].flatMap(before =>
      (['base64', 'base64url'] as const).map(encoding => [
        `${encoding} after ${before} bytes`,
        (s: string) =>
          Buffer.concat([randomBytes(before + 3), Buffer.from(s), randomBytes(5)]).toString(encoding),
      ]),
    ),
  ),
};

/** A secret of a provider's looks, and ones with everything that must be escaped. */
const secret = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', minLength: 16, maxLength: 60 }),
  fc.string({ unit: fc.constantFrom(...'abcXYZ0189-_+/=&%$"\'\\<>äß€🔑 {}'), minLength: 20, maxLength: 60 }),
);
const usable = (s: string) => new Set(Buffer.from(s)).size >= 8 && s.trim() === s && !/\\[nr]/i.test(s);

for (const [name, write] of Object.entries(ways)) {
  test(`SEC-07 a secret is found as ${name}`, () => {
    fc.assert(
      fc.property(secret.filter(usable), fc.string({ maxLength: 30 }), (value, around) => {
        const written = write(value);
        const text = `${around} ${written} ${around}`;
        const redacted = secretOf(value).redactValues(text);
        assert.ok(redacted.includes(mark), `${text} → ${redacted}`);
        // What may be left are bits that the secret shares with its neighbours.
        const rest = redacted.split(mark).join('').replaceAll(around, '');
        assert.ok(rest.length < written.length / 2 + 16, `${text} → ${redacted}`);
        if (!name.startsWith('base64') && name !== 'basic') assert.ok(!redacted.includes(written));
      }),
      { numRuns: 100 },
    );
  });
}

test('SEC-07 however a text is cut into pieces, a secret in it does not come through', () => {
  fc.assert(
    fc.property(
      secret.filter(usable),
      fc.string({ maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 20 }),
      fc.constantFrom(...Object.keys(ways)),
      (value, around, sizes, way) => {
        const redactor = secretOf(value);
        const text = `${around}${(ways[way] as (s: string) => string)(value)}\n${around}`;
        const window = redactor.window();
        let out = '';
        for (let at = 0, n = 0; at < text.length; n++) {
          const size = sizes[n % sizes.length] as number;
          out += window.push(text.slice(at, at + size));
          at += size;
        }
        out += window.end();
        assert.equal(out, redactor.redactValues(text), way);
        assert.ok(out.includes(mark));
      },
    ),
    { numRuns: 300 },
  );
});

test('a window gives on at once what cannot begin a secret', () => {
  const window = secretOf('s3cret-value-of-some-length').window();
  assert.equal(window.push('nothing to hide here'), 'nothing to hide here');
  assert.equal(window.push(' and s3cret-val'), ' and ');
  assert.equal(window.push('uable wood'), 's3cret-valuable wood');
  assert.equal(window.push('; s3cret-value-of-some-length.'), `; ${mark}.`);
  assert.equal(window.push('s3cret-'), '');
  assert.equal(window.end(), 's3cret-');
});

test('SEC-07 a private key leaks neither whole nor by a line of it', () => {
  const lines = Array.from({ length: 6 }, () => randomBytes(48).toString('base64'));
  const pem = ['-----BEGIN PRIVATE KEY-----', ...lines, '-----END PRIVATE KEY-----', ''].join('\n');
  const redactor = secretOf(pem);
  for (const text of [pem, JSON.stringify({ pem }), lines.join(' '), `x ${lines[3]} y`]) {
    const redacted = redactor.redactValues(text);
    for (const line of lines) assert.ok(!redacted.includes(line.slice(4, 40)), redacted);
  }
});

test('SEC-07 bytes that are no text are found in base64 and hex', () => {
  const bytes = randomBytes(32);
  const redactor = createRedactor();
  redactor.learn(bytes);
  for (const encoding of ['base64', 'base64url', 'hex'] as const)
    assert.doesNotMatch(redactor.redactValues(`k=${bytes.toString(encoding)}`), /[A-Za-z0-9_/+-]{14}/);
});

test('SEC-07 secrets that overlap, contain each other or stand side by side are all cut out', () => {
  const redactor = createRedactor();
  for (const value of ['first-secret-01', 'secret-01-and-more', 'first-secret-01-and-more-x9', 'Zq8$kk2!pp'])
    redactor.learn(value);
  assert.equal(redactor.redact('a first-secret-01-and-more b'), `a ${mark} b`);
  assert.equal(redactor.redact('first-secret-01Zq8$kk2!pp'), mark);
  assert.equal(redactor.redact('first-secret-01-and-more-x9'), mark);
});

test('SEC-07 credentials that nobody told of are known by their looks', () => {
  const redactor = createRedactor();
  const token = randomBytes(32).toString('base64url');
  const jwt = `eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhYmMifQ.${token}`;
  const all = [
    ...['ghk', 'ghs', 'ghl', 'ghi', 'gha'].map(prefix => `${prefix}_${token}`),
    jwt,
    `Authorization: Bearer ${token}`,
    `authorization: Basic ${Buffer.from(`user:${token}`).toString('base64')}`,
    `postgres://guildhall:${token}@db.example/x`,
    `https://:${token}@host/`,
    `sk-ant-${token}`,
    `hvs.${token}`,
  ];
  for (const text of all) assert.ok(!redactor.redact(`x ${text} y`).includes(token.slice(5, 30)), text);
  assert.equal(
    redactor.redact('https://example.com/a:b@c and a@b.example'),
    'https://example.com/a:b@c and a@b.example',
  );
});

test('what work goes on with keeps foreign tokens as they are, and loses ours and known secrets', () => {
  const redactor = secretOf('known-secret-4711');
  const jwt = `eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhYmMifQ.${'s'.repeat(43)}`;
  assert.equal(redactor.redactValues(`const fixture = '${jwt}';`), `const fixture = '${jwt}';`);
  assert.equal(redactor.redactValues('known-secret-4711'), mark);
  assert.equal(redactor.redactValues(`ghk_${'s'.repeat(43)}`), mark);
});

test('words and short values are not learned: texts keep their words', () => {
  const redactor = createRedactor();
  for (const value of ['', 'short', 'guildhall', 'password', 'aaaaaaaaaaaaaaaa', '        '])
    redactor.learn(value);
  const text = 'the password of guildhall is short aaaaaaaaaaaaaaaaaaa';
  assert.equal(redactor.redact(text), text);
});

test('JSON stays JSON, whatever is cut out of it', () => {
  const redactor = createRedactor();
  for (const value of ['1234567890', 'a"b"c"d"e"f"', '":"x-secret"}', 'true,"b":[1,2']) redactor.learn(value);
  for (const value of [
    { id: 1234567890, list: [{ n: 91234567890 }] },
    { a: 'a"b"c"d"e"f"' },
    { a: 'x-secret', deep: { '1234567890': ['":"x-secret"}'] } },
    { a: true, b: [1, 2] },
  ]) {
    const out = redactor.redactJson(JSON.stringify(value));
    JSON.parse(out);
    assert.ok(!out.includes('1234567890') && !out.includes('a\\"b\\"c'), out);
  }
  assert.equal(redactor.redactJson('{"plain":1}'), '{"plain":1}');
});

test('values that hold no secret are given back as they are, not copied', () => {
  const redactor = secretOf('known-secret-4711');
  const value = { a: [1, null, 'text', { b: true }] };
  assert.equal(redactor.redactDeep(value), value);
  assert.deepEqual(redactor.redactDeep({ a: ['x known-secret-4711'], 'known-secret-4711': 1 }), {
    a: [`x ${mark}`],
    [mark]: 1,
  });
});

test('memory is bounded: of very many values the oldest are forgotten', () => {
  const redactor = createRedactor();
  const values = Array.from({ length: 5_600 }, (_, n) => `value-${n}-${randomBytes(6).toString('hex')}`);
  for (const value of values) redactor.learn(value);
  assert.equal(redactor.redactValues(values.at(-1) as string), mark);
  assert.equal(redactor.redactValues(values[1_500] as string), mark);
  assert.equal(redactor.redactValues(values[0] as string), values[0]);
});
