import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { decodeJwt, decodeProtectedHeader, type JWTPayload, SignJWT } from 'jose';
import { startTestApp } from '../../../test/harness/app.ts';
import { ManualClock, minutes } from '../../base/time.ts';
import { currentSigningKey, openPrivateKey } from './signing-keys.ts';

const clock = new ManualClock();
const address = 'http://guildhall.example';
const guildhall = await startTestApp({
  roles: ['api'],
  clock,
  env: { GUILDHALL_PUBLIC_URL: address, GUILDHALL_ALLOWED_HOSTS: '127.0.0.1' },
});
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;
const { ownerId, organizationId } = guildhall.app.installation;
const now = () => new Date(clock.now());

type Answer = { code?: string; token: string; keys: Record<string, string>[]; member: { id: string } };
const call = (method: string, path: string, bearer: string, body?: unknown) =>
  guildhall.api<Answer>(method, path, body, { authorization: `Bearer ${bearer}` });

/** Whether a token is believed: asked for something that its owner may surely read. */
async function isBelieved(token: string): Promise<boolean> {
  const { status } = await call('GET', '/api/v1/tasks', token);
  assert.ok(status === 200 || status === 401, String(status));
  return status === 200;
}

async function newToken(body: object = {}): Promise<string> {
  const made = await guildhall.api<Answer>('POST', '/api/v1/tokens', body);
  assert.equal(made.status, 200, JSON.stringify(made.body));
  return made.body.token;
}

/** A token as the server makes it, with some claims otherwise; signed with the key that signs now. */
async function forge(claims: JWTPayload = {}, header: object = {}): Promise<string> {
  const key = await currentSigningKey(db, guildhall.app.sealer, now());
  const own = decodeJwt(await newToken());
  const payload = Object.fromEntries(
    Object.entries({ ...own, ...claims }).filter(([, v]) => v !== undefined),
  );
  return new SignJWT(payload)
    .setProtectedHeader({ alg: 'EdDSA', kid: key.id, typ: 'at+jwt', ...header })
    .sign(await openPrivateKey(guildhall.app.sealer, key));
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

test('IAM-02 a key is traded for a token that works for a quarter of an hour and says who, by whom, for whom', async () => {
  const token = await newToken();
  assert.equal(await isBelieved(token), true);
  assert.equal((await call('GET', '/api/v1/me', token)).body.member.id, ownerId);
  const payload = decodeJwt(token);
  const { kid, alg, typ } = decodeProtectedHeader(token);
  assert.deepEqual([alg, typ], ['EdDSA', 'at+jwt']);
  assert.match(String(kid), /^sgk_/);
  const at = clock.now() / 1_000;
  assert.deepEqual(
    [payload.iss, payload.aud, payload.sub, payload.org, payload.iat, payload.nbf, payload.exp],
    [address, address, `member:${ownerId}`, organizationId, at, at, at + 900],
  );
  clock.advance(minutes(15) + 29_000);
  assert.equal(await isBelieved(token), true, 'clocks may differ by half a minute');
  clock.advance(1_000);
  assert.equal(await isBelieved(token), false);
});

test('IAM-02 X-40 what the server itself signed is refused when a claim or the header is wrong', async () => {
  const at = Math.floor(clock.now() / 1_000);
  assert.equal(await isBelieved(await forge()), true, 'nothing changed');
  const wrong: Record<string, [JWTPayload, object?]> = {
    'another issuer': [{ iss: 'https://elsewhere.example' }],
    'no issuer': [{ iss: undefined }],
    'another audience': [{ aud: 'https://elsewhere.example' }],
    'no audience': [{ aud: undefined }],
    'issued in the future': [{ iat: at + 120, exp: at + 600 }],
    'not issued': [{ iat: undefined }],
    'not valid yet': [{ nbf: at + 120 }],
    'valid from the beginning of time': [{ nbf: undefined }],
    expired: [{ iat: at - 300, nbf: at - 300, exp: at - 60 }],
    'without an end': [{ exp: undefined }],
    'issued too long ago': [{ iat: at - 3_700, nbf: at - 3_700, exp: at + 600 }],
    'without an id': [{ jti: undefined }],
    'a numeric subject': [{ sub: 1 as unknown as string }],
    'a subject that looks like a number': [{ sub: '1' }],
    'an empty subject': [{ sub: '' }],
    'another subject': [{ sub: 'member:mem_01jd00000000000000000000000' }],
    'another organization': [{ org: 'org_01jd0000000000000000000000' }],
    'no organization': [{ org: undefined }],
    'a key that is none': [{ key: 'key_none' }],
    'a key that is not text': [{ key: 7 }],
    'a member without a key': [{ key: undefined }],
    'another type': [{}, { typ: 'JWT' }],
    'an unknown critical header': [{}, { crit: ['x'], x: 1 }],
    'an unknown key id': [{}, { kid: 'sgk_01jd0000000000000000000000' }],
    'a path as key id': [{}, { kid: '../../etc/passwd' }],
    'a query as key id': [{}, { kid: "' or '1'='1" }],
    'no key id': [{}, { kid: undefined }],
  };
  for (const [what, [claims, header]] of Object.entries(wrong)) {
    const token = await forge(claims, header).catch(() => null);
    // What the library does not even sign is put together by hand; its signature is then wrong as well.
    const sent = token ?? `${encode({ alg: 'EdDSA', ...header })}.${encode(claims)}.AAAA`;
    assert.equal(await isBelieved(sent), false, what);
  }
});

test('IAM-02 no signature but EdDSA by a key of ours is believed: none, HMAC with the public key, other keys, changed text', async () => {
  const token = await newToken();
  const [head = '', body = '', signature = ''] = token.split('.');
  const header = decodeProtectedHeader(token);
  const jwk = (await guildhall.api<Answer>('GET', '/.well-known/jwks.json')).body.keys[0] as { x: string };
  const hmac = (alg: string, secret: string | Buffer) => {
    const text = `${encode({ ...header, alg })}.${body}`;
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
  };
  const stranger = generateKeyPairSync('ed25519').privateKey;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  const payload = decodeJwt(token);
  const flip = (text: string, at: number) =>
    `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
  const tokens = {
    none: `${encode({ ...header, alg: 'none' })}.${body}.`,
    'None in other letters': `${encode({ ...header, alg: 'nOnE' })}.${body}.${signature}`,
    'no algorithm': `${encode({ ...header, alg: undefined })}.${body}.${signature}`,
    'HS256 with the public key': hmac('HS256', Buffer.from(jwk.x, 'base64url')),
    'HS256 with the public key as text': hmac('HS256', jwk.x),
    'HS256 with the published key': hmac('HS256', JSON.stringify(jwk)),
    'HS256 with nothing': hmac('HS256', ''),
    'signed by a stranger': await new SignJWT(payload)
      .setProtectedHeader({ alg: 'EdDSA', kid: String(header.kid), typ: 'at+jwt' })
      .sign(stranger),
    'signed by a stranger who brings the key along': await new SignJWT(payload)
      .setProtectedHeader({
        ...{ alg: 'EdDSA', kid: String(header.kid), typ: 'at+jwt' },
        jwk: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }) as never,
        jku: 'http://127.0.0.1:1/keys',
      })
      .sign(stranger),
    RS256: await new SignJWT(payload)
      .setProtectedHeader({ alg: 'RS256', kid: String(header.kid), typ: 'at+jwt' })
      .sign(rsa),
    'another body': `${head}.${encode({ ...payload, sub: 'member:mem_01jd0000000000000000000000' })}.${signature}`,
    'a changed signature': `${head}.${body}.${flip(signature, 10)}`,
    'a changed header': `${flip(head, 20)}.${body}.${signature}`,
    'no signature': `${head}.${body}.`,
    'five parts': `${token}.a.b`,
    'not even that': `${'a'.repeat(30)}.${'b'.repeat(30)}.${'c'.repeat(30)}`,
  };
  for (const [what, sent] of Object.entries(tokens)) assert.equal(await isBelieved(sent), false, what);
  assert.equal(await isBelieved(token), true);
});

test('IAM-07 rotated: new tokens are signed by the new key, old ones are believed until the overlap ends', async () => {
  const before = await newToken();
  const long = await forge({ exp: Math.floor(clock.now() / 1_000) + 3_000 });
  const rotated = await guildhall.api('POST', '/api/v1/signing-keys/rotate', { overlap_minutes: 10 });
  assert.equal(rotated.status, 200);
  const fresh = await newToken();
  assert.notEqual(decodeProtectedHeader(fresh).kid, decodeProtectedHeader(before).kid);
  const published = async () =>
    (await guildhall.api<Answer>('GET', '/.well-known/jwks.json')).body.keys.map(key => key.kid);
  assert.deepEqual(
    new Set(await published()),
    new Set([fresh, before].map(t => decodeProtectedHeader(t).kid)),
  );
  for (const token of [before, long, fresh]) assert.equal(await isBelieved(token), true);
  clock.advance(minutes(10) - 1);
  assert.equal(await isBelieved(long), true, 'to the last moment');
  clock.advance(1);
  assert.equal(await isBelieved(long), false, 'although it has not expired');
  assert.equal(await isBelieved(fresh), true);
  assert.deepEqual(await published(), [decodeProtectedHeader(fresh).kid]);
});

test('IAM-07 in an emergency an overlap of nothing ends every token at once', async () => {
  const token = await newToken();
  await guildhall.api('POST', '/api/v1/signing-keys/rotate', { overlap_minutes: 0 });
  assert.equal(await isBelieved(token), false);
  assert.equal(await isBelieved(await newToken()), true);
});

test('IAM-06 the signing key is made here, lies sealed in the database and is published without its private part', async () => {
  const key = await currentSigningKey(db, guildhall.app.sealer, now());
  assert.match(key.private_key_sealed, /^gs1\./);
  const { d } = JSON.parse(
    guildhall.app.sealer.open(key.private_key_sealed, `signing_key:${key.id}`).toString(),
  ) as { d: string };
  const rows = JSON.stringify(await db.selectFrom('signing_keys').selectAll().execute());
  const published = JSON.stringify((await guildhall.api('GET', '/.well-known/jwks.json')).body);
  assert.ok(d.length > 40 && !rows.includes(d) && !published.includes(d));
  assert.throws(() => guildhall.app.sealer.open(key.private_key_sealed, 'signing_key:sgk_other'));
});

test('IAM-02 a token dies with the key that it was made from, and can do less than it when asked to', async () => {
  const made = await guildhall.api<{ id: string; key: string }>('POST', '/api/v1/api-keys', {
    name: 'short',
    scopes: ['read', 'task.create'],
  });
  const whole = (await call('POST', '/api/v1/tokens', made.body.key)).body.token;
  const reading = (await call('POST', '/api/v1/tokens', made.body.key, { scopes: ['task.read'] })).body.token;
  const code = async (token: string, method: string, path: string, body?: unknown) =>
    (await call(method, path, token, body)).body.code ?? 'ok';
  assert.equal(await code(reading, 'GET', '/api/v1/tasks'), 'ok');
  assert.equal(await code(reading, 'GET', '/api/v1/budgets'), 'scope_missing');
  assert.equal(await code(whole, 'GET', '/api/v1/budgets'), 'ok');
  assert.equal(await code(whole, 'POST', '/api/v1/projects', { name: 'x' }), 'scope_missing');
  const beyond = await call('POST', '/api/v1/tokens', made.body.key, { scopes: ['admin'] });
  assert.deepEqual([beyond.status, beyond.body.code], [403, 'scope_not_held']);
  assert.equal(await code(whole, 'POST', '/api/v1/tokens'), 'key_required', 'a token makes no token');
  await guildhall.api('DELETE', `/api/v1/api-keys/${made.body.id}`);
  for (const token of [whole, reading]) assert.equal(await isBelieved(token), false);
});

test('a token for a service account, made by who may make its keys; it ends with the account', async () => {
  const account = await guildhall.api<{ id: string }>('POST', '/api/v1/service-accounts', {
    name: `robot-${randomUUID()}`,
    role: 'viewer',
  });
  const token = await newToken({ service_account_id: account.body.id });
  assert.equal((await call('GET', '/api/v1/me', token)).body.member.id, account.body.id);
  assert.equal(await isBelieved(token), true);
  assert.equal((await call('POST', '/api/v1/projects', token, { name: 'x' })).status, 403);
  assert.equal(
    (await guildhall.api('POST', `/api/v1/service-accounts/${account.body.id}/disable`)).status,
    200,
  );
  assert.equal(await isBelieved(token), false);
});

test('issuing and rotating are on record, without the token', async () => {
  const token = await newToken();
  const records = JSON.stringify(
    await db
      .selectFrom('audit_records')
      .select(['action', 'data'])
      .where('action', 'in', ['token.issue', 'signing_key.rotate'])
      .execute(),
  );
  assert.match(records, /token\.issue/);
  assert.match(records, /signing_key\.rotate/);
  assert.ok(
    records.includes(String(decodeJwt(token).jti)) && !records.includes(token.split('.')[2] as string),
  );
});
