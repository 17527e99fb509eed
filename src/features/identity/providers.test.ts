import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startTestApp, type TestApp } from '../../../test/harness/app.ts';
import { type Person, signInThere, startIdentityProvider } from '../../../test/harness/identity-provider.ts';
import { newVisitor, type Visitor } from '../../../test/harness/visitor.ts';
import type { SignInProvider } from '../../base/sign-in-provider.ts';
import { ProviderStates } from './provider-states.ts';
import { discover, refuseOutsider, toGenericConfig } from './sign-in-provider.ts';

let comeBackTo: string | null = null;
const idp = await startIdentityProvider(() => comeBackTo);
const directory = await mkdtemp(join(tmpdir(), 'guildhall-providers-'));
const entry = {
  id: 'company',
  name: 'Company login',
  discovery_url: idp.discoveryUrl,
  client_id: idp.clientId,
  client_secret: { env: 'COMPANY_SECRET' },
};

async function start(more: object, env: Record<string, string> = {}): Promise<TestApp> {
  const file = join(directory, `providers-${Math.abs(JSON.stringify(more).length)}.json`);
  await writeFile(file, JSON.stringify({ providers: [{ ...entry, ...more }] }));
  return startTestApp({
    roles: ['api'],
    env: {
      GUILDHALL_SIGN_IN_PROVIDERS_FILE: file,
      COMPANY_SECRET: idp.clientSecret,
      GUILDHALL_LIMITS: 'login=1000,login_address=10000',
      ...env,
    },
  });
}

const guildhall = await start({ email_domains: ['example.com', 'example.org'] });
comeBackTo = `${guildhall.app.url}/api/v1/auth/callback/company`;
const { db } = guildhall.database;
after(async () => {
  await guildhall[Symbol.asyncDispose]();
  await idp[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

/** Signs in there as somebody of whom the provider says this. @returns where our server sends the browser. */
async function come(who: string, person: Person, visitor: Visitor = newVisitor(guildhall.app.url as string)) {
  idp.people.set(who, person);
  const begun = await visitor.json<{ url: string }>('POST', '/api/v1/auth/provider', { provider: 'company' });
  assert.equal(begun.status, 200, JSON.stringify(begun.body));
  const back = await signInThere(
    newVisitor(idp.url),
    visitor,
    begun.body.url,
    who,
    guildhall.app.url as string,
  );
  return { visitor, back, location: back.headers.get('location') };
}

const userOf = (email: string) =>
  db.selectFrom('users').selectAll().where('email', '=', email).executeTakeFirst();

test('IAM-10 somebody new comes by the provider, is a member without access, and gets none until granted', async () => {
  const { visitor, back, location } = await come('ann', {
    ...{ email: 'Ann@example.com', email_verified: true, name: 'Ann Example' },
  });
  assert.deepEqual([back.status, location], [303, '/']);
  const me = await visitor.json<{ member: { id: string; role: string; name: string } }>('GET', '/api/v1/me');
  assert.deepEqual([me.body.member.role, me.body.member.name], ['none', 'Ann Example']);
  const tasks = await visitor.json('GET', '/api/v1/tasks');
  assert.deepEqual([tasks.status, tasks.body.code], [403, 'no_access']);
  await db.updateTable('members').set({ role: 'viewer' }).where('id', '=', me.body.member.id).execute();
  assert.equal((await visitor.send('GET', '/api/v1/tasks')).status, 200);
  const again = await come('ann', { email: 'Ann@example.com', email_verified: true, name: 'Ann Example' });
  const still = await again.visitor.json<{ member: { id: string } }>('GET', '/api/v1/me');
  assert.equal(still.body.member.id, me.body.member.id, 'the same person');
  const record = await db
    .selectFrom('audit_records')
    .select('data')
    .where('action', '=', 'session.create')
    .where('actor', '=', `member:${me.body.member.id}`)
    .executeTakeFirstOrThrow();
  assert.equal((record.data as { method?: string }).method, 'provider company');
});

test('tokens of the provider are not kept', async () => {
  await come('tina', { email: 'tina@example.com', email_verified: true, name: 'Tina' });
  const rows = await db.selectFrom('accounts').selectAll().where('provider_id', '=', 'company').execute();
  assert.ok(rows.length >= 1);
  for (const row of rows)
    assert.deepEqual([row.access_token, row.refresh_token, row.id_token], [null, null, null]);
});

test('only the domains that are allowed, and only with an address that the provider has checked', async () => {
  for (const [who, person, problem] of [
    ['eve', { email: 'eve@evil.example', email_verified: true }, 'domain_not_allowed'],
    ['sub', { email: 'sub@sub.example.com', email_verified: true }, 'domain_not_allowed'],
    ['two', { email: 'two@example.com@evil.example', email_verified: true }, 'domain_not_allowed'],
    ['una', { email: 'una@example.com', email_verified: false }, 'email_not_verified'],
    ['odd', { email: 'odd@example.com' }, 'email_not_verified'],
    ['non', { name: 'Without' }, 'email_not_found'],
  ] as const) {
    const { visitor, location } = await come(who, person);
    assert.equal(location, `/sign-in?problem=${problem}`, who);
    assert.equal((await visitor.send('GET', '/api/v1/me')).status, 401);
  }
  assert.equal(await userOf('eve@evil.example'), undefined);
});

test('a provider is joined to an account of before only when somebody vouched for its address', async () => {
  const invited = await guildhall.api<{ path: string }>('POST', '/api/v1/invitations', {
    email: 'bob@example.com',
  });
  const bob = newVisitor(guildhall.app.url as string);
  const password = 'seven green teapots sail';
  const token = invited.body.path.split('#')[1];
  await bob.json('POST', '/api/v1/auth/invitation/accept', { token, name: 'Bob', password });
  const blind = await come('bob', { email: 'bob@example.com', email_verified: true });
  assert.equal(blind.location, '/sign-in?problem=account_not_linked');

  // Signed in, Bob joins it himself.
  await bob.refresh();
  const begun = await bob.json<{ url: string }>('POST', '/api/v1/account/providers', { provider: 'company' });
  assert.equal(begun.status, 200, JSON.stringify(begun.body));
  const back = await signInThere(
    newVisitor(idp.url),
    bob,
    begun.body.url,
    'bob',
    guildhall.app.url as string,
  );
  assert.equal(back.headers.get('location'), '/account');
  const account = await bob.json<{ providers: string[] }>('GET', '/api/v1/account');
  assert.deepEqual(account.body.providers, ['company']);
  const now = await come('bob', { email: 'bob@example.com', email_verified: true });
  assert.equal(now.location, '/');
});

test('the way back works once, in the browser that began, and not with an invented state', async () => {
  idp.people.set('cat', { email: 'cat@example.com', email_verified: true });
  const cat = newVisitor(guildhall.app.url as string);
  const begun = await cat.json<{ url: string }>('POST', '/api/v1/auth/provider', { provider: 'company' });
  const thief = newVisitor(guildhall.app.url as string);
  const stolen = await signInThere(
    newVisitor(idp.url),
    thief,
    begun.body.url,
    'cat',
    guildhall.app.url as string,
  );
  assert.match(stolen.headers.get('location') ?? '', /^\/sign-in\?problem=state_mismatch$/);
  assert.ok(!thief.cookies.has('guildhall_session'));
  for (const query of [
    '',
    '?state=invented&code=x',
    '?code=x',
    '?error=access_denied',
    '?state[]=x&code=y',
  ]) {
    const answer = await cat.send('GET', `/api/v1/auth/callback/company${query}`);
    assert.ok([303, 400, 422].includes(answer.status), `${query}: ${answer.status}`);
    assert.doesNotMatch(answer.headers.get('location') ?? '/sign-in', /^https?:|^\/\//);
    assert.ok(!cat.cookies.has('guildhall_session'));
  }
  const unknown = await cat.send('GET', '/api/v1/auth/callback/unknown?state=x&code=y');
  assert.equal(unknown.status, 303);
});

test('claims of other names, an operator who vouches for the addresses, and nobody who was never here', async () => {
  await using other = await start({
    email_claim: 'upn',
    name_claim: 'nick',
    email_verified: 'always',
    new_people: false,
  });
  const url = other.app.url as string;
  comeBackTo = `${url}/api/v1/auth/callback/company`;
  const enter = async (who: string, person: Person) => {
    idp.people.set(who, person);
    const visitor = newVisitor(url);
    const begun = await visitor.json<{ url: string }>('POST', '/api/v1/auth/provider', {
      provider: 'company',
    });
    const asked = new URL(begun.body.url).searchParams;
    assert.deepEqual([asked.get('code_challenge_method'), asked.get('nonce')?.length], ['S256', 32]);
    const back = await signInThere(newVisitor(idp.url), visitor, begun.body.url, who, url);
    return back.headers.get('location');
  };
  try {
    const stranger = await enter('dan', { upn: 'dan@example.net', email: 'not-this@example.net' });
    assert.equal(stranger, '/sign-in?problem=signup_disabled');
    const admin = await other.api('POST', '/api/v1/bootstrap', { email: 'fay@example.net' });
    assert.equal(admin.status, 200);
    assert.equal(await enter('fay', { upn: 'fay@example.net', email: 'not-this@example.net' }), '/');
  } finally {
    comeBackTo = `${guildhall.app.url}/api/v1/auth/callback/company`;
  }
});

test('a provider that does not answer at the start is shown as such, and taken up when it does', async () => {
  idp.setAnswering(false);
  try {
    await using late = await start({ id: 'late', name: 'Late' });
    const methods = async () =>
      (await late.api<{ providers: { id: string; usable: boolean }[] }>('GET', '/api/v1/auth/methods')).body
        .providers;
    assert.deepEqual(await methods(), [{ id: 'late', name: 'Late', usable: false }]);
    const ready = await late.api<{ components: { name: string; state: string; summary: string }[] }>(
      'GET',
      '/readyz',
    );
    const component = ready.body.components.find(c => c.name === 'sign-in');
    assert.equal(component?.state, 'failed');
    assert.match(component?.summary ?? '', /late: it cannot be reached/);
    const begun = await late.api('POST', '/api/v1/auth/provider', { provider: 'late' });
    assert.deepEqual([begun.status, begun.body.code], [404, 'provider_missing']);
  } finally {
    idp.setAnswering(true);
  }
});

test('a silent provider is asked again by itself until it answers', async () => {
  const provider: SignInProvider = {
    ...{ id: 'company', name: 'Company', clientId: 'x', clientSecret: 'y', discoveryUrl: idp.discoveryUrl },
    ...{
      google: null,
      endpoints: null,
      scopes: [],
      emailDomains: [],
      emailVerified: 'claim',
      newPeople: true,
    },
    claims: { subject: 'sub', email: 'email', name: 'name' },
  };
  idp.setAnswering(false);
  const changed = Promise.withResolvers<void>();
  using states = new ProviderStates([provider], () => changed.resolve(), { retryMs: 20, restMs: 1 });
  await states.ask();
  assert.match(states.states[0]?.fault ?? '', /cannot be reached/);
  assert.equal(states.ready.length, 0);
  idp.setAnswering(true);
  await changed.promise;
  assert.equal(states.states[0]?.fault, null);
  assert.equal(states.ready[0]?.userInfoUrl, `${idp.url}/me`);
  assert.deepEqual(await discover({ ...provider, discoveryUrl: `${idp.url}/nowhere` }), {
    fault: 'it answers 404 at its discovery address',
  });
});

test('Google: the hosted domain is asked for, and asked again of what Google says', async () => {
  const file = join(directory, 'google.json');
  const secret = join(directory, 'google-secret');
  await writeFile(secret, 'the-secret-of-google\n');
  await chmod(secret, 0o600);
  const google = { id: 'google', type: 'google', client_id: 'us', client_secret: { file: 'google-secret' } };
  await writeFile(file, JSON.stringify({ providers: [{ ...google, hosted_domain: 'example.com' }] }));
  await using app = await startTestApp({ roles: ['api'], env: { GUILDHALL_SIGN_IN_PROVIDERS_FILE: file } });
  const begun = await app.api<{ url: string }>('POST', '/api/v1/auth/provider', { provider: 'google' });
  const url = new URL(begun.body.url);
  assert.deepEqual([url.hostname, url.searchParams.get('hd')], ['accounts.google.com', 'example.com']);
  assert.equal(url.searchParams.get('redirect_uri'), `${app.app.url}/api/v1/auth/callback/google`);

  const [provider] = app.app.config.signIn.providers;
  assert.equal(provider?.clientSecret, 'the-secret-of-google');
  const verdict = (hd: unknown, email = 'x@example.com') =>
    refuseOutsider(provider ? [provider] : [], {
      user: { email, emailVerified: true },
      source: { oauth: { providerId: 'google', profile: { hd } } },
    });
  assert.equal(verdict('example.com'), undefined);
  for (const hd of ['evil.example', undefined, '', 'EXAMPLE.COM.evil', ['example.com'], '*'])
    assert.deepEqual(verdict(hd), { error: 'domain_not_allowed' }, String(hd));
});

test('an answer about somebody else than the token is not believed', async () => {
  const answer = (sub: string) =>
    new Response(JSON.stringify({ sub, email: 'victim@example.com', email_verified: true }));
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const idToken = `${encode({ alg: 'none' })}.${encode({ sub: 'me' })}.`;
  const { createServer } = await import('node:http');
  let sub = 'other';
  const server = createServer(async (_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(await answer(sub).text());
  });
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as { port: number };
    const config = toGenericConfig({
      ...(guildhall.app.config.signIn.providers[0] as SignInProvider),
      userInfoUrl: `http://127.0.0.1:${port}/`,
    });
    assert.equal(await config.getUserInfo({ idToken, accessToken: 'x' }), null);
    sub = 'me';
    assert.equal(((await config.getUserInfo({ idToken, accessToken: 'x' })) as { sub: string }).sub, 'me');
  } finally {
    server.close();
  }
});
