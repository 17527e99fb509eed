import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exportJWK, type JWTPayload, SignJWT } from 'jose';
import { startTestApp } from '../../../test/harness/app.ts';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { addMember } from '../../../test/harness/people.ts';
import { newId } from '../../base/ids.ts';
import { ManualClock, minutes, seconds } from '../../base/time.ts';
import { readTokenIssuers } from '../../config/token-issuers.ts';
import { transact } from '../../platform/db/db.ts';
import { ensureInstallation } from './installation.ts';

/** An issuer elsewhere, on the wire: its public keys, and how often they were asked for. */
const published: object[] = [];
let asked = 0;
let broken = false;
const issuer = createServer((_request, response) => {
  asked++;
  if (broken) return void response.writeHead(500).end();
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: published }));
});
await new Promise<void>(resolve => issuer.listen(0, '127.0.0.1', resolve));
const jwksUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/keys`;

async function newPair(alg: 'RS256' | 'ES256' | 'EdDSA', kid: string): Promise<KeyObject> {
  const { privateKey, publicKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2_048 })
      : alg === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('ed25519');
  published.push({ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' });
  return privateKey;
}

const clock = new ManualClock();
const now = () => new Date(clock.now());
const database = await openTestDatabase();
const directory = await mkdtemp(join(tmpdir(), 'guildhall-issuers-'));
const file = join(directory, 'issuers.json');
const { organizationId, ownerId } = await transact(database.db, tx => ensureInstallation(tx, now()));
const robot = newId('svc');
await database.db
  .insertInto('service_accounts')
  .values({
    ...{ id: robot, organization_id: organizationId, name: 'builds', role: 'admin', clearance: null },
    ...{ created_by: 'system', created_at: now() },
  })
  .execute();
const developer = await addMember(database.db, organizationId, 'developer', now());
const description = {
  issuer: 'https://builds.example',
  jwks_url: jwksUrl,
  audience: 'guildhall',
  algorithms: ['RS256', 'ES256', 'EdDSA'],
  claims: { subject: 'who', organization: 'company', roles: 'groups' },
  roles: { writers: 'developer', readers: 'viewer', bosses: 'owner' },
  rules: [
    { subject: 'repo:acme/*', organization: 'acme', principal: `service:${robot}` },
    { subject: 'jane', principal: developer.subject },
    { subject: '17', principal: `member:${ownerId}` },
  ],
};
await writeFile(file, JSON.stringify({ issuers: [description] }));
const guildhall = await startTestApp({
  roles: ['api'],
  clock,
  database,
  env: { GUILDHALL_TOKEN_ISSUERS_FILE: file },
});
after(async () => {
  await guildhall[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
  issuer.close();
});

const rsa = await newPair('RS256', 'rsa-1');
const claims = (more: JWTPayload = {}): JWTPayload => {
  const at = Math.floor(clock.now() / 1_000);
  const all = {
    ...{ iss: 'https://builds.example', aud: 'guildhall', who: 'repo:acme/site', company: 'acme' },
    ...{ groups: ['writers'], iat: at, exp: at + 300, ...more },
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
};
const sign = (payload: JWTPayload, key = rsa, header = { alg: 'RS256', kid: 'rsa-1' }): Promise<string> =>
  new SignJWT(payload).setProtectedHeader(header).sign(key);
const ask = async (token: string, method = 'GET', path = '/api/v1/tasks', body?: unknown) =>
  guildhall.api<{ member: { id: string } }>(method, path, body, { authorization: `Bearer ${token}` });

test('IAM-02 a token of a trusted issuer stands for whom the rules say, by subject and organization', async () => {
  const me = async (more: JWTPayload) => {
    const { status, body } = await ask(await sign(claims(more)), 'GET', '/api/v1/me');
    return status === 200 ? body.member.id : status;
  };
  assert.equal(await me({}), robot);
  assert.equal(await me({ who: 'jane', company: 'any' }), developer.id);
  for (const more of [
    { who: 'repo:acme' },
    { who: 'repo:evil/site' },
    { company: 'evil' },
    { company: undefined },
    { company: 7 },
    { who: undefined },
    { who: '' },
    { who: 17 },
    { who: '17' },
    { who: ['jane'] },
    { who: 'janet' },
  ]) {
    assert.equal(await me(more as JWTPayload), 401, JSON.stringify(more));
  }
});

test('IAM-02 every algorithm that is allowed works, and none besides', async () => {
  const ec = await newPair('ES256', 'ec-1');
  const ed = await newPair('EdDSA', 'ed-1');
  clock.advance(seconds(31));
  assert.equal((await ask(await sign(claims(), ec, { alg: 'ES256', kid: 'ec-1' }))).status, 200);
  assert.equal((await ask(await sign(claims(), ed, { alg: 'EdDSA', kid: 'ed-1' }))).status, 200);
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = encode(claims());
  const hmac = (alg: string, secret: string) => {
    const text = `${encode({ alg, kid: 'rsa-1' })}.${body}`;
    return `${text}.${createHmac(alg.replace('HS', 'sha'), secret).update(text).digest('base64url')}`;
  };
  const known = published.find(key => (key as { kid: string }).kid === 'rsa-1') as { n: string };
  for (const [what, token] of Object.entries({
    none: `${encode({ alg: 'none', kid: 'rsa-1' })}.${body}.`,
    'HS256 with the modulus': hmac('HS256', known.n),
    'HS512 with the published key': hmac('HS512', JSON.stringify(known)),
    RS512: await sign(claims(), rsa, { alg: 'RS512', kid: 'rsa-1' }),
    PS256: await sign(claims(), rsa, { alg: 'PS256', kid: 'rsa-1' }),
    'an RSA signature under the id of another key': await sign(claims(), rsa, { alg: 'RS256', kid: 'ec-1' }),
  })) {
    assert.equal((await ask(token)).status, 401, what);
  }
});

test('IAM-02 wrong issuer, audience or times are refused', async () => {
  const at = Math.floor(clock.now() / 1_000);
  for (const more of [
    { iss: 'https://builds.example/' },
    { iss: 'https://evil.example' },
    { aud: 'other' },
    { aud: undefined },
    { exp: at - 31 },
    { exp: undefined },
    { iat: undefined },
    { iat: at + 120 },
    { nbf: at + 120 },
    { iat: at - 3_700, exp: at + 300 },
  ]) {
    assert.equal((await ask(await sign(claims(more as JWTPayload)))).status, 401, JSON.stringify(more));
  }
});

test('IAM-04 such a token never administers, and roles that it names only take away', async () => {
  const status = async (groups: unknown, method: string, path: string, body?: unknown) =>
    (await ask(await sign(claims({ groups })), method, path, body)).status;
  for (const groups of [['writers'], ['bosses'], 'owner', ['ADMIN']]) {
    assert.equal(await status(groups, 'POST', '/api/v1/projects', { name: 'x' }), 403, String(groups));
    assert.equal(await status(groups, 'POST', '/api/v1/tokens'), 403);
  }
  const pause = `/api/v1/tasks/${newId('task')}/pause`;
  assert.equal(await status(['writers'], 'POST', pause), 404, 'may, but there is no such task');
  assert.equal(await status(['readers'], 'POST', pause), 403);
  assert.equal(await status(['readers', 'writers'], 'POST', pause), 404);
  assert.equal(await status('MEMBER', 'POST', pause), 404, 'a role of an earlier system');
  for (const groups of [[], ['strangers'], undefined, 7])
    assert.equal(await status(groups, 'GET', '/api/v1/tasks'), 403, String(groups));
});

test('keys are asked for again when a token names a new one, but not more than twice a minute', async () => {
  clock.advance(seconds(31));
  const before = asked;
  for (let i = 0; i < 20; i++) await ask(await sign(claims(), rsa, { alg: 'RS256', kid: `made-up-${i}` }));
  assert.equal(asked, before + 1);
  const rotated = await newPair('RS256', 'rsa-2');
  const token = () => sign(claims(), rotated, { alg: 'RS256', kid: 'rsa-2' });
  assert.equal((await ask(await token())).status, 401, 'half a minute has not passed');
  clock.advance(seconds(31));
  assert.equal((await ask(await token())).status, 200);
});

test('an issuer that does not answer: its keys hold for ten minutes, then nobody is believed', async () => {
  assert.equal((await ask(await sign(claims()))).status, 200);
  broken = true;
  clock.advance(minutes(9));
  assert.equal((await ask(await sign(claims()))).status, 200);
  clock.advance(minutes(2));
  assert.equal((await ask(await sign(claims()))).status, 401);
  broken = false;
  clock.advance(seconds(31));
  assert.equal((await ask(await sign(claims()))).status, 200);
});

test('a disabled account behind a rule is nobody', async () => {
  const set = (disabled_at: Date | null) =>
    database.db.updateTable('service_accounts').set({ disabled_at }).where('id', '=', robot).execute();
  await set(now());
  assert.equal((await ask(await sign(claims()))).status, 401);
  await set(null);
});

test('the file is read whole, and what is wrong in it is named: symmetric algorithms, plain http, open rules', async () => {
  const faultsOf = async (change: object) => {
    await writeFile(file, JSON.stringify({ issuers: [{ ...description, ...change }] }));
    return readTokenIssuers(file).faults.join();
  };
  assert.equal(await faultsOf({}), '');
  assert.match(await faultsOf({ algorithms: ['HS256'] }), /algorithms/);
  assert.match(await faultsOf({ algorithms: [] }), /algorithms/);
  assert.match(await faultsOf({ jwks_url: 'http://builds.example/keys' }), /https/);
  assert.match(await faultsOf({ rules: [{ subject: '*', principal: developer.subject }] }), /rules/);
  assert.match(await faultsOf({ rules: [{ subject: 'x', principal: 'role:admin' }] }), /principal/);
  assert.match(await faultsOf({ secret: 'x' }), /secret/i);
  await writeFile(file, '{');
  assert.match(readTokenIssuers(file).faults.join(), /not JSON/);
});
