/** Every route that a server registers, hidden ones included, and a request to each that its schema lets through. */
import { subscribe } from 'node:diagnostics_channel';
import type { FastifyInstance, RouteOptions } from 'fastify';
import { newId } from '../../src/base/ids.ts';
import type { Permission } from '../../src/features/identity/permissions.ts';

export interface RecordedRoute {
  method: string;
  /** As registered: `/api/v1/tasks/:id`. */
  url: string;
  readonly public: boolean;
  /** Whoever is signed in may come. */
  readonly signedIn: boolean;
  readonly permission: Permission | null;
  /** Whether agents may come with the tokens of their runs. */
  readonly agents: boolean;
  /** Left out of the OpenAPI document. */
  hidden: boolean;
}

/** Records the routes of all servers made from now on in this process. Call it before the app starts. */
export function recordRoutes(): RecordedRoute[] {
  const routes: RecordedRoute[] = [];
  subscribe('fastify.initialization', message => {
    const { fastify } = message as { fastify: FastifyInstance };
    fastify.addHook('onRoute', (route: RouteOptions) => {
      for (const method of [route.method].flat()) {
        routes.push({
          method,
          url: route.url,
          // Looked at when asked: a later hook may still change the route.
          get public() {
            return route.config?.public === true;
          },
          get signedIn() {
            return route.config?.signedIn === true;
          },
          get permission() {
            return route.config?.permission ?? null;
          },
          get agents() {
            return route.config?.agents === true;
          },
          hidden: (route.schema as { hide?: boolean } | undefined)?.hide === true,
        });
      }
    });
  });
  return routes;
}

const prefixes = {
  tasks: 'task',
  approvals: 'apr',
  agents: 'agt',
  'api-keys': 'key',
  'dead-letters': 'dl',
  projects: 'proj',
  members: 'mem',
  member: 'mem',
  teams: 'team',
  'service-accounts': 'svc',
} as const;

/** The path with ids of the right form that name nothing. */
export function pathOf(url: string): string {
  const noun = /^\/api\/v1\/([a-z-]+)\//.exec(url)?.[1] ?? '';
  const id = noun in prefixes ? newId(prefixes[noun as keyof typeof prefixes], 0) : 'x';
  const other = (name: string) => newId(prefixes[name as keyof typeof prefixes], 0);
  return url
    .replace(/[:{]([a-z]+)_id\}?/g, (_, name: string) => (name in prefixes ? other(name) : 'x'))
    .replace(/:[a-z]+|\{[a-z]+\}/g, id)
    .replace('*', 'x');
}

/** Bodies that the schemas accept, for the routes that need one. */
export const sampleBodies: Record<string, unknown> = {
  'POST /api/v1/sign-in': { token: 'ghl_none' },
  'POST /api/v1/api-keys': { name: 'sample' },
  'POST /api/v1/tasks': { request: 'Do it.' },
  'POST /api/v1/teams': { name: 'sample-team', template: 'software-team' },
  'POST /api/v1/agents': {
    team_id: newId('team', 0),
    name: 'sample',
    title: 'Sample',
    role: 'sample',
    description: 'A sample.',
    instructions: 'Be a sample.',
    tools: [],
  },
  'PATCH /api/v1/agents/:id': { title: 'Other' },
  'PUT /api/v1/budgets': { scope: 'task', scope_id: newId('task', 0), limit_usd: 1 },
  'POST /api/v1/prices': { provider: 'p', model: 'm', input_usd: 1, output_usd: 1, source: 'sample' },
  'POST /api/v1/approvals/:id/reject': { text: 'No.' },
  'POST /api/v1/projects': { name: 'sample' },
  'POST /api/v1/service-accounts': { name: 'sample' },
  'POST /api/v1/organizations': { name: 'sample' },
  'PATCH /api/v1/organization': { name: 'sample' },
  'PUT /api/v1/role-bindings': {
    subject: `member:${newId('mem', 0)}`,
    role: 'viewer',
    scope: 'project',
    scope_id: newId('proj', 0),
  },
};
