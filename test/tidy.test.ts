/** The house rules, as tests. Lists of exceptions may only shrink. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';
import { test } from 'node:test';
import { features } from '../src/features.ts';

const root = join(import.meta.dirname, '..');
const maxLines = 500;
const generated = ['sdk/api.d.ts'];

const listed = (...args: string[]): string[] =>
  execFileSync('git', ['ls-files', '-z', ...args], { cwd: root, encoding: 'utf8' })
    .split('\0')
    .filter(path => path !== '' && existsSync(join(root, path)));
const tracked = listed('--cached');
const files = listed('--cached', '--others', '--exclude-standard');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const code = files.filter(path => /^(src|cli|sdk|test|web)\/.*\.(ts|tsx|mts|js)$/.test(path));
const isTest = (path: string): boolean => path.startsWith('test/') || /\.test\.tsx?$/.test(path);
/** The code of the server itself. */
const program = code.filter(path => path.startsWith('src/') && !isTest(path));

interface Import {
  from: string;
  /** Path of the imported file, or the specifier when it is not ours. */
  to: string;
  specifier: string;
  typeOnly: boolean;
}

function importsOf(from: string): Import[] {
  const text = read(from);
  const statements = [
    ...text.matchAll(/^(import|export)(\s+type)?\s+(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm),
    ...text.matchAll(/(\bimport)(\s+type)?\(\s*'([^']+)'/g),
  ];
  return statements.map(([, , type, specifier = '']) => ({
    from,
    specifier,
    to: specifier.startsWith('.') ? posix.normalize(posix.join(posix.dirname(from), specifier)) : specifier,
    typeOnly: type !== undefined,
  }));
}

const imports = program.flatMap(importsOf);
const show = (found: Import[]): string[] => found.map(i => `${i.from} → ${i.to}`);

/** base ← platform ← features ← drivers ← the composition ← main. */
function layerOf(path: string): number {
  const layers = [
    /^src\/base\//,
    /^src\/platform\//,
    /^src\/features\//,
    /^src\/drivers\//,
    /^src\/(app|api|database|page|routes)\.ts$/,
  ];
  const layer = layers.findIndex(pattern => pattern.test(path));
  if (layer >= 0) return layer;
  if (/^src\/config(\/|\.ts$)/.test(path)) return 0.5; // Knows base only; options are passed on from here.
  return path === 'src/features.ts' ? 0 : layers.length;
}
const featureOf = (path: string): string | undefined => /^src\/features\/([^/]+)\//.exec(path)?.[1];

test('the reader of imports sees what there is', () => {
  assert.ok(program.length > 100 && imports.length > 400);
  const some = importsOf('src/api.ts').map(i => i.to);
  for (const to of ['src/app.ts', 'src/routes.ts', 'node:path', 'fastify']) {
    assert.ok(to === 'fastify' || some.includes(to), to);
  }
  assert.ok(importsOf('src/api.ts').some(i => i.to === 'src/app.ts' && i.typeOnly));
});

test('dependencies point one way: base ← platform ← features ← drivers ← app ← main', () => {
  const upward = imports.filter(i => i.to.startsWith('src/') && layerOf(i.to) > layerOf(i.from));
  assert.deepEqual(show(upward), []);
  const toConfig = imports.filter(
    i => layerOf(i.to) === 0.5 && layerOf(i.from) !== 0.5 && layerOf(i.from) < 4,
  );
  assert.deepEqual(show(toConfig), [], 'options are passed in, only the composition reads the configuration');
});

test('a feature imports only features before it in src/features.ts, and every feature is listed', () => {
  const order: readonly string[] = features;
  const folders = program.map(featureOf).filter(name => name !== undefined);
  assert.deepEqual(new Set(folders), new Set(order));
  const backward = imports.filter(i => {
    const [from, to] = [featureOf(i.from), featureOf(i.to)];
    return from !== undefined && to !== undefined && order.indexOf(to) > order.indexOf(from);
  });
  assert.deepEqual(show(backward), []);
});

test('a driver knows of features only their port or catalog, and nothing of other seams', () => {
  const ofDrivers = imports.filter(i => i.from.startsWith('src/drivers/'));
  const beyond = ofDrivers.filter(i => featureOf(i.to) && !/\/(port|catalog)\.ts$/.test(i.to));
  assert.deepEqual(show(beyond), []);
  const seamOf = (path: string) => /^src\/drivers\/([^/]+)\//.exec(path)?.[1];
  assert.deepEqual(show(ofDrivers.filter(i => seamOf(i.to) && seamOf(i.to) !== seamOf(i.from))), []);
});

test('the server imports nothing of its satellites or tests', () => {
  assert.deepEqual(show(imports.filter(i => /^(cli|sdk|web|test)\//.test(i.to) || isTest(i.to))), []);
});

test('satellites reach the server over HTTP: of its code they use problems and the configuration', () => {
  const allowed = new Set(['src/base/problem.ts', 'src/config.ts']);
  const exceptions = new Map([
    ['sdk/generate.ts', /^src\/(routes|platform\/http\/server)\.ts$/], // Makes the types.
    ['cli/commands/server.ts', /^src\/main\.ts$/], // Starts it.
    ['cli/commands/config.ts', /^src\/stores\.ts$/], // Reads the secrets that settings refer to.
    ['cli/demo/server-process.ts', /^src\/main\.ts$/],
    ['cli/commands/audit.ts', /^src\/features\/audit\/export-format\.ts$/], // Verifies files where no server is.
  ]);
  const beyond = code
    .filter(path => /^(cli|sdk|web)\//.test(path) && !isTest(path))
    .flatMap(importsOf)
    .filter(i => i.to.startsWith('src/') && !i.from.startsWith('web/src/'))
    .filter(
      i => !allowed.has(i.to) && !i.to.startsWith('src/config/') && !exceptions.get(i.from)?.test(i.to),
    );
  assert.deepEqual(show(beyond), []);
});

test('no import cycles at run time', () => {
  const edges = new Map<string, string[]>();
  for (const i of code.flatMap(importsOf)) {
    if (!i.typeOnly && i.specifier.startsWith('.')) edges.set(i.from, [...(edges.get(i.from) ?? []), i.to]);
  }
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: string[]): void => {
    if (trail.includes(path)) {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  assert.deepEqual(cycles, []);
});

test('relative imports name the file with its ending', () => {
  const wrong = code
    .filter(path => !path.endsWith('.js'))
    .flatMap(importsOf)
    .filter(i => i.specifier.startsWith('.') && !/\.(ts|tsx|css|json|svg)$/.test(i.specifier));
  assert.deepEqual(show(wrong), []);
});

/** Lines of files that match, as `path:line`. */
function grep(paths: string[], pattern: RegExp): string[] {
  return paths.flatMap(path =>
    read(path)
      .split('\n')
      .flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1}`] : [])),
  );
}

test('only src/config.ts reads the environment; tests and the start of the command line may', () => {
  const readers = code.filter(path => !isTest(path) && path !== 'src/config.ts' && path !== 'cli/main.ts');
  assert.deepEqual(grep(readers, /process\.env\b/), []);
});

test('SBX-08 processes are started only by the sandbox drivers, for the embedded database, and to build the page', () => {
  const starters = imports
    .filter(i => /^(node:)?(child_process|cluster)$/.test(i.specifier))
    .map(i => i.from);
  const allowed = /^src\/(drivers\/sandboxes\/|platform\/embedded\/|page\.ts$)/;
  assert.deepEqual(
    [...new Set(starters)].filter(path => !allowed.test(path)),
    [],
  );
  assert.deepEqual(grep(program, /getBuiltinModule|process\.binding|createRequire\(.*child_process/), []);
});

test('DAT-19 time is an input: features take it from a clock and never make a date of text without a zone', () => {
  const ofFeatures = program.filter(
    path => path.startsWith('src/features/') && !path.includes('/conformance'),
  );
  assert.deepEqual(grep(ofFeatures, /\bDate\.now\(|new Date\(\)|performance\.now\(/), []);
  assert.deepEqual(
    grep(program, /new Date\(['"`]|Date\.parse\(|\.(get|set)(Hours|Minutes|Date|Day|Month|FullYear)\(/),
    [],
  );
  assert.deepEqual(grep(program, /toLocale(Date|Time)?String\(/), []);
  const naive = files.filter(path => path.startsWith('migrations/'));
  assert.deepEqual(grep(naive, /\btimestamp\b(?!tz)|\bcurrent_date\b|\blocaltime/i), []);
});

test('DAT-02 one module opens connections to the database', () => {
  const openers = grep(
    program,
    /new pg\.(Pool|Client)\(|import \{[^}]*\b(Pool|Client)\b[^}]*\} from 'pg'/,
  ).map(found => found.split(':')[0]);
  const allowed = /^src\/platform\/(db\/db\.ts$|embedded\/)/;
  assert.deepEqual(
    openers.filter(path => !allowed.test(path as string)),
    [],
  );
});

test('chance is an input, and features log through the log that they are given', () => {
  const ofFeatures = program.filter(path => path.startsWith('src/features/'));
  assert.deepEqual(grep(ofFeatures, /Math\.random\(|\bconsole\./), []);
  assert.deepEqual(grep(program, /\bconsole\./), []);
});

test('no file is longer than one sitting', () => {
  const long = code
    .filter(path => !generated.includes(path))
    .map(path => ({ path, lines: read(path).split('\n').length - 1 }))
    .filter(({ lines }) => lines > maxLines);
  assert.deepEqual(long, []);
});

test('folders and files have names that say what is in them', () => {
  const empty = /^(utils?|helpers?|lib|libs|shared|common|misc|managers?|services?|handlers?|impl)$/;
  const named = files.filter(path => /^(src|cli|sdk|test|web)\//.test(path));
  const wrong = named.filter(path =>
    [...dirname(path).split('/'), basename(path).split('.')[0] ?? ''].some(part => empty.test(part)),
  );
  assert.deepEqual(wrong, []);
});

test('nothing is tracked that is installed, built, secret or data', () => {
  const wrong =
    /(^|\/)(node_modules|dist|coverage|\.guildhall|__pycache__)\/|\.(db|sqlite3?|log|pyc|pem|key)$|(^|\/)\.env($|\.(?!example))/;
  assert.deepEqual(
    tracked.filter(path => wrong.test(path)),
    [],
  );
});

test('no leftovers: reminders, tests that run alone, calls of a debugger', () => {
  // Put together here, so that this file does not find itself.
  const reminder = new RegExp(
    `\\b(${['TO', 'FIX', 'XX', 'HA'].map((a, n) => a + ['DO', 'ME', 'X', 'CK'][n]).join('|')})\\b`,
  );
  const texts = files.filter(
    path => /\.(ts|tsx|js|sql|md|sh|py|css|html)$/.test(path) && path !== 'package-lock.json',
  );
  assert.deepEqual(grep(texts, reminder), []);
  assert.deepEqual(
    grep(code.filter(isTest), new RegExp(`^\\s*(test|it|describe|suite)\\.${'on'}ly\\(|^\\s*debugger;`)),
    [],
  );
});

test('a file with code opens with what it is for', () => {
  const silent = program.filter(path => !read(path).startsWith('/**'));
  assert.deepEqual(silent, []);
});

test('every migration can be taken back', () => {
  const up = files.filter(path => /^migrations\/\d{4}_[a-z_]+\.up\.sql$/.test(path));
  assert.ok(up.length > 0);
  const all = files.filter(path => path.startsWith('migrations/'));
  assert.deepEqual(new Set(all), new Set([...up, ...up.map(path => path.replace('.up.', '.down.'))]));
});
