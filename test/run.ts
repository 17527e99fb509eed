/**
 * The whole suite, as `./guildhall test` runs it: types, lint, then every *.test.ts, the quick ones first and two at
 * a time, the heavy ones (in test/heavy, or named *.heavy.test.ts) last and one at a time.
 *
 *   ./guildhall test [--no-install] [--only <words of a test's title>] [<part of a file's path> …]
 *   ./guildhall test --check        types, lint and shell scripts only
 *
 * The last line is always `N passed, N failed` or `N passed, N failed, N skipped`. The exit code is 1 when anything
 * failed and when nothing ran.
 */
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Limits, type Outcome, runFile } from './runner/file.ts';
import { installOptional } from './runner/setup.ts';
import { runStep, steps } from './runner/steps.ts';

const root = join(import.meta.dirname, '..');
const folders = ['src', 'cli', 'sdk', 'test', 'web'];
const quick: Limits = { testMs: 60_000, fileMs: 240_000 };
const heavy: Limits = { testMs: 300_000, fileMs: 900_000 };
const concurrency = 2;

/** Settings of the person who runs the tests must not reach them: no keys, no databases, no ports. */
const foreign =
  /^(?:GUILDHALL_.*|(?:ANTHROPIC|OPENAI)_.*|DATABASE_(?:REPLICA_)?URL|REDIS_URL|S3_.*|OTEL_.*|PORT|HOST)(?:_FILE)?$/;

const say = (line: string) => process.stdout.write(`${line}\n`);

function readArguments(): { patterns: string[]; only: string | undefined; check: boolean; install: boolean } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        check: { type: 'boolean', default: false },
        'no-install': { type: 'boolean', default: false },
      },
    });
    const { only, check } = values;
    return { patterns: positionals, only, check, install: !values['no-install'] && !check };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(2);
  }
}

function findFiles(patterns: string[]): { quick: string[]; heavy: string[] } {
  const exclude = (path: string) => /(?:^|\/)(?:node_modules|dist)$/.test(path);
  const all = folders.flatMap(folder => globSync(`${folder}/**/*.test.ts`, { cwd: root, exclude })).sort();
  const chosen = all.filter(
    file => patterns.length === 0 || patterns.some(pattern => file.includes(pattern)),
  );
  const isHeavy = (file: string) => file.startsWith('test/heavy/') || file.endsWith('.heavy.test.ts');
  const paths = (files: string[]) => files.map(file => join(root, file));
  return { quick: paths(chosen.filter(file => !isHeavy(file))), heavy: paths(chosen.filter(isHeavy)) };
}

function show(outcome: Outcome): void {
  const { name, passed, failures, skips, notes, durationMs } = outcome;
  const counts = [`${passed} passed`];
  if (failures.length > 0) counts.push(`${failures.length} failed`);
  if (skips.length > 0) counts.push(`${skips.length} skipped`);
  const mark = failures.length > 0 ? '✗' : passed === 0 ? '-' : '✓';
  say(`${mark} ${name}  ${counts.join(', ')}  ${(durationMs / 1000).toFixed(1)} s`);
  for (const note of notes) say(`    ${note}`);
  for (const { title } of failures) say(`    ✗ ${title}`);
}

async function inParallel<T>(items: T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  const worker = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/**
 * One database server for all files; each clones its own database from the template there. It is loaded late, so
 * that code which does not load makes its tests fail rather than the runner.
 */
async function shareDatabase(): Promise<{ stop(): Promise<void> } | undefined> {
  try {
    const { startTestServer } = await import('./harness/database.ts');
    const server = await startTestServer();
    process.env.TEST_POSTGRES = JSON.stringify({
      owner: server.owner,
      app: server.app,
      system: server.system,
    });
    return server;
  } catch (error) {
    say(`- no shared database, each file starts its own: ${(error as Error).message}`);
    return undefined;
  }
}

const { patterns, only, check, install } = readArguments();
for (const name of Object.keys(process.env)) if (foreign.test(name)) delete process.env[name];

const interrupt = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort());
const outcomes: Outcome[] = [];
const done = (outcome: Outcome) => {
  if (interrupt.signal.aborted) return;
  const { passed, failures, skips } = outcome;
  if (passed + failures.length + skips.length === 0) return; // --only chose none of its tests.
  outcomes.push(outcome);
  show(outcome);
};

if (install && patterns.length === 0 && only === undefined) installOptional(say);
for (const step of steps(root)) {
  const wanted = only === undefined && (patterns.length === 0 || patterns.includes(step.name));
  if (wanted && !interrupt.signal.aborted) done(await runStep(root, step));
}
const files = check ? { quick: [], heavy: [] } : findFiles(patterns);
const work = (limits: Limits) => async (file: string) => {
  if (!interrupt.signal.aborted) done(await runFile(root, file, limits, only, interrupt.signal));
};
const server = files.quick.length + files.heavy.length > 0 ? await shareDatabase() : undefined;
await inParallel(files.quick, concurrency, work(quick));
await inParallel(files.heavy, 1, work(heavy));
await server?.stop();

const failures = outcomes.flatMap(({ name, failures }) => failures.map(failure => ({ name, ...failure })));
const skips = outcomes.flatMap(({ name, skips }) => skips.map(skip => ({ name, ...skip })));
const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
if (skips.length > 0) say('\nSkipped:');
for (const { name, title, reason } of skips) say(`  - ${name}: ${title} (${reason})`);
if (failures.length > 0) say('\nFailed:');
for (const { name, title, text } of failures) say(`\n✗ ${name}: ${title}\n${text.replaceAll(/^/gm, '    ')}`);
if (interrupt.signal.aborted) say('\nInterrupted: not everything ran.');
say('');
say(`${passed} passed, ${failures.length} failed${skips.length > 0 ? `, ${skips.length} skipped` : ''}`);
process.exitCode = interrupt.signal.aborted ? 130 : failures.length > 0 || passed === 0 ? 1 : 0;
