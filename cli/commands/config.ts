/**
 * `config …` and `doctor --env`: settings looked at without a server. Values of secrets are never printed; their
 * fingerprints tell them apart.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { compareSettings, type Difference, showSettings } from '../../src/config/compare.ts';
import { fingerprintOf } from '../../src/config/fingerprint.ts';
import type { Reading } from '../../src/config/read.ts';
import { findingsFor, readSettings, readSettingsFile } from '../../src/config/settings-file.ts';
import { settingsTemplate } from '../../src/config/template.ts';
import { group, several } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import { exitCodes, usage } from '../failures.ts';

export const environments = ['development', 'staging', 'production'];
const envFile = [
  '--env-file <path>',
  'settings to look at; default: the environment of this process',
] as const;

export function configCommands(program: Command, does: Does): void {
  const config = group(program, 'config', 'settings: show, compare, make; no secret is ever printed');
  config
    .command('show')
    .description('show the settings in force, secrets as fingerprints')
    .option(...envFile)
    .action(does(async (call, options: { envFile?: string }) => show(call, options.envFile)));
  config
    .command('diff')
    .summary('compare two environments by setting')
    .description(
      'Compare two settings files by setting, without values. Exit 1 when a setting stands in one only, when one that is no secret differs, or when both use the same secret.',
    )
    .argument('<a.env>')
    .argument('<b.env>')
    .option('--may-differ <setting>', 'a setting that is expected to differ; may be repeated', several)
    .action(does(async (call, options: { mayDiffer?: string[] }) => diff(call, options.mayDiffer ?? [])));
  config
    .command('init')
    .description('write the settings file of a new environment, with secrets made at random')
    .addOption(
      new Option('--env <environment>', 'what it is for')
        .choices(environments.slice(1))
        .default('production'),
    )
    .option('--out <path>', 'the file to write; default: .env.<environment>')
    .option('--secrets <directory>', 'put each secret into a file of its own in this directory')
    .action(does(init));
  config
    .command('fingerprints')
    .summary("print fingerprints of this environment's secrets")
    .description(
      'Print a line for each secret: environment, setting, fingerprint. Give the file of one environment to the others as GUILDHALL_OTHER_FINGERPRINTS: they refuse to start with a secret of it.',
    )
    .option(...envFile)
    .action(does(async (call, options: { envFile?: string }) => printFingerprints(call, options.envFile)));
}

/** The stores are loaded only here: the other commands start faster without them. */
async function readingOf(call: Call, path: string | undefined): Promise<Reading> {
  const { openSecretReader } = await import('../../src/stores.ts');
  const env = path === undefined ? call.io.env : readSettingsFile(resolve(call.io.cwd, path));
  return readSettings(env, openSecretReader);
}

/** `doctor --env`: what a server of this environment would say of the settings at its start. */
export async function checkSettings(
  call: Call,
  environment: string,
  path: string | undefined,
): Promise<number> {
  const file = path === undefined ? null : resolve(call.io.cwd, path);
  const findings = findingsFor(environment, await readingOf(call, path), file);
  const refused = findings.filter(f => f.level === 'refuse').length;
  call.print({ environment, ready: refused === 0, findings }, () => {
    const lines = findings.map(f => {
      const mark =
        f.level === 'refuse' ? call.io.styleOut('red', 'FAILED ') : call.io.styleOut('yellow', 'warning');
      return `${mark}  ${f.setting} ${f.text}`;
    });
    const verdict =
      refused === 0
        ? `These settings are fit for ${environment}.`
        : `A ${environment} server would not start: ${refused} to mend.`;
    return [...lines, verdict].join('\n');
  });
  return refused === 0 ? exitCodes.ok : exitCodes.failed;
}

async function show(call: Call, path: string | undefined): Promise<void> {
  const shown = showSettings(await readingOf(call, path), fingerprintOf);
  call.print({ settings: shown }, () => {
    const width = Math.max(...shown.map(s => s.setting.length));
    return shown
      .map(s => {
        const secrets = s.fingerprints.map(f => `secret ${f}`);
        const value = [s.value, ...secrets].filter(part => part !== null).join(' ');
        return `${s.setting.padEnd(width)}  ${value || '–'}  (${s.source})`;
      })
      .join('\n');
  });
}

const sentences: Record<Difference['state'], string> = {
  same: 'same',
  missing: 'only in the first',
  extra: 'only in the second',
  differs: 'differs',
  same_secret: 'the same secret in both: each environment needs its own',
};

async function diff(call: Call, mayDiffer: string[]): Promise<number> {
  const [a = '', b = ''] = call.args;
  const differences = compareSettings(await readingOf(call, a), await readingOf(call, b), mayDiffer);
  const drift = differences.some(d => d.drift);
  call.print({ drift, settings: differences }, () => {
    const seen = differences.filter(d => d.state !== 'same');
    if (seen.length === 0) return 'Both set the same.';
    const width = Math.max(...seen.map(d => d.setting.length));
    return seen
      .map(d => `${d.drift ? '!' : ' '} ${d.setting.padEnd(width)}  ${sentences[d.state]}`)
      .join('\n');
  });
  return drift ? exitCodes.failed : exitCodes.ok;
}

async function init(call: Call, options: { env: string; out?: string; secrets?: string }): Promise<void> {
  const out = resolve(call.io.cwd, options.out ?? `.env.${options.env}`);
  const directory = options.secrets === undefined ? null : resolve(call.io.cwd, options.secrets);
  const { text, secrets } = settingsTemplate(options.env, directory);
  const files = Object.entries(secrets).map(
    ([name, value]) => [join(directory ?? '', name), `${value}\n`] as const,
  );
  if (directory) await mkdir(directory, { recursive: true, mode: 0o700 });
  await mkdir(dirname(out), { recursive: true });
  for (const [path, content] of [...files, [out, text] as const]) await writeNew(path, content);
  const written = [out, ...files.map(([path]) => path)];
  call.print({ environment: options.env, files: written }, () => {
    const shown = written.map(path => `  ${relative(call.io.cwd, path) || path}`).join('\n');
    return `Written, readable by you only:\n${shown}\nFill in what stands in <>, then: ./guildhall doctor --env ${options.env} --env-file ${relative(call.io.cwd, out)}`;
  });
}

/** Never over another file: it may hold the only copy of a key. */
async function writeNew(path: string, content: string): Promise<void> {
  try {
    await writeFile(path, content, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw usage(
      'file_unwritable',
      code === 'EEXIST'
        ? `${path} exists: move it away, or name another file.`
        : `${path} cannot be written (${code}).`,
    );
  }
}

async function printFingerprints(call: Call, path: string | undefined): Promise<void> {
  const reading = await readingOf(call, path);
  const environment = reading.given.GUILDHALL_ENV ?? 'development';
  const fingerprints = showSettings(reading, fingerprintOf).flatMap(({ setting, fingerprints }) =>
    fingerprints.map(fingerprint => ({ environment, setting, fingerprint })),
  );
  call.print({ fingerprints }, () =>
    fingerprints.map(f => `${f.environment} ${f.setting} ${f.fingerprint}`).join('\n'),
  );
}
