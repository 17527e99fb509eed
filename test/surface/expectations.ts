/**
 * Who may do what over HTTP, a line a route: written by hand, beside the matrix of permissions and not from it, so
 * that a slip there shows here. A route without a line fails the walk, and so does a line without a route.
 *
 *   all, workers, managers …   the roles that get through; every other one gets 403
 *   .of('task')                its ids are of this kind: of another organization they are 404, as if there were none
 *   .with(things => body)      a body that names things of the caller's organization, or of another one (again 404)
 *   .agents                    an agent may come with the token of its run
 */
import { screens } from '../../src/api.ts';
import type { Role } from '../../src/features/identity/permissions.ts';
import type { Things } from './things.ts';

export interface Expectation {
  /**
   * `open`: no credential needed; `signed-in`: any that is valid, whatever the role; `person`: any browser session,
   * whatever the role, but no key.
   */
  who: 'open' | 'signed-in' | 'person' | readonly Role[];
  /** What stands for each `:name` of the address, in their order. */
  ids: readonly (keyof Things)[];
  body: ((things: Things) => object) | null;
  /** Whether the body names something that another organization has. */
  names: boolean;
  query: ((things: Things) => Record<string, string>) | null;
  admitsAgents: boolean;
  foreign: number;
  of(...ids: (keyof Things)[]): Expectation;
  with(body: (things: Things) => object): Expectation;
  /** A list may be narrowed to a thing; a foreign one leaves it empty. */
  by(query: (things: Things) => Record<string, string>): Expectation;
  /** What a foreign thing gives where it is not 404. */
  gives(status: number): Expectation;
  readonly agents: Expectation;
}

const password = 'walk-through-the-park-19';
/** A passkey's answer that fits no challenge. */
const passkeyAnswer = {
  id: 'AAAA',
  rawId: 'AAAA',
  type: 'public-key',
  clientExtensionResults: {},
  response: {
    clientDataJSON: 'e30',
    authenticatorData: 'AAAA',
    signature: 'AAAA',
    attestationObject: 'AAAA',
  },
};

function expectation(who: Expectation['who'], more: Partial<Expectation> = {}): Expectation {
  const made = { ids: [], body: null, names: false, query: null, admitsAgents: false, foreign: 404, ...more };
  return {
    ...made,
    who,
    of: (...ids) => expectation(who, { ...made, ids }),
    with: body => expectation(who, { ...made, body, names: body.length > 0 }),
    by: query => expectation(who, { ...made, query }),
    gives: foreign => expectation(who, { ...made, foreign }),
    get agents() {
      return expectation(who, { ...made, admitsAgents: true });
    },
  } as Expectation;
}

const open = expectation('open');
const signedIn = expectation('signed-in');
const person = expectation('person');
const owners = expectation(['owner']);
const all = expectation(['owner', 'admin', 'manager', 'developer', 'viewer', 'auditor']);
const leads = expectation(['owner', 'admin', 'manager', 'auditor']);
const managers = expectation(['owner', 'admin', 'manager']);
const workers = expectation(['owner', 'admin', 'manager', 'developer']);
const admins = expectation(['owner', 'admin']);
const auditors = expectation(['owner', 'admin', 'auditor']);

// biome-ignore format: a line a route
export const expectations: Record<string, Expectation> = {
  'GET /livez':                                        open,
  'GET /readyz':                                       open,
  'GET /version':                                      open,
  'GET /api/v1/openapi.json':                          signedIn,
  'GET /docs*':                                        signedIn,
  'GET /api/v1/events':                                all,
  'GET /api/v1/ws':                                    open, // Who it is comes with a frame: src/api.live.test.ts.
  'POST /api/v1/ws-tickets':                           all,

  // Signing in: each has its own proof in the body.
  'POST /api/v1/sign-in':                              open.with(() => ({ token: 'ghl_none' })),
  'GET /api/v1/auth/methods':                          open,
  'POST /api/v1/auth/password':                        open.with(() => ({ email: 'a@surface.test', password: 'wrong' })),
  'POST /api/v1/auth/second-step':                     open.with(() => ({ code: '123456' })),
  'POST /api/v1/auth/passkey/options':                 open,
  'POST /api/v1/auth/passkey':                         open.with(() => ({ response: passkeyAnswer })),
  'POST /api/v1/auth/provider':                        open.with(() => ({ provider: 'none' })),
  'GET /api/v1/auth/callback/:provider':               open.of('secret'),
  'POST /api/v1/auth/invitation':                      open.with(() => ({ token: 'ghi_none' })),
  'POST /api/v1/auth/invitation/accept':               open.with(() => ({ token: 'ghi_none', name: 'A', password })),
  'POST /api/v1/auth/set-password':                    open.with(() => ({ token: 'ghl_none', password })),
  'POST /api/v1/auth/sign-up':                         open.with(() => ({ name: 'A', email: 'a@surface.test', password })),

  // One's own account, for people in browsers.
  'GET /api/v1/me':                                    signedIn.agents,
  'POST /api/v1/sign-out':                             signedIn,
  'POST /api/v1/sign-in-links':                        all,
  'GET /api/v1/account':                               person,
  'POST /api/v1/account/password':                     person.with(() => ({ new_password: password })),
  'POST /api/v1/account/providers':                    person.with(() => ({ provider: 'none' })),
  'GET /api/v1/sessions':                              person,
  'DELETE /api/v1/sessions/:id':                       person.of('session'),
  'POST /api/v1/sessions/end-all':                     person,
  'POST /api/v1/account/second-factor':                person.with(() => ({ password })),
  'POST /api/v1/account/second-factor/confirm':        person.with(() => ({ code: '123456' })),
  'POST /api/v1/account/second-factor/remove':         person.with(() => ({ password })),
  'POST /api/v1/account/second-factor/backup-codes':   person.with(() => ({ password })),
  'GET /api/v1/account/passkeys':                      person,
  'POST /api/v1/account/passkeys/options':             person,
  'POST /api/v1/account/passkeys':                     person.with(() => ({ name: 'A', response: passkeyAnswer })),
  'DELETE /api/v1/account/passkeys/:id':               person.of('passkey'),
  'POST /api/v1/invitations/accept':                   person.with(() => ({ token: 'ghi_none' })),

  'GET /api/v1/invitations':                           all,
  'POST /api/v1/invitations':                          admins.with(() => ({ email: 'walk@surface.test', role: 'viewer' })),
  'DELETE /api/v1/invitations/:id':                    admins.of('invitation'),
  'POST /api/v1/members/:id/password-links':           admins.of('member'),
  'DELETE /api/v1/members/:id/sessions':               admins.of('member'),
  'POST /api/v1/bootstrap':                            owners.with(() => ({ email: 'walk@surface.test' })),

  'GET /api/v1/members':                               all,
  'GET /api/v1/members/:id':                           all.of('member'),
  'PATCH /api/v1/members/:id':                         admins.of('member').with(() => ({ clearance: 'internal' })),
  'POST /api/v1/members/:id/deactivate':               admins.of('member'),
  'POST /api/v1/members/:id/reactivate':               admins.of('member'),
  'GET /api/v1/service-accounts':                      auditors,
  'POST /api/v1/service-accounts':                     admins.with(() => ({ name: 'walk', role: 'viewer' })),
  'POST /api/v1/service-accounts/:id/disable':         admins.of('service_account'),
  'GET /api/v1/roles':                                 all,
  'GET /api/v1/role-bindings':                         leads.by(things => ({ scope_id: things.project })),
  'PUT /api/v1/role-bindings':                         managers.with(things => ({
    subject: `member:${things.member}`, role: 'viewer', scope: 'project', scope_id: things.project,
  })),

  'GET /api/v1/organizations':                         signedIn,
  'POST /api/v1/organizations':                        owners.with(() => ({ name: 'Walk' })),
  'PATCH /api/v1/organization':                        owners.with(() => ({ name: 'Walk' })),
  'GET /api/v1/projects':                              all,
  'GET /api/v1/projects/:id':                          all.of('project'),
  'POST /api/v1/projects':                             managers.with(things => ({ name: 'walk', team_id: things.team })),
  'PATCH /api/v1/projects/:id':                        managers.of('project').with(() => ({ description: 'A walk.' })),
  'POST /api/v1/projects/:id/archive':                 managers.of('otherProject'),
  'POST /api/v1/projects/:id/restore':                 managers.of('otherProject'),
  'PATCH /api/v1/teams/:id':                           managers.of('team').with(() => ({ clearance: 'internal' })),
  'GET /api/v1/teams/:id/members':                     all.of('team'),
  'PUT /api/v1/teams/:id/members/:member_id':          managers.of('team', 'member'),
  'DELETE /api/v1/teams/:id/members/:member_id':       managers.of('team', 'member'),

  'GET /api/v1/audit':                                 auditors,
  'GET /api/v1/audit/seals':                           auditors,
  'POST /api/v1/audit/verify':                         auditors,
  'GET /api/v1/audit/export':                          auditors,

  // One's own keys; those of others need `key.manage`.
  'GET /api/v1/api-keys':                              all,
  'POST /api/v1/api-keys':                             all.with(() => ({ name: 'walk', scopes: ['read'] })),
  'POST /api/v1/api-keys/:id/rotate':                  all.of('own_key'),
  'DELETE /api/v1/api-keys/:id':                       all.of('own_key'),

  'POST /api/v1/tokens':                               signedIn,
  'GET /.well-known/jwks.json':                        open,
  'GET /api/v1/signing-keys':                          owners,
  'POST /api/v1/signing-keys/rotate':                  owners,
  'POST /api/v1/installation/master-key/rotation':     owners,
  'POST /api/v1/installation/database-password/rotation': owners,
  'GET /api/v1/run':                                   expectation([]).agents,

  'GET /api/v1/secrets':                               auditors,
  'POST /api/v1/secrets':                              admins.with(() => ({ name: 'walk', value: 'a walk in the park' })),
  'DELETE /api/v1/secrets/:name':                      admins.of('secret'),

  'GET /api/v1/approvals':                             all.by(things => ({ task_id: things.task })),
  'GET /api/v1/approvals/:id':                         all.of('approval'),
  'POST /api/v1/approvals/:id/approve':                workers.of('approval'),
  'POST /api/v1/approvals/:id/reject':                 workers.of('approval').with(() => ({ text: 'No.' })),

  'GET /api/v1/budgets':                               all,
  'PUT /api/v1/budgets':                               admins.with(things => ({ scope: 'task', scope_id: things.task, limit_usd: 1 })),
  'GET /api/v1/usage':                                 all.by(things => ({ task_id: things.task })),
  'POST /api/v1/prices':                               admins.with(() => ({ provider: 'p', model: 'm', input_usd: 1, output_usd: 1, source: 'walk' })),

  'GET /api/v1/team-templates':                        all,
  'GET /api/v1/teams':                                 all,
  'POST /api/v1/teams':                                admins.with(() => ({ name: 'walk', template: 'software-team' })),
  'GET /api/v1/agents':                                all.by(things => ({ team_id: things.team })),
  'GET /api/v1/agents/:id':                            all.of('agent'),
  'POST /api/v1/agents':                               admins.with(things => ({
    team_id: things.team, name: 'walk', title: 'Walk', role: 'walk', description: 'A walk.', instructions: 'Walk.', tools: [],
  })),
  'PATCH /api/v1/agents/:id':                          admins.of('agent').with(() => ({ title: 'Other' })),

  'GET /api/v1/tasks':                                 all,
  'POST /api/v1/tasks':                                workers.with(things => ({ request: 'Do it.', team: 'walkers', depends_on: [things.task] })).gives(422),
  'GET /api/v1/tasks/:id':                             all.of('task').agents,
  'GET /api/v1/tasks/:id/tree':                        all.of('task'),
  'GET /api/v1/tasks/:id/steps':                       all.of('task'),
  'GET /api/v1/tasks/:id/checks':                      all.of('task'),
  'GET /api/v1/tasks/:id/diff':                        all.of('task'),
  'GET /api/v1/tasks/:id/messages':                    all.of('task'),
  'POST /api/v1/tasks/:id/pause':                      workers.of('task'),
  'POST /api/v1/tasks/:id/resume':                     workers.of('task'),
  'POST /api/v1/tasks/:id/cancel':                     workers.of('task'),
  'POST /api/v1/tasks/:id/retry':                      workers.of('task'),

  'GET /api/v1/dead-letters':                          all,
  'GET /api/v1/dead-letters/:id':                      all.of('dead_letter'),
  'POST /api/v1/dead-letters/:id/replay':              workers.of('dead_letter'),
};

/** The page and its files: a frame without data. Only there when it was built. */
export const ofThePage: RegExp[] = [
  /^GET \/(?:assets\/.*|[\w.-]+\.(?:html|svg|png|ico|js|css|webmanifest|txt))$/,
  ...screens.map(path => new RegExp(`^GET ${path.replace('*', '\\*')}$`)),
];

/** The line of a route: `*` at the end of a line stands for anything. */
export function expectationOf(route: string): { line: string; expectation: Expectation } | null {
  const line = Object.keys(expectations).find(
    name => name === route || (name.endsWith('*') && route.startsWith(name.slice(0, -1))),
  );
  return line ? { line, expectation: expectations[line] as Expectation } : null;
}
