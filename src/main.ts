/**
 * The program: `all` (the default) serves the API, works and sweeps in one process; `api`, `worker` and `sweeper`
 * do one of them; `migrate` brings the database up to date; `doctor` says what works and how to mend what does not.
 */
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Logger } from 'pino';
import { components } from './api.ts';
import { type App, createApp, type Role, version } from './app.ts';
import { messageOf, Problem } from './base/problem.ts';
import { systemClock } from './base/time.ts';
import { type Config, readWholeConfig, type SecretSources } from './config.ts';
import { migrateDatabase } from './database.ts';
import type { Component } from './features/health/routes.ts';
import { createApiKey } from './features/identity/api-keys.ts';
import { findKeyOwner } from './features/identity/find-principal.ts';
import { scopes } from './features/identity/permissions.ts';
import { createSignInLink } from './features/identity/sign-in-links.ts';
import { buildPage } from './page.ts';
import { transact } from './platform/db/db.ts';
import { startEmbeddedPostgres } from './platform/embedded/postgres.ts';
import { redactor } from './platform/secrets/redactor.ts';
import { createLog } from './platform/telemetry/log.ts';
import { openSecretReader } from './stores.ts';

const commands = ['all', 'api', 'worker', 'sweeper', 'migrate', 'doctor'] as const;
type Command = (typeof commands)[number];

/** What Node prints of an error that nobody caught is not redacted: a crash goes through the same door as the rest. */
function crash(error: unknown): never {
  process.exit(explain(error));
}

/** @returns the exit code: 0 ok, 1 failed, 2 usage, 5 unavailable. */
export async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    strict: false,
    options: { json: { type: 'boolean' } },
  });
  const command = (positionals[0] ?? 'all') as Command;
  if (!commands.includes(command)) {
    process.stderr.write(`guildhall: there is no command ${command}; there are ${commands.join(', ')}.\n`);
    return 2;
  }
  try {
    const checked = command !== 'doctor';
    const { config, warnings, secrets } = await readWholeConfig(openSecretReader, checked);
    await using _reader = secrets.reader;
    for (const secret of config.secrets) redactor.learn(secret);
    if (command === 'doctor') return await doctor(config, secrets, values.json === true);
    for (const { setting, text } of warnings) tell(`guildhall: warning: ${setting} ${text}`);
    const json = values.json === true;
    if (command === 'migrate') return await runMigrations(config, json);
    return await serve(config, secrets, command === 'all' ? ['api', 'worker', 'sweeper'] : [command], json);
  } catch (error) {
    return explain(error);
  }
}

function explain(error: unknown): number {
  if (!(error instanceof Problem) || error.kind === 'bug') {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`guildhall: ${redactor.redact(text)}\n`);
    return 1;
  }
  const faults = error.detail?.faults;
  const text = Array.isArray(faults)
    ? `The configuration cannot be used:\n${faults.map(f => `  - ${f}`).join('\n')}`
    : error.message;
  process.stderr.write(`guildhall: ${redactor.redact(text)}\n`);
  return error.kind === 'unavailable' ? 5 : 1;
}

const tell = (sentence: string): void => void process.stderr.write(`${sentence}\n`);

async function serve(config: Config, secrets: SecretSources, roles: Role[], json: boolean): Promise<number> {
  await makeDataDirectory(config);
  const people = process.stderr.isTTY === true;
  const log = createLog({
    level: config.logLevel,
    service: roles.length > 1 ? 'all' : (roles[0] as string),
    directory: people ? join(config.dataDir, 'logs') : null,
  });
  const stopped = untilSignal();
  if (roles.includes('api')) await buildPage(tell);
  const app = await createApp({ config, secrets, roles, log, tell });
  const stop = () => removeServerFile(config).then(() => app.close());
  try {
    if (app.url) await announce(app, people, json);
    log.info({ roles, url: app.url }, 'ready');
    const signal = await stopped;
    log.info({ signal }, 'stopping');
    if (people)
      tell(`\nStopping (${signal}): steps under way may end, unfinished work goes on at the next start.`);
    return 0;
  } finally {
    await stop();
  }
}

/** Resolves at the first signal to stop; a second one ends the process at once. */
function untilSignal(): Promise<string> {
  return new Promise(resolve => {
    let count = 0;
    const handle = (signal: NodeJS.Signals) => {
      count += 1;
      if (count > 1) process.exit(130);
      resolve(signal);
    };
    process.on('SIGTERM', handle);
    process.on('SIGINT', handle);
  });
}

async function makeDataDirectory(config: Config): Promise<void> {
  try {
    await makeDirectory(config.dataDir);
  } catch (error) {
    throw new Problem(
      'unavailable',
      'data_directory_unusable',
      `The data directory ${config.dataDir} cannot be made: ${messageOf(error)}. Choose another with GUILDHALL_DATA.`,
    );
  }
}

/** One level at a time: Node's recursive mkdir never comes back from places such as /proc. */
async function makeDirectory(path: string): Promise<void> {
  if (
    await stat(path).then(
      info => info.isDirectory(),
      () => false,
    )
  )
    return;
  await makeDirectory(dirname(path));
  await mkdir(path, { mode: 0o711 }).catch(error => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
}

const serverFile = (config: Config): string => join(config.dataDir, 'server.json');

/** Tells people where the page is, and programs of this user (the CLI) how to reach the API. */
async function announce(app: App, people: boolean, json: boolean): Promise<void> {
  const url = shownUrl(app);
  const key = await localKey(app);
  await writeSecret(serverFile(app.config), JSON.stringify({ url: localUrl(app), pid: process.pid, key }));
  const signIn = await signInLink(app, url);
  const failed = (await components(app, systemClock)).filter(c => c.state === 'failed');
  if (json) {
    const facts = { version, url, sign_in: signIn, model: app.models.defaultModel, failed };
    process.stdout.write(`${JSON.stringify(facts)}\n`);
    return;
  }
  process.stdout.write(
    [
      `Guildhall ${version} is ready at ${url}`,
      '',
      signIn
        ? `  Sign in (once, within 30 minutes): ${signIn}`
        : `  Sign in: ${url}/sign-in (the first admin comes from \`guildhall admin bootstrap\`)`,
      `  Model: ${app.models.defaultModel}${app.models.defaultModel === 'scripted/team' ? ' (no key needed; set ANTHROPIC_API_KEY, OPENAI_API_KEY or OPENAI_BASE_URL for a real one)' : ''}`,
      `  Data:  ${app.config.dataDir}`,
      ...(people ? [`  Log:   ${join(app.config.dataDir, 'logs', 'guildhall.log')}`] : []),
      ...failed.flatMap(c => [
        '',
        `  ! ${c.name}: ${c.summary}`,
        ...(c.fix ? [`    To mend it: ${c.fix}`] : []),
      ]),
      '',
    ].join('\n'),
  );
}

/** A link for the owner, where what is printed is read by who started it and not kept in the logs of a deployment. */
async function signInLink(app: App, url: string): Promise<string | null> {
  if (app.config.environment !== 'development') return null;
  const { organizationId, ownerId } = app.installation;
  const actor = { id: 'system', organizationId, requestId: 'start' };
  const token = await transact(app.db, tx => createSignInLink(tx, actor, new Date(), ownerId));
  return `${url}/sign-in#${token}`;
}

/** What people are shown; programs on this host use `localUrl`. */
function shownUrl(app: App): string {
  return app.config.publicUrl?.replace(/\/$/, '') ?? localUrl(app);
}

function localUrl(app: App): string {
  const url = new URL(app.url as string);
  const everywhere = url.hostname === '0.0.0.0' || url.hostname === '[::]';
  return `http://${everywhere ? '127.0.0.1' : url.hostname}:${url.port}`;
}

/** The key that the command line of this user works with: made once, kept in a file that only the user can read. */
async function localKey(app: App): Promise<string> {
  const path = join(app.config.dataDir, 'local-key');
  const now = new Date();
  const kept = await readFile(path, 'utf8').catch(() => null);
  const { organizationId, ownerId } = app.installation;
  const finding = { db: app.db, now, requestId: 'start', installationId: organizationId };
  if (kept && (await findKeyOwner(finding, kept.trim()))) return kept.trim();
  const { key } = await transact(app.db, tx =>
    createApiKey(
      tx,
      { id: 'system', organizationId, requestId: 'start' },
      now,
      { memberId: ownerId },
      { name: 'local command line', scopes: [...scopes], expiresAt: null },
    ),
  );
  await writeSecret(path, key);
  return key;
}

async function writeSecret(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, text, { mode: 0o600 });
  await chmod(temporary, 0o600);
  await rename(temporary, path);
}

async function removeServerFile(config: Config): Promise<void> {
  const text = await readFile(serverFile(config), 'utf8').catch(() => null);
  if (text && JSON.parse(text).pid === process.pid) await rm(serverFile(config), { force: true });
}

async function runMigrations(config: Config, json: boolean): Promise<number> {
  const log = createLog({ level: config.logLevel, service: 'migrate', directory: null });
  let applied: string[];
  if (config.databaseUrl) applied = await migrateDatabase(log, { connectionString: config.databaseUrl });
  else {
    await makeDataDirectory(config);
    await using embedded = await startEmbeddedPostgres({
      dataDir: config.dataDir,
      log: ({ level, msg, ...facts }) => log[level](facts, msg),
    });
    applied = await migrateDatabase(log, { ...embedded.owner });
  }
  if (json) process.stdout.write(`${JSON.stringify({ applied })}\n`);
  else
    process.stdout.write(
      applied.length > 0 ? `Applied ${applied.join(', ')}.\n` : 'The database is up to date.\n',
    );
  return 0;
}

/** Starts everything but the API, looks, and stops again. With a server running the CLI asks that one instead. */
async function doctor(config: Config, secrets: SecretSources, json: boolean): Promise<number> {
  await makeDataDirectory(config);
  const log: Logger = createLog({ level: 'silent', service: 'doctor', directory: null });
  await using app = await createApp({ config, secrets, roles: [], log });
  const found: Component[] = (await components(app, systemClock)).filter(c => c.name !== 'workers');
  const ready = found.every(c => c.state === 'ok' || !c.required);
  if (json) process.stdout.write(`${JSON.stringify({ ready, components: found })}\n`);
  else {
    for (const c of found) {
      process.stdout.write(`${c.state === 'ok' ? 'ok    ' : 'FAILED'}  ${c.name.padEnd(10)} ${c.summary}\n`);
      if (c.fix) process.stdout.write(`${' '.repeat(19)}To mend it: ${c.fix}\n`);
    }
  }
  return found.every(c => c.state === 'ok') ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) {
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  process.exitCode = await main(process.argv.slice(2));
}
