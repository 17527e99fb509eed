/** Every route that the server has, visited by everybody who could come: see expectations.ts for who may what. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type IdPrefix, newId } from '../../src/base/ids.ts';
import { roles } from '../../src/features/identity/permissions.ts';
import { startTestApp } from '../harness/app.ts';
import { addOrganization } from '../harness/organization.ts';
import { recordRoutes } from '../harness/routes.ts';
import { checkAnswer } from './answers.ts';
import { addMember, addMembers, addSession, badCredentials, type Headers } from './callers.ts';
import { type Expectation, expectationOf, expectations, ofThePage } from './expectations.ts';
import { generousLimits } from './limits.ts';
import { send } from './requests.ts';
import { addThings, type Home, type Things } from './things.ts';

const recorded = recordRoutes();
const guildhall = await startTestApp({ roles: ['api'], env: generousLimits });
after(() => guildhall[Symbol.asyncDispose]());
const url = guildhall.app.url as string;
const { db } = guildhall.database;
const now = new Date();

const team = await guildhall.api<{ id: string; agents: { id: string }[] }>('POST', '/api/v1/teams', {
  name: 'walkers',
  template: 'software-team',
});
assert.equal(team.status, 200, JSON.stringify(team.body));
const { organizationId, projectId, ownerId } = guildhall.app.installation;
const leadOf = (teamId: string) =>
  db.selectFrom('agents').select('id').where('team_id', '=', teamId).orderBy('id').executeTakeFirstOrThrow();
const home: Home = {
  actor: { id: `member:${ownerId}`, organizationId, requestId: 'walk' },
  organizationId,
  projectId,
  teamId: team.body.id,
  agentId: (await leadOf(team.body.id)).id,
};
const other = await addOrganization(db, 'other', now);
const otherTeam = await db
  .selectFrom('teams')
  .select('id')
  .where('organization_id', '=', other.organizationId)
  .executeTakeFirstOrThrow();
const own = await addThings(db, guildhall.app.sealer, home, 'own', now);
const foreign = await addThings(db, guildhall.app.sealer, { ...other, teamId: otherTeam.id }, 'foreign', now);
const members = await addMembers(db, home.actor, now);
const owner = members.get('owner')!;

interface Route {
  /** As in the table. */
  name: string;
  method: string;
  url: string;
  expectation: Expectation;
}
const isOfThePage = (name: string): boolean => ofThePage.some(pattern => pattern.test(name));
const all = recorded.map(({ method, url }) => ({ method, url, name: `${method} ${url}` }));
/** HEAD comes with each GET, and is visited where it matters: without a credential. */
const routes: Route[] = all
  .filter(route => route.method !== 'HEAD' && !isOfThePage(route.name))
  .flatMap(route => {
    const found = expectationOf(route.name);
    return found ? [{ ...route, expectation: found.expectation }] : [];
  });
const streams = (route: Pick<Route, 'url'>): boolean => /\/(events|stream|ws)$/.test(route.url);

/** Ids of the same form that name nothing. */
const nothing = Object.fromEntries(
  Object.entries(own).map(([kind, id]) => {
    const prefix = /^([a-z]+)_[0-9a-z]{26}$/.exec(id)?.[1];
    return [kind, prefix ? newId(prefix as IdPrefix, 0) : 'nothing'];
  }),
) as unknown as Things;

/** A request to a route as its line says, with the things of an organization. */
async function ask(route: Route, things: Things, headers: Headers, more: { query?: boolean } = {}) {
  const ids = [...route.expectation.ids];
  const path = route.url
    .replace(/:\w+/g, () => encodeURIComponent(things[ids.shift() ?? 'task']))
    .replace('*', 'index.html');
  const query =
    more.query && route.expectation.query ? `?${new URLSearchParams(route.expectation.query(things))}` : '';
  const body = route.expectation.body ? JSON.stringify(route.expectation.body(things)) : undefined;
  const answer = await send(
    url,
    { method: route.method, streams: streams(route) },
    {
      path: `${path}${query}`,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body,
    },
  );
  const isPage = path.startsWith('/docs');
  if (!isPage) checkAnswer(answer, body, route.name);
  const code = answer.status >= 400 && !isPage ? (JSON.parse(answer.text || '{}').code as string) : '';
  return { ...answer, code };
}

/** What does not hold, one line each: a walk tells everything that it saw. */
class Faults {
  readonly found: string[] = [];
  unless(holds: boolean, text: string): void {
    if (!holds) this.found.push(text);
  }
  none(): void {
    assert.deepEqual(this.found, []);
  }
}

const guarded = routes.filter(route => route.expectation.who !== 'open');
const newThings = (name: string, memberId?: string) =>
  addThings(db, guildhall.app.sealer, home, name, now, memberId);
/** Codes that say: not you. */
const notYou = ['permission_missing', 'agents_only'];
const refusals = [
  ...notYou,
  'sign_in_required',
  'no_access',
  'permission_missing',
  'session_needed',
  'csrf_token_missing',
];

test('IAM-01 every route has a line in the table, and every line a route', () => {
  assert.ok(all.length > 60, `${all.length} routes`);
  const unlisted = all.filter(r => r.method !== 'HEAD' && !isOfThePage(r.name) && !expectationOf(r.name));
  assert.deepEqual(
    unlisted.map(r => r.name),
    [],
  );
  const used = new Set(routes.map(route => expectationOf(route.name)?.line));
  assert.deepEqual(
    Object.keys(expectations).filter(line => !used.has(line)),
    [],
  );
  for (const route of routes) {
    const names = [...route.url.matchAll(/:\w+/g)].length;
    assert.equal(route.expectation.ids.length, names, `${route.name}: say what its ids are of`);
  }
});

test('IAM-01 X-13 without a credential every route answers 401, but those that are open; HEAD too', async () => {
  const faults = new Faults();
  for (const route of routes) {
    const { status, code } = await ask(route, own, {});
    if (route.expectation.who === 'open')
      faults.unless(code !== 'sign_in_required', `${route.name}: ${status}`);
    else faults.unless(status === 401, `${route.name}: ${status}`);
    if (route.method !== 'GET' || route.expectation.who === 'open') continue;
    const path = route.url.replace(/:\w+|\*/g, 'x');
    const head = await send(url, { method: 'HEAD', streams: false }, { path, headers: {}, body: undefined });
    faults.unless([401, 404, 405].includes(head.status), `HEAD ${route.url}: ${head.status}`);
  }
  faults.none();
});

test('IAM-01 TST-05 a credential that is unknown, expired, revoked, forged or of another kind is like none', async () => {
  const faults = new Faults();
  const bad = await badCredentials(db, home.actor, now, own.runToken);
  for (const route of guarded) {
    for (const [what, headers] of bad) {
      const { status } = await ask(route, own, headers);
      faults.unless(status === 401, `${route.name} with ${what}: ${status}`);
    }
  }
  faults.none();
});

test('IAM-01 a credential in the address is none, and is refused', async () => {
  const faults = new Faults();
  const key = owner.headers.authorization?.slice('Bearer '.length);
  for (const route of guarded) {
    for (const name of ['key', 'token', 'access_token', 'api_key']) {
      const sent = {
        path: `${route.url.replace(/:\w+|\*/g, 'x')}?${name}=${key}`,
        headers: {},
        body: undefined,
      };
      const { status } = await send(url, { method: route.method, streams: streams(route) }, sent);
      faults.unless([400, 401].includes(status), `${route.name}?${name}=: ${status}`);
    }
  }
  faults.none();
});

for (const role of roles) {
  test(`IAM-04 TST-05 the role ${role} gets through where the table says so, and nowhere else`, async () => {
    const faults = new Faults();
    const { headers, memberId } = members.get(role)!;
    const things = await newThings(`for-${role}`, memberId);
    for (const route of guarded) {
      const { who, ids } = route.expectation;
      const { status, code } = await ask(route, things, headers);
      const seen = `${route.name}: ${status} ${code}`;
      if (who === 'person') faults.unless(code === 'session_needed', seen);
      else if (who === 'signed-in' || who.includes(role))
        faults.unless(![401, 403].includes(status) && (status !== 404 || ids.length === 0), seen);
      else faults.unless(status === 403 && (role === 'none' ? ['no_access'] : notYou).includes(code), seen);
    }
    faults.none();
  });
}

test('IAM-04 what another organization has is not there: 404, and the same answer as for what nobody has', async () => {
  const faults = new Faults();
  const shape = (text: string, things: Things) => {
    const { request_id: _, ...problem } = JSON.parse(text || '{}');
    return Object.entries(things).reduce(
      (made, [kind, id]) => made.replaceAll(id, kind),
      JSON.stringify(problem),
    );
  };
  const named = guarded.filter(
    r => r.expectation.who !== 'person' && (r.expectation.ids.length > 0 || r.expectation.names),
  );
  assert.ok(named.length > 20, `${named.length}`);
  for (const route of named) {
    const theirs = await ask(route, foreign, owner.headers);
    const nobodys = await ask(route, nothing, owner.headers);
    faults.unless(
      theirs.status === route.expectation.foreign,
      `${route.name}: ${theirs.status} ${theirs.code}`,
    );
    const [one, two] = [shape(theirs.text, foreign), shape(nobodys.text, nothing)];
    faults.unless(one === two, `${route.name}: ${one} but ${two}`);
  }
  faults.none();
});

test('IAM-04 no list shows what another organization has, whatever it is narrowed to', async () => {
  const faults = new Faults();
  const theirs = [other.organizationId, ...Object.values(foreign)];
  for (const route of guarded.filter(
    r => r.method === 'GET' && r.expectation.ids.length === 0 && !streams(r),
  )) {
    for (const query of [false, true]) {
      const { text } = await ask(route, foreign, owner.headers, { query });
      for (const id of theirs) faults.unless(!text.includes(id), `${route.name} shows ${id}`);
      if (!query || !route.expectation.query) continue;
      const { items } = JSON.parse(text) as { items?: unknown[] };
      faults.unless(
        items === undefined || items.length === 0,
        `${route.name}: a foreign filter finds something`,
      );
    }
  }
  faults.none();
});

test('X-14 a browser cannot write without its CSRF token, whatever the route; with it, it can', async () => {
  const faults = new Faults();
  const member = await addMember(db, home.actor, 'owner', now, 'browser');
  const things = await newThings('for-browser', member.memberId);
  for (const route of guarded) {
    const { headers, csrfToken } = await addSession(db, url, member, now);
    const { csrfToken: another } = await addSession(db, url, member, now);
    assert.notEqual(csrfToken, another);
    const wrong = [undefined, '', 'x', another, csrfToken.slice(0, -1)];
    for (const token of route.method === 'GET' ? [] : wrong) {
      const sent = token === undefined ? headers : { ...headers, 'x-csrf-token': token };
      const { status, code } = await ask(route, things, sent);
      faults.unless(
        status === 403 && code === 'csrf_token_missing',
        `${route.name} with ${token}: ${status} ${code}`,
      );
    }
    const right = route.method === 'GET' ? headers : { ...headers, 'x-csrf-token': csrfToken };
    const { status, code } = await ask(route, things, right);
    if (route.expectation.who.length > 0)
      faults.unless(!refusals.includes(code), `${route.name} with its token: ${status} ${code}`);
    if (route.expectation.who !== 'person' || route.expectation.ids.length === 0) continue;
    const theirs = await ask(route, foreign, right);
    faults.unless(theirs.status === 404, `${route.name} of somebody else: ${theirs.status}`);
  }
  faults.none();
});

test('X-14 no other site reaches a write: browsers are told so beforehand, and what needs no asking is refused', async () => {
  const faults = new Faults();
  const origin = 'https://evil.example';
  const { headers } = await addSession(db, url, owner, now);
  for (const route of routes.filter(r => r.method !== 'GET')) {
    const path = route.url.replace(/:\w+|\*/g, 'x');
    const asked = await send(
      url,
      { method: 'OPTIONS', streams: false },
      { path, headers: { origin, 'access-control-request-method': route.method }, body: undefined },
    );
    faults.unless(!asked.headers.has('access-control-allow-origin'), `OPTIONS ${route.name}`);
    // Forms and text go out without asking, with the cookie of a browser that does not know SameSite.
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ]) {
      const sent = { path, headers: { ...headers, origin, 'content-type': type }, body: '{}' };
      const { status } = await send(url, { method: route.method, streams: false }, sent);
      faults.unless(status >= 400 && status < 500, `${route.name} as ${type}: ${status}`);
    }
  }
  faults.none();
});

test('IAM-04 the token of a run opens what its line says, and only for its own task', async () => {
  const faults = new Faults();
  const things = await newThings('for-agent');
  const headers = { authorization: `Bearer ${things.runToken}` };
  for (const route of guarded) {
    const { status, code } = await ask(route, things, headers);
    const seen = `${route.name}: ${status} ${code}`;
    if (!route.expectation.admitsAgents) {
      faults.unless(status === 403 && ['agent_not_admitted', ''].includes(code), seen);
      continue;
    }
    faults.unless(status === 200, seen);
    if (route.expectation.ids.length === 0) continue;
    for (const [whose, elsewhere] of [
      ['own', own],
      ['foreign', foreign],
    ] as const) {
      const beyond = await ask(route, elsewhere, headers);
      faults.unless(beyond.status === 404, `${route.name} of another task (${whose}): ${beyond.status}`);
    }
  }
  await db.updateTable('runs').set({ state: 'succeeded' }).where('id', '=', things.run).execute();
  for (const route of guarded) {
    const { status } = await ask(route, things, headers);
    faults.unless(status === 401, `${route.name} after the run: ${status}`);
  }
  faults.none();
});
