/**
 * Every route that changes something is driven for real: it writes an audit record, in the transaction of the change.
 * When the record cannot be written nothing of the change stays, and when the transaction fails at its commit no
 * record does. A new mutating route without a line here fails.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, test } from 'node:test';
import pg from 'pg';
import { startTestApp } from '../../../test/harness/app.ts';
import { recordRoutes } from '../../../test/harness/routes.ts';
import { newVisitor, type Visitor } from '../../../test/harness/visitor.ts';
import { addMember, addSession, type Headers, type Member } from '../../../test/surface/callers.ts';
import { expectationOf } from '../../../test/surface/expectations.ts';
import { generousLimits } from '../../../test/surface/limits.ts';
import { addThings, type Home, type Things } from '../../../test/surface/things.ts';

const routes = recordRoutes();
const guildhall = await startTestApp({
  roles: ['api'],
  env: { ...generousLimits, GUILDHALL_SIGN_UP: 'open', GUILDHALL_MASTER_KEY: '' },
});
const { api, app } = guildhall;
const { db } = guildhall.database;
const url = app.url as string;
const owner = new pg.Client(guildhall.database.owner as pg.ClientConfig);
await owner.connect();
await owner.query(
  `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'injected fault'; end $$`,
);
after(async () => {
  await owner.end();
  await guildhall[Symbol.asyncDispose]();
});
const now = new Date();
const { organizationId, projectId, ownerId } = app.installation;
const team = await api<{ id: string; agents: { id: string }[] }>('POST', '/api/v1/teams', {
  name: 'walkers',
  template: 'software-team',
});
const lead = await db
  .selectFrom('agents')
  .select('id')
  .where('team_id', '=', team.body.id)
  .where('reports_to', 'is', null)
  .executeTakeFirstOrThrow();
const home: Home = {
  actor: { id: `member:${ownerId}`, organizationId, requestId: 'completeness' },
  ...{ organizationId, projectId, teamId: team.body.id, agentId: lead.id },
};

/** What a route is driven with: fresh for each. */
interface World {
  things: Things;
  member: Member;
  /** Of a browser's session of the member. */
  session: Headers;
  call(method: string, path: string, body?: object): Promise<Record<string, string>>;
}
interface Given {
  headers?: Headers;
  body?: object;
  ids?: string[];
}
type Prepare = (world: World) => Promise<Given>;
/** `recorded`: the sign-in library writes in a transaction of its own, and the record stands beside it. */
type Line = { action: string; prepare?: Prepare; recorded?: true } | { none: string };

const does = (action: string, prepare?: Prepare): Line => ({ action, prepare });
const records = (action: string, prepare?: Prepare): Line => ({ action, prepare, recorded: true });
const none = (why: string): Line => ({ none: why });
/** Something that has to be there first. */
const once =
  (method: string, pathOf: (t: Things) => string, body?: object): Prepare =>
  async world => {
    await world.call(method, pathOf(world.things), body);
    return {};
  };
const ceremony = none('Begins a ceremony: a question that expires. Its end is recorded.');

// biome-ignore format: a line a route
const lines: Record<string, Line> = {
  'POST /api/v1/bootstrap':                          does('admin.bootstrap', async () => ({ headers: installation })),
  'POST /api/v1/sign-in':                            does('session.create', link),
  'POST /api/v1/sign-out':                           does('session.revoke', bySession),
  'POST /api/v1/sign-in-links':                      does('sign_in_link.create'),
  'POST /api/v1/auth/password':                      records('session.create', async () => ({ body: { email: (await newPerson()).email, password } })),
  'POST /api/v1/auth/second-step':                   records('session.create', secondStep),
  'POST /api/v1/auth/passkey/options':               ceremony,
  'POST /api/v1/auth/passkey':                       records('session.create'),
  'POST /api/v1/auth/provider':                      ceremony,
  'POST /api/v1/auth/invitation':                    none('Tells what an invitation offers; its token is in the body so that it is in no address.'),
  'POST /api/v1/auth/invitation/accept':             does('invitation.accept', async () => ({ body: { token: await invite(), name: 'A', password } })),
  'POST /api/v1/auth/set-password':                  does('password.reset', passwordLink),
  'POST /api/v1/auth/sign-up':                       does('session.create', async () => ({ body: { name: 'Up', email: newEmail(), password } })),
  'POST /api/v1/account/password':                   does('password.change', bySession),
  'POST /api/v1/account/providers':                  ceremony,
  'DELETE /api/v1/sessions/:id':                     does('session.revoke', ownSession),
  'POST /api/v1/sessions/end-all':                   does('session.revoke_all', bySession),
  'POST /api/v1/account/second-factor':              records('second_factor.begin', async () => ({ headers: await headersOf((await newPerson()).visitor), body: { password } })),
  'POST /api/v1/account/second-factor/confirm':      records('second_factor.confirm', async () => { const p = await newPerson(); const secret = await beginFactor(p.visitor); return { headers: await headersOf(p.visitor), body: { code: codeOf(secret) } }; }),
  'POST /api/v1/account/second-factor/remove':       records('second_factor.remove', async () => ({ headers: await headersOf((await withFactor()).visitor), body: { password } })),
  'POST /api/v1/account/second-factor/backup-codes': records('second_factor.new_codes', async () => ({ headers: await headersOf((await withFactor()).visitor), body: { password } })),
  'POST /api/v1/account/passkeys/options':           ceremony,
  'POST /api/v1/account/passkeys':                   records('passkey.add', bySession),
  'DELETE /api/v1/account/passkeys/:id':             does('passkey.remove', ownPasskey),
  'POST /api/v1/invitations/accept':                 does('invitation.accept', joinOther),
  'POST /api/v1/invitations':                        does('invitation.create', async () => ({ body: { email: newEmail(), role: 'viewer' } })),
  'DELETE /api/v1/invitations/:id':                  does('invitation.revoke'),
  'POST /api/v1/members/:id/password-links':         does('sign_in_link.create'),
  'DELETE /api/v1/members/:id/sessions':             does('session.revoke_all'),
  'PATCH /api/v1/members/:id':                       does('member.update'),
  'POST /api/v1/members/:id/deactivate':             does('member.deactivate'),
  'POST /api/v1/members/:id/reactivate':             does('member.reactivate', once('POST', t => `/members/${t.member}/deactivate`)),
  'POST /api/v1/service-accounts':                   does('service_account.create'),
  'POST /api/v1/service-accounts/:id/disable':       does('service_account.disable'),
  'PUT /api/v1/role-bindings':                       does('role.grant'),
  'POST /api/v1/organizations':                      does('organization.create'),
  'PATCH /api/v1/organization':                      does('organization.update'),
  'POST /api/v1/projects':                           does('project.create'),
  'PATCH /api/v1/projects/:id':                      does('project.update'),
  'POST /api/v1/projects/:id/archive':               does('project.archive'),
  'POST /api/v1/projects/:id/restore':               does('project.restore', once('POST', t => `/projects/${t.otherProject}/archive`)),
  'PATCH /api/v1/teams/:id':                         does('team.update'),
  'PUT /api/v1/teams/:id/members/:member_id':        does('team.add_member'),
  'DELETE /api/v1/teams/:id/members/:member_id':     does('team.remove_member', once('PUT', t => `/teams/${t.team}/members/${t.member}`)),
  'POST /api/v1/audit/verify':                       does('audit.verify'),
  'POST /api/v1/api-keys':                           does('api_key.create'),
  'POST /api/v1/api-keys/:id/rotate':                does('api_key.rotate'),
  'DELETE /api/v1/api-keys/:id':                     does('api_key.revoke'),
  'POST /api/v1/secrets':                            does('secret.create'),
  'DELETE /api/v1/secrets/:name':                    does('secret.revoke'),
  'POST /api/v1/approvals/:id/approve':              does('approval.decide', async () => ({ body: { text: 'Yes.' } })),
  'POST /api/v1/approvals/:id/reject':               does('approval.decide'),
  'PUT /api/v1/budgets':                             does('budget.set'),
  'POST /api/v1/prices':                             does('price.add'),
  'POST /api/v1/teams':                              does('team.create'),
  'POST /api/v1/agents':                             does('agent.create'),
  'PATCH /api/v1/agents/:id':                        does('agent.update'),
  'POST /api/v1/tasks':                              does('task.create'),
  'POST /api/v1/tasks/:id/cancel':                   does('task.end'),
  'POST /api/v1/tasks/:id/pause':                    does('task.pause'),
  'POST /api/v1/tasks/:id/resume':                   does('task.resume', once('POST', t => `/tasks/${t.task}/pause`)),
  'POST /api/v1/tasks/:id/retry':                    does('task.retry', once('POST', t => `/tasks/${t.task}/cancel`)),
  'POST /api/v1/dead-letters/:id/replay':            does('task.retry', deadTask),
  'POST /api/v1/tokens':                             does('token.issue'),
  'POST /api/v1/ws-tickets':                         none('Opens a connection that reads, for a minute; a refusal is recorded.'),
  'POST /api/v1/installation/master-key/rotation':   records('master_key.rotate', async () => ({ headers: installation })),
  'POST /api/v1/installation/database-password/rotation': none('Needs the database that Guildhall runs itself: its own test drives it.'),
  'POST /api/v1/signing-keys/rotate':                does('signing_key.rotate', async () => ({ headers: installation })),
};
const installation: Headers = { authorization: `Bearer ${guildhall.key}` };
const password = 'seven green teapots sail';

let count = 0;
const newEmail = (): string => `person${++count}@audit.test`;

async function call(headers: Headers, method: string, path: string, body?: object) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  assert.equal(response.status, 200, `${method} ${path}: ${text}`);
  return JSON.parse(text) as Record<string, string>;
}

const afterHash = (path: string | undefined): string => String(path).split('#')[1] as string;

async function invite(email = newEmail(), headers: Headers = installation): Promise<string> {
  const made = await call(headers, 'POST', '/api/v1/invitations', { email, role: 'developer' });
  return afterHash(made.path);
}

/** Somebody with a password, signed in with a browser. */
async function newPerson(): Promise<{ visitor: Visitor; email: string }> {
  const email = newEmail();
  const made = await call(installation, 'POST', '/api/v1/invitations', { email, role: 'developer' });
  const visitor = newVisitor(url);
  const joined = await visitor.json('POST', '/api/v1/auth/invitation/accept', {
    ...{ token: afterHash(made.path), name: 'A', password },
  });
  assert.equal(joined.status, 200, JSON.stringify(joined.body));
  await visitor.refresh();
  return { visitor, email };
}

/** What the visitor's browser would send. */
async function headersOf(visitor: Visitor): Promise<Headers> {
  const me = await visitor.json<{ csrf_token: string | null }>('GET', '/api/v1/me');
  return {
    cookie: [...visitor.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
    ...(me.body.csrf_token ? { 'x-csrf-token': me.body.csrf_token } : {}),
  };
}

async function beginFactor(visitor: Visitor): Promise<string> {
  const begun = await visitor.json<{ secret: string }>('POST', '/api/v1/account/second-factor', { password });
  assert.equal(begun.status, 200, JSON.stringify(begun.body));
  return begun.body.secret;
}

async function withFactor(): Promise<{ visitor: Visitor; email: string; secret: string }> {
  const person = await newPerson();
  const secret = await beginFactor(person.visitor);
  const path = '/api/v1/account/second-factor/confirm';
  const confirmed = await person.visitor.json('POST', path, { code: codeOf(secret) });
  assert.equal(confirmed.status, 200, JSON.stringify(confirmed.body));
  await person.visitor.refresh();
  return { ...person, secret };
}

/** RFC 6238, as an authenticator app computes it. */
function codeOf(secret: string): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret.replace(/=+$/, '')]
    .map(char => letters.indexOf(char).toString(2).padStart(5, '0'))
    .join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map(byte => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac('sha1', key).update(counter).digest();
  const offset = (digest.at(-1) as number) & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

async function secondStep(): Promise<Given> {
  const { email, secret } = await withFactor();
  const visitor = newVisitor(url);
  await visitor.json('POST', '/api/v1/auth/password', { email, password });
  const cookie = [...visitor.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  return { headers: { cookie }, body: { code: codeOf(secret) } };
}

async function link(): Promise<Given> {
  const made = await call(installation, 'POST', '/api/v1/sign-in-links');
  return { headers: {}, body: { token: afterHash(made.path) } };
}

async function passwordLink({ things, call: byOwner }: World): Promise<Given> {
  const made = await byOwner('POST', `/members/${things.member}/password-links`);
  return { headers: {}, body: { token: afterHash(made.path), password } };
}

async function bySession({ session }: World): Promise<Given> {
  return { headers: session };
}

async function ownSession({ member, session }: World): Promise<Given> {
  await addSession(db, url, member, now);
  const row = await db
    .selectFrom('sessions')
    .select('id')
    .where('user_id', '=', member.userId)
    .orderBy('id', 'desc')
    .executeTakeFirstOrThrow();
  return { headers: session, ids: [row.id] };
}

async function ownPasskey({ member, session, things }: World): Promise<Given> {
  await owner.query(
    `insert into passkeys (id, user_id, name, credential_id, public_key, counter, device_type, backed_up, created_at)
      values ($1, $2, 'mine', $1, 'x', 0, 'singleDevice', false, now())`,
    [things.passkey, member.userId],
  );
  return { headers: session };
}

async function joinOther({ member, session }: World): Promise<Given> {
  const made = await call(installation, 'POST', '/api/v1/organizations', {
    name: `Other ${++count}`,
    with_key: true,
  });
  return {
    headers: session,
    body: { token: await invite(`${member.memberId}@surface.test`, { authorization: `Bearer ${made.key}` }) },
  };
}

async function deadTask({ things }: World): Promise<Given> {
  await db.updateTable('tasks').set({ state: 'dead_letter' }).where('id', '=', things.task).execute();
  await db.updateTable('runs').set({ state: 'failed', ended_at: now }).where('id', '=', things.run).execute();
  return {};
}

async function newWorld(name: string): Promise<World> {
  const member = await addMember(db, home.actor, 'owner', now, name);
  const things = await addThings(db, app.sealer, home, name, now, member.memberId);
  const { headers, csrfToken } = await addSession(db, url, member, now);
  return {
    ...{ things, member, session: { ...headers, 'x-csrf-token': csrfToken } },
    call: (method, path, body) => call(member.headers, method, `/api/v1${path}`, body),
  };
}

const mutating = routes
  .filter(route => !['GET', 'HEAD', 'OPTIONS'].includes(route.method))
  .map(route => `${route.method} ${route.url}`);

test('CMP-01 every mutating route says here what it records, or why it records nothing', () => {
  assert.ok(mutating.length > 50);
  assert.deepEqual(new Set(mutating), new Set(Object.keys(lines)));
});

/** What all tables hold, but that a request was made and a key used: true whatever becomes of it. */
async function state(): Promise<Record<string, string>> {
  const { rows } = await owner.query<{ schemaname: string; tablename: string }>(
    `select schemaname, tablename from pg_tables where schemaname in ('public', 'graphile_worker') and tablename !~ '^(rate_|limit)'`,
  );
  const held: Record<string, string> = {};
  for (const { schemaname, tablename } of rows) {
    const sum = await owner.query(
      `select count(*) || ' ' || coalesce(sum(hashtextextended((to_jsonb(t) - array['last_used_at', 'last_seen_at'])::text, 0)), 0) as sum from "${schemaname}"."${tablename}" t`,
    );
    held[`${schemaname}.${tablename}`] = sum.rows[0].sum;
  }
  return held;
}

const faults = {
  'its write': 'create trigger fault before insert on audit_records for each row execute function refuse()',
  'the commit':
    'create constraint trigger fault after insert on audit_records deferrable initially deferred for each row execute function refuse()',
};

for (const [route, line] of Object.entries(lines)) {
  if ('none' in line) continue;
  const how = line.recorded ? 'is recorded' : 'is recorded in its own transaction';
  test(`CMP-01 ${route} ${how}: ${line.action}`, async () => {
    const world = await newWorld(`world${++count}`);
    const given = await (line.prepare?.(world) ?? ({} as Given));
    const expected = expectationOf(route)?.expectation;
    const ids = [...(given.ids ?? (expected?.ids ?? []).map(kind => world.things[kind]))];
    const [method = '', address = ''] = route.split(' ');
    const path = address.replace(/:\w+/g, () => encodeURIComponent(ids.shift() as string));
    const body = given.body ?? expected?.body?.(world.things);
    const headers = given.headers ?? (expected?.who === 'open' ? {} : world.member.headers);
    const send = () =>
      fetch(`${url}${path}`, {
        method,
        headers: { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) },
        body: body && JSON.stringify(body),
      });
    if (!line.recorded) {
      const before = await state();
      for (const [where, fault] of Object.entries(faults)) {
        await owner.query(fault);
        try {
          const refused = await send();
          assert.equal(refused.status, 500, `with a fault at ${where}: ${await refused.text()}`);
        } finally {
          await owner.query('drop trigger fault on audit_records');
        }
        assert.deepEqual(await state(), before, `a fault at ${where} leaves nothing of it`);
      }
    }
    const response = await send();
    const text = await response.text();
    if (!line.recorded) assert.equal(response.status, 200, text);
    const found = await db
      .selectFrom('audit_records')
      .select('action')
      .where('request_id', '=', response.headers.get('x-request-id') as string)
      .execute();
    assert.ok(
      found.some(record => record.action === line.action),
      `${response.status} ${text}; recorded: ${found.map(record => record.action).join(', ') || 'nothing'}`,
    );
  });
}
