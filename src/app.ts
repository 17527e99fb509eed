/**
 * The composition root: configuration → every long-lived object, and their end in reverse order. What a process
 * does is its roles; `all` has the three in one.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { createApi } from './api.ts';
import { type Clock, systemClock } from './base/time.ts';
import type { Config, SecretSources } from './config.ts';
import { type Connections, openDatabase, prepareDatabase } from './database.ts';
import { createAnthropicDriver } from './drivers/models/anthropic.ts';
import { createOpenAiDriver } from './drivers/models/openai.ts';
import { createOpenAiCompatibleDriver } from './drivers/models/openai-compatible.ts';
import { createScriptedDriver } from './drivers/models/scripted/driver.ts';
import { createBwrapDriver } from './drivers/sandboxes/bwrap.ts';
import { createOffDriver } from './drivers/sandboxes/off.ts';
import { createTeam, findTeam, readTeamTemplates } from './features/agents/agents.ts';
import { AuditSweeper } from './features/audit/sweep.ts';
import { ensurePublishedPrices } from './features/budgets/prices.ts';
import { reviewTask } from './features/checks/review.ts';
import { ensureInstallation, type Installation } from './features/identity/installation.ts';
import type { ModelCatalog, ProviderKeys } from './features/models/catalog.ts';
import { defaultModelTimeouts, type ModelDriver } from './features/models/port.ts';
import { type DeploymentKeys, openProviderKeys } from './features/models/provider-keys.ts';
import { newRunCaches, type RunDeps } from './features/runs/context.ts';
import { openJournal, writesAtOnce } from './features/runs/journal-batch.ts';
import { Sweeper } from './features/runs/sweep.ts';
import { queuePool, Worker } from './features/runs/worker.ts';
import { defaultSandboxPolicy, type SandboxDriver, type SandboxProbe } from './features/sandboxes/port.ts';
import type { Workshop } from './features/sandboxes/workshop.ts';
import type { MasterKeys } from './features/secrets/master-rotation.ts';
import { type Db, openDb, openPool, type PoolSettings, type Tenants, transact } from './platform/db/db.ts';
import { openTenants, tenantsPool } from './platform/db/tenants.ts';
import { loadKeyRing, openSealer } from './platform/secrets/key-ring.ts';
import { type Redactor, redactor } from './platform/secrets/redactor.ts';
import type { Sealer } from './platform/secrets/sealer.ts';

export type Role = 'api' | 'worker' | 'sweeper';
export const version: string = JSON.parse(
  readFileSync(join(import.meta.dirname, '../package.json'), 'utf8'),
).version;

export interface App extends AsyncDisposable {
  config: Config;
  log: Logger;
  /** The system's connections: every organization's rows. */
  db: Db;
  /** Connections for the requests of people and programs: rows only within one organization at a time. */
  tenants: Tenants;
  /** Seals what is secret in the database, and derives keys for one purpose. */
  sealer: Sealer;
  masterKeys: MasterKeys;
  /** Sets new passwords for the embedded database; null when the database is somebody else's. */
  rotateDatabasePasswords: (() => Promise<void>) | null;
  /** Keeps what this process knows to be secret out of texts. */
  redactor: Redactor;
  workshop: Workshop;
  models: ModelCatalog;
  installation: Installation;
  /** Where the API listens; null without that role. */
  url: string | null;
  worker: Worker | null;
  /** Stops taking work, lets steps end, gives runs back, closes everything. */
  close(): Promise<void>;
}

export interface AppOptions {
  config: Config;
  roles: readonly Role[];
  log: Logger;
  clock?: Clock;
  /** Where the secrets among the settings can be read again. */
  secrets?: SecretSources;
  /** Progress for people, one short sentence each. */
  tell?: (sentence: string) => void;
  /** Use these connections rather than DATABASE_URL or the embedded server: for tests. */
  database?: Connections;
  /** Drivers for tests of other drivers; default: by the configuration. */
  modelDrivers?: ModelDriver[];
  sandboxDriver?: SandboxDriver;
}

const drainMs = 10_000;
const sweepIntervalMs = 1_000;

export async function createApp(options: AppOptions): Promise<App> {
  const { config, roles, log } = options;
  const clock = options.clock ?? systemClock;
  for (const secret of config.secrets) redactor.learn(secret);
  const disposers: (() => Promise<unknown>)[] = [];
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      for (const dispose of disposers.reverse()) {
        await dispose().catch(error => log.error({ err: error }, 'could not close'));
      }
    })();
    return closing;
  };
  try {
    const database = await openDatabase(options, redactor, disposers);
    // A process that is frozen inside a transaction would keep its locks from those who take over.
    const idleLimit = { idle_in_transaction_session_timeout: config.worker.leaseMs };
    const open = (settings: PoolSettings) => {
      const opened = openPool({ ...idleLimit, ...settings }, error =>
        log.warn({ reason: error.message }, 'a database connection was lost'),
      );
      disposers.push(() => opened.end());
      return opened;
    };
    const pool = open({ ...database.system, max: roles.includes('worker') ? 20 : 10 });
    const db = openDb(pool);
    const journal = openJournal(openDb(open({ ...database.system, max: writesAtOnce })));
    const appPool = open({ ...tenantsPool, ...database.app });
    const tenants = openTenants(appPool);
    await prepareDatabase(log, database, { system: db, app: openDb(appPool) });
    const now = () => new Date(clock.now());
    const keyFile = config.databaseUrl ? null : join(config.dataDir, 'master-key');
    const ring = await loadKeyRing(db, { ...config.masterKey, file: keyFile });
    const sealer = await openSealer(db, ring, now());
    const installation = await transact(db, tx => prepareInstallation(tx, now()));
    const models = createModels(
      options,
      disposers,
      openProviderKeys(db, sealer, clock, deploymentKeys(options)),
    );
    const workshop = await createWorkshop(options);
    const runDeps: RunDeps = {
      db,
      journal,
      clock,
      random: Math.random,
      log,
      models,
      workshop,
      caches: newRunCaches(clock),
    };
    const app: App = {
      config,
      log,
      db,
      tenants,
      sealer,
      masterKeys: { ring, file: config.masterKey.current === null ? keyFile : null },
      rotateDatabasePasswords: database.rotatePasswords ?? null,
      redactor,
      workshop,
      models,
      installation,
      url: null,
      worker: null,
      close,
      [Symbol.asyncDispose]: close,
    };
    if (roles.includes('worker')) {
      if ((await workshop.probe()).usable) await workshop.driver.reconcile(new Set());
      const worker = new Worker(runDeps, {
        pool: open({ ...database.system, ...queuePool }),
        concurrency: config.worker.concurrency,
        leaseMs: config.worker.leaseMs,
        drainMs,
        handlers: {
          'task.review': ({ task_id }, signal) => reviewTask({ db, clock, log, workshop }, task_id, signal),
        },
      });
      await worker.start();
      disposers.push(() => worker.drain());
      app.worker = worker;
    }
    if (roles.includes('sweeper')) {
      const sweeper = new Sweeper({ db, clock, log, leaseMs: config.worker.leaseMs }, sweepIntervalMs);
      sweeper.start();
      disposers.push(() => sweeper[Symbol.asyncDispose]());
      const { sealIntervalMs, keyMaxAgeMs, retention } = config.audit;
      const auditSweeper = new AuditSweeper(
        { db, clock, log, sealer, keyMaxAgeMs, retention },
        sealIntervalMs,
      );
      auditSweeper.start();
      disposers.push(() => auditSweeper[Symbol.asyncDispose]());
    }
    if (roles.includes('api')) {
      const api = await createApi(app, clock, version);
      disposers.push(() => api.close());
      app.url = await api.listen();
    }
    return app;
  } catch (error) {
    await close();
    throw error;
  }
}

async function prepareInstallation(
  tx: Parameters<typeof ensureInstallation>[0],
  now: Date,
): Promise<Installation> {
  const installation = await ensureInstallation(tx, now);
  await ensurePublishedPrices(tx);
  const actor = { id: 'system', organizationId: installation.organizationId, requestId: 'installation' };
  const template = (await readTeamTemplates()).get('software-team');
  if (template && !(await findTeam(tx, actor, template.name)))
    await createTeam(tx, actor, now, template.name, template);
  return installation;
}

function createModels(
  options: AppOptions,
  disposers: (() => Promise<unknown>)[],
  keys: ProviderKeys,
): ModelCatalog {
  const { config } = options;
  const drivers = options.modelDrivers ?? configuredDrivers(config);
  for (const driver of drivers) disposers.push(() => driver.close());
  return {
    drivers: new Map(drivers.map(driver => [driver.provider, driver])),
    defaultModel: config.defaultModel,
    keyless: options.modelDrivers ? new Set() : keylessProviders(config),
    keys,
    timeouts: { ...defaultModelTimeouts, total: config.models.totalTimeoutMs },
  };
}

function configuredDrivers(config: Config): ModelDriver[] {
  const { anthropic, openai, compatible } = config.models;
  const drivers: ModelDriver[] = [
    createScriptedDriver(),
    createAnthropicDriver({ apiKey: anthropic.apiKey, baseUrl: anthropic.baseUrl ?? undefined }),
    createOpenAiDriver({ apiKey: compatible.baseUrl ? null : openai.apiKey }),
  ];
  if (compatible.baseUrl)
    drivers.push(createOpenAiCompatibleDriver({ baseUrl: compatible.baseUrl, apiKey: compatible.apiKey }));
  return drivers;
}

/** Keys of the deployment that come from a file or a store. OPENAI_API_KEY is the endpoint's when there is one. */
function deploymentKeys({ config, secrets }: AppOptions): DeploymentKeys | undefined {
  if (!secrets) return undefined;
  const openai = config.models.compatible.baseUrl ? 'openai-compatible' : 'openai';
  const settings = [
    ['anthropic', 'ANTHROPIC_API_KEY'],
    [openai, 'OPENAI_API_KEY'],
  ] as const;
  const sources = settings.flatMap(([provider, name]) => {
    const source = secrets.sources.get(name);
    return source ? [[provider, source] as const] : [];
  });
  return { sources: new Map(sources), reader: secrets.reader };
}

/** Providers that only an organization with a key of its own can call. */
function keylessProviders(config: Config): ReadonlySet<string> {
  const { anthropic, openai, compatible } = config.models;
  const keyless = [
    ...(anthropic.apiKey ? [] : ['anthropic']),
    ...(openai.apiKey && !compatible.baseUrl ? [] : ['openai']),
  ];
  return new Set(keyless);
}

const probeLifeMs = { usable: 600_000, unusable: 15_000 };

async function createWorkshop(options: AppOptions): Promise<Workshop> {
  const { config, log } = options;
  const driver =
    options.sandboxDriver ?? (config.sandbox.driver === 'off' ? createOffDriver() : await bwrap(config, log));
  let known: { probe: SandboxProbe; at: number } | null = null;
  let probing: Promise<SandboxProbe> | null = null;
  const probe = async (): Promise<SandboxProbe> => {
    const life = known?.probe.usable ? probeLifeMs.usable : probeLifeMs.unusable;
    if (known && Date.now() - known.at <= life) return known.probe;
    // Many may ask at once: one look serves them all.
    probing ??= driver
      .probe()
      .then(found => {
        known = { probe: found, at: Date.now() };
        return found;
      })
      .finally(() => {
        probing = null;
      });
    return probing;
  };
  return {
    dataDir: config.dataDir,
    driver,
    policy: defaultSandboxPolicy,
    hosts: config.repositories.hosts,
    allowLocal: config.repositories.allowLocal,
    probe,
  };
}

async function bwrap(config: Config, log: Logger): Promise<SandboxDriver> {
  return createBwrapDriver({
    stateDir: join(config.dataDir, 'sandboxes'),
    uidBase: config.sandbox.uidBase,
    toolchainPaths: config.sandbox.toolchainPaths,
    nodeBinary: process.execPath,
    log: facts => log.debug(facts, 'sandbox'),
  });
}

export const rootDirectory: string = dirname(import.meta.dirname);
