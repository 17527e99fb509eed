/** The API of an app: every feature's routes on one server, the page beside them, and what is ready. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import fastifyStatic from '@fastify/static';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import type { App } from './app.ts';
import { messageOf, Problem } from './base/problem.ts';
import type { Clock } from './base/time.ts';
import { createTeam, readTeamTemplates } from './features/agents/agents.ts';
import { readDiff } from './features/checks/review.ts';
import type { Component } from './features/health/routes.ts';
import { guard } from './features/identity/access.ts';
import { openSignIn, type SignIn } from './features/identity/sign-in.ts';
import { openTokenReader } from './features/identity/tokens.ts';
import { resolveModel, resolveModelFor } from './features/models/catalog.ts';
import { inspectSource } from './features/sandboxes/source.ts';
import { requireSandbox } from './features/sandboxes/workshop.ts';
import { toolArguments } from './features/tools/catalog.ts';
import { isMigrated } from './platform/db/migrate.ts';
import { docsPolicy, noncedPage, pagePolicy } from './platform/http/headers.ts';
import { type Counted, limitAddresses, limitPrincipals } from './platform/http/limits.ts';
import { redactProblems } from './platform/http/problem-redaction.ts';
import { createServer, type Server } from './platform/http/server.ts';
import { type Limits, openLimits } from './platform/limits/open.ts';
import { Connections } from './platform/live/connections.ts';
import { EventTail } from './platform/live/tail.ts';
import { addRoutes } from './routes.ts';

export interface Api {
  listen(): Promise<string>;
  close(): Promise<void>;
}

const pageDirectory = join(import.meta.dirname, '../web/dist');

export async function createApi(app: App, clock: Clock, version: string): Promise<Api> {
  const { db, config, log, models, workshop } = app;
  const https = config.publicUrl?.startsWith('https://') ?? false;
  const server = await createServer({
    log,
    version,
    https,
    trustedProxies: config.http.trustedProxies,
    corsOrigins: config.http.corsOrigins,
    hosts: { publicUrl: config.publicUrl, allowed: config.http.allowedHosts },
  });
  server.decorate('behindHttps', https);
  redactProblems(server, app.redactor);
  const signIn = openSignIn({
    ...{ db, clock, publicUrl: config.publicUrl, providers: config.signIn.providers },
    secret: app.sealer.derive('sign-in').toString('base64url'),
    installationId: app.installation.organizationId,
    log: (level, message) => log[level]({ part: 'sign-in' }, message),
  });
  const tail = new EventTail(db, error => log.warn({ reason: messageOf(error) }, 'events could not be read'));
  const limits = await openLimits({
    db,
    clock,
    ...config.limits,
    warn: (facts, message) => log.warn(facts, message),
  });
  limitAddresses(server, limits.limiter);
  const address = config.publicUrl ?? `http://${config.host}:${config.port}`;
  const { issuers, ...times } = config.tokens;
  const tokens = { issuer: address.replace(/\/+$/, ''), ...times, external: issuers };
  const access = guard(server, {
    db,
    clock,
    installationId: app.installation.organizationId,
    readToken: openTokenReader(clock, tokens),
  });
  limitPrincipals(server, limits.limiter, countedAs);
  const templates = await readTeamTemplates();
  await server.register(async docs => {
    docs.addHook('onRoute', route => {
      route.config = { ...route.config, signedIn: true };
    });
    await docs.register(swaggerUi, { routePrefix: '/docs', staticCSP: docsPolicy });
  });
  // In a plugin of their own, so that the OpenAPI document sees every route.
  await server.register(async routes => {
    addRoutes(routes as unknown as Server, {
      db,
      tenants: app.tenants,
      sealer: app.sealer,
      masterKeys: app.masterKeys,
      rotateDatabasePasswords: app.rotateDatabasePasswords,
      clock,
      signIn,
      openSignUp: config.signIn.open,
      installation: app.installation,
      installationId: app.installation.organizationId,
      findReader: access.findReader,
      limiter: limits.limiter,
      connections: new Connections(config.http.liveConnections),
      ticketKey: app.sealer.derive('ws_ticket'),
      corsOrigins: config.http.corsOrigins,
      tokens,
      furnish: async (tx, { owner }, at) => {
        const template = templates.get('software-team');
        if (template) await createTeam(tx, owner, at, template.name, template);
      },
      tail,
      version,
      gitSha: null,
      components: sharing(async () => [
        ...(await components(app, clock)),
        ...(await checkSignIn(signIn)),
        checkLimits(limits),
      ]),
      templates,
      requireModel: async ({ organizationId }, name) =>
        void (await resolveModelFor(models, organizationId, name)),
      inspectRepository: input => inspectSource(workshop, input),
      requireReady: async ({ organizationId }, agentModels, needsSandbox) => {
        for (const name of agentModels) await resolveModelFor(models, organizationId, name);
        if (needsSandbox) await requireSandbox(workshop);
      },
      readDiff,
    });
  });
  await server.register(page => pageRoutes(page as unknown as Server));
  return {
    listen: async () => {
      try {
        return await server.listen({ host: config.host, port: config.port });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
          throw new Problem(
            'conflict',
            'port_in_use',
            `Port ${config.port} on ${config.host} is in use. Set PORT to another one, or stop what uses it.`,
            { cause: error },
          );
        }
        throw new Problem(
          'unavailable',
          'address_unusable',
          `Cannot listen on ${config.host}:${config.port}: ${messageOf(error)}.`,
          { cause: error },
        );
      }
    },
    close: async () => {
      signIn[Symbol.dispose]();
      await tail[Symbol.asyncDispose]();
      await server.close();
      await limits[Symbol.asyncDispose]();
    },
  };
}

/** Whom a request is counted for. */
function countedAs({ principal }: FastifyRequest): Counted | null {
  if (!principal) return null;
  const { actor, apiKeyId } = principal;
  return {
    user: `${actor.organizationId} ${actor.id}`,
    organizationId: actor.organizationId,
    apiKeyId,
    isAgent: actor.id.startsWith('agent:'),
  };
}

/** Addresses that the page has screens for. */
export const screens: readonly string[] = [
  '/',
  '/sign-in',
  '/set-password',
  '/invitation',
  '/account',
  '/tasks',
  '/tasks/*',
  '/approvals',
  '/approvals/*',
  '/agents',
  '/agents/*',
  '/audit',
  '/access',
  '/system',
  '/system/*',
];

/** The page: hashed files for ever, and its start page for every address that it has screens for. */
async function pageRoutes(server: Server): Promise<void> {
  const html = await readFile(join(pageDirectory, 'index.html'), 'utf8').catch(() => null);
  if (html === null) return;
  const makePage = noncedPage(html);
  server.addHook('onRoute', route => {
    route.config = { ...route.config, public: true, limit: 'none' };
    route.schema = { hide: true };
  });
  await server.register(fastifyStatic, {
    root: pageDirectory,
    wildcard: false,
    index: false,
    setHeaders: (reply, path) =>
      void reply.header(
        'cache-control',
        path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      ),
    prefix: '/',
  });
  for (const path of screens) {
    server.get(path, (_request, reply) => {
      const page = makePage();
      return reply
        .header('content-security-policy', pagePolicy(page.nonce))
        .header('cache-control', 'no-store')
        .type('text/html; charset=utf-8')
        .send(page.html);
    });
  }
}

/** Of several who ask at the same moment one looks, and all hear the answer: probes cost little however many there are. */
function sharing<T>(look: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | null = null;
  return () => {
    underWay ??= look().finally(() => {
      underWay = null;
    });
    return underWay;
  };
}

/** What Guildhall depends on, and how to mend what does not work. */
export async function components(app: App, clock: Clock): Promise<Component[]> {
  const found: Component[] = [await checkDatabase(app)];
  const databaseWorks = found[0]?.state === 'ok';
  if (databaseWorks) found.push(await checkWorkers(app, clock), await checkAgents(app));
  found.push(await checkSandbox(app), checkModel(app), await checkPage());
  return found;
}

/** Whoever asks whether we are ready gives up after a few seconds: a busy database has to be told in that time. */
const databaseLimitMs = 2_000;

async function checkDatabase(app: App): Promise<Component> {
  const base = { name: 'database', required: true };
  try {
    const found = await Promise.race([
      lookAtDatabase(app),
      setTimeout(databaseLimitMs, null, { ref: false }),
    ]);
    if (!found) throw new Error(`no answer within ${databaseLimitMs} ms`);
    if (!found.migrated)
      return { ...base, state: 'failed', summary: 'Migrations are missing.', fix: './guildhall migrate' };
    const kind = app.config.databaseUrl ? 'external' : 'embedded';
    return { ...base, state: 'ok', summary: `PostgreSQL ${found.version}, ${kind}`, fix: null };
  } catch (error) {
    app.log.warn({ reason: messageOf(error) }, 'database check failed');
    return {
      ...base,
      state: 'failed',
      summary: 'The database does not answer.',
      fix: app.config.databaseUrl ? 'check DATABASE_URL and the server behind it' : 'restart Guildhall',
    };
  }
}

async function lookAtDatabase(app: App): Promise<{ version: string; migrated: boolean }> {
  const { rows } = await sql<{
    version: string;
  }>`select current_setting('server_version') as version`.execute(app.db);
  return { version: rows[0]?.version ?? 'unknown', migrated: await isMigrated(app.db) };
}

async function checkWorkers(app: App, clock: Clock): Promise<Component> {
  const since = new Date(clock.now() - app.config.worker.leaseMs);
  const row = await app.db
    .selectFrom('workers')
    .where('state', '=', 'active')
    .where('heartbeat_at', '>', since)
    .select(eb => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  const alive = Number(row.count);
  return alive > 0
    ? { name: 'workers', state: 'ok', required: false, summary: `${alive} alive`, fix: null }
    : {
        name: 'workers',
        state: 'failed',
        required: false,
        summary: 'No worker is alive: tasks wait.',
        fix: 'node src/main.ts worker',
      };
}

/** Every agent needs the definition that is in force for it, and every tool in that must be one that there is. */
async function checkAgents(app: App): Promise<Component> {
  const base = { name: 'agents', required: true };
  const rows = await app.db
    .selectFrom('agents as a')
    .leftJoin('agent_definitions as d', join =>
      join.onRef('d.agent_id', '=', 'a.id').onRef('d.version', '=', 'a.version'),
    )
    .select(['a.name', 'd.tools'])
    .execute();
  const unfit = rows
    .filter(row => !row.tools?.every(tool => Object.hasOwn(toolArguments, tool)))
    .map(row => row.name);
  if (rows.length > 0 && unfit.length === 0)
    return { ...base, state: 'ok', summary: `${rows.length} registered`, fix: null };
  return {
    ...base,
    state: 'failed',
    summary:
      rows.length === 0
        ? 'No agent is registered.'
        : `Without a definition, or with tools that do not exist: ${unfit.slice(0, 10).join(', ')}.`,
    fix:
      rows.length === 0 ? 'restart Guildhall' : 'restore the agents from a backup, or give them a definition',
  };
}

async function checkSandbox(app: App): Promise<Component> {
  const probe = await app.workshop.probe();
  return {
    name: 'sandbox',
    required: false,
    state: probe.usable ? 'ok' : 'failed',
    summary: probe.summary,
    fix: probe.fix,
  };
}

function checkModel(app: App): Component {
  const base = { name: 'model', required: false };
  try {
    resolveModel(app.models, 'default');
    return { ...base, state: 'ok', summary: app.models.defaultModel, fix: null };
  } catch (error) {
    return {
      ...base,
      state: 'failed',
      summary: messageOf(error),
      fix: 'set the variable that it names and start again',
    };
  }
}

/** Without their store, limits are no longer shared and nobody can sign in. */
function checkLimits({ limiter, store }: Limits): Component {
  const base = { name: 'limits', required: false };
  const where = store === 'redis' ? 'Redis' : 'PostgreSQL';
  if (limiter.answered) return { ...base, state: 'ok', summary: `counted in ${where}`, fix: null };
  const fix = store === 'redis' ? 'check REDIS_URL and the server behind it' : 'see the component database';
  return { ...base, state: 'failed', summary: `${where} does not answer: signing in is closed.`, fix };
}

/** Providers that do not answer keep nobody else from signing in, but must not be missed. */
async function checkSignIn(signIn: SignIn): Promise<Component[]> {
  const providers = await signIn.providers();
  if (providers.length === 0) return [];
  const silent = providers.filter(p => p.fault !== null);
  return [
    {
      name: 'sign-in',
      required: false,
      state: silent.length === 0 ? 'ok' : 'failed',
      summary:
        silent.length === 0
          ? `providers: ${providers.map(p => p.id).join(', ')}`
          : silent.map(p => `${p.id}: ${p.fault}`).join('; '),
      fix:
        silent.length === 0
          ? null
          : 'check the provider and GUILDHALL_SIGN_IN_PROVIDERS_FILE; it is asked again',
    },
  ];
}

async function checkPage(): Promise<Component> {
  const built = await stat(join(pageDirectory, 'index.html')).then(
    () => true,
    () => false,
  );
  return {
    name: 'page',
    required: false,
    state: built ? 'ok' : 'failed',
    summary: built ? 'built' : 'The page is not built.',
    fix: built ? null : 'npm run build:page',
  };
}
