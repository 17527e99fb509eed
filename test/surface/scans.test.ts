/** The repository as an attacker reads it: nothing in it is a secret, an identity, or a query made of text. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeVariables } from '../../src/config/settings.ts';

const root = join(import.meta.dirname, '../..');
const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 512 * 1024 * 1024 });
const files = git('ls-files', '-z', '--cached', '--others', '--exclude-standard')
  .split('\0')
  .filter(path => path !== '' && existsSync(join(root, path)));
const isText = (path: string): boolean => !/\.(png|ico|woff2?|gz|zip)$/.test(path);
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const isTest = (path: string): boolean =>
  path.startsWith('test/') || /\.test\.tsx?$|\/testing\.ts$/.test(path);
const program = files.filter(path => /^(src|cli|sdk)\/.*\.ts$/.test(path) && !isTest(path));

/** Places where a pattern is found, as `path: what`. */
function found(paths: string[], pattern: RegExp): string[] {
  assert.ok(pattern.global && paths.length > 0);
  return paths.flatMap(path => [...read(path).matchAll(pattern)].map(match => `${path}: ${match[0].trim()}`));
}

/** Domains that belong to nobody, by RFC 2606 and RFC 6761. */
const nobodys = /\.(?:test|example|invalid|localhost)$|(?:^|\.)example\.(?:com|org|net)$/;

test('IAM-10 no address of a person stands anywhere in the repository', () => {
  const address = /(?<![\w/:@.%+-])[\w.%+-]+@([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})(?![\w:/])/gi;
  const somebodys = files
    .filter(path => isText(path) && path !== 'package-lock.json')
    .flatMap(path =>
      [...read(path).matchAll(address)]
        .filter(([, domain = '']) => !nobodys.test(domain.toLowerCase()))
        .map(([text]) => `${path}: ${text}`),
    )
    // git's way to name a host is no address of a person.
    .filter(line => !/: git@[\w.-]+$/.test(line));
  assert.deepEqual(somebodys, []);
});

test('IAM-10 the program knows no member, organization or domain by name', () => {
  const defaults = found(
    [...program, ...files.filter(path => path.startsWith('migrations/'))],
    /\b(?:admin|owner|root|superuser)_?(?:email|mail|login|name)s?\s*[:=]\s*['"][^'"]+['"]|\b(?:allowed|hosted|company|email)_?domains?\s*[:=]\s*['"][^'"]+['"]/gi,
  );
  assert.deepEqual(defaults, []);
});

/** Credentials whose form gives them away. */
const credentialForms: [string, RegExp][] = [
  ['a private key', /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}/g],
  ['a key of AWS', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g],
  ['a key of Anthropic', /\bsk-ant-(?:api|admin)\d\d-[\w-]{80,}/g],
  ['a key of OpenAI', /\bsk-(?:proj-|svcacct-)?[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}/g],
  ['a token of GitHub', /\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,})\b/g],
  ['a token of GitLab', /\bglpat-[\w-]{20}\b/g],
  ['a token of Slack', /\bxox[abpsr]-\d{9,}-[\w-]{20,}/g],
  ['a key of Google', /\bAIza[\w-]{35}\b/g],
  ['a key of Stripe', /\b[rs]k_live_[A-Za-z0-9]{20,}/g],
  ['a token of npm', /\bnpm_[A-Za-z0-9]{36}\b/g],
];

/** Ours begin with `ghr_` too, and a test's sample may look like GitHub's: words and repeats are no token. */
const isSample = (text: string): boolean => new Set(text.slice(4).toLowerCase()).size < 12;

test('SEC-04 nothing that has the form of a credential stands in the tree or in its history', () => {
  const history = git(
    'log',
    '--all',
    '--no-color',
    '-p',
    '--no-renames',
    '--unified=0',
    '--no-ext-diff',
    '--',
    '.',
    ':!package-lock.json',
  );
  assert.ok(history.length > 10_000);
  const texts = [
    ...files.filter(isText).map(path => [path, read(path)] as const),
    ['history', history] as const,
  ];
  const leaked = texts.flatMap(([path, text]) =>
    credentialForms.flatMap(([what, form]) =>
      [...text.matchAll(form)]
        .filter(([match]) => !isSample(match))
        .map(([match]) => `${path}: ${what} ${match.slice(0, 8)}…`),
    ),
  );
  assert.deepEqual(leaked, []);
  // The forms bite: built here, so that this file does not find itself.
  const sample = `gh${'p'}_${'aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0vW1xY2'}`;
  assert.ok(credentialForms.some(([, form]) => [...sample.matchAll(form)].length === 1) && !isSample(sample));
});

test('SEC-04 no secret has a value to fall back on, in the program or in what starts it', () => {
  const names = '(?:pass(?:word|wd)?|secret|token|api_?key|master_?key|private_?key|credential)s?';
  const inCode = found(
    program,
    new RegExp(`\\b\\w*${names}\\w*\\s*(?:\\?\\?|\\|\\|)=?\\s*(['"\`])[^'"\`\\s]+\\1`, 'gi'),
  );
  const literal = found(
    program,
    new RegExp(`\\b${names}\\s*[:=]\\s*(['"])(?!\\1)[\\w!#$%&*+./-]{6,}\\1\\s*[,;)]`, 'gi'),
  ).filter(
    line =>
      !/: ?['"](?:string|password|current-password|new-password|\w+_hash|[a-z_]+\.[a-z_]+)['"]/.test(line),
  );
  assert.deepEqual([...inCode, ...literal], []);
  const secrets = describeVariables().filter(v => v.secret);
  assert.ok(secrets.length >= 4);
  for (const { name, fallback } of secrets) assert.equal(fallback, null, name);
  const starters = files.filter(path =>
    /^(deploy|\.ci)\/|^guildhall$|\.sh$|compose.*\.ya?ml$|Dockerfile/.test(path),
  );
  const named = secrets.map(s => s.name).join('|');
  assert.deepEqual(
    found(starters, new RegExp(`\\$\\{(?:${named}|\\w*(?:PASSWORD|SECRET|TOKEN|KEY)\\w*):?-[^}]+\\}`, 'g')),
    [],
  );
});

test('SEC-09 data, dumps and secrets are ignored by git, and none is in the tree', () => {
  const wanted = [
    'nexus.db',
    'data/guildhall.sqlite3',
    'backup.dump',
    'guildhall.dump.gz',
    '.guildhall/local-key',
    '.guildhall/postgres/PG_VERSION',
    '.env',
    '.env.production',
    'production.env',
    'server.key',
    'tls/server.pem',
    'guildhall.log',
    'secrets/master-key',
  ];
  const ignored = git('check-ignore', '--no-index', ...wanted).split('\n');
  for (const path of wanted) assert.ok(ignored.includes(path), path);
  const sources = [
    'src/platform/secrets/sealer.ts',
    'src/config/settings.ts',
    'docs/operating/security.md',
    'migrations/0006_secrets.up.sql',
  ];
  for (const path of sources) {
    assert.throws(() => git('check-ignore', '--no-index', path), `${path} must not be ignored`);
  }
  const magic = ['SQLite format 3\0', 'PGDMP', '\x1f\x8b', '\x7fELF', 'PK\x03\x04'];
  const binary = git('ls-files', '-z')
    .split('\0')
    .filter(path => path !== '' && existsSync(join(root, path)))
    .filter(path =>
      magic.some(
        start => readFileSync(join(root, path)).subarray(0, start.length).toString('latin1') === start,
      ),
    );
  assert.deepEqual(binary, []);
});

const verbs =
  'select|insert\\s+into|update|delete\\s+from|create|alter|drop|truncate|grant|revoke|with|do|set|values';
const template = new RegExp(`(\\S*)\`\\s*(?:${verbs})\\s[^\`]*?\\$\\{`, 'g');

/** Templates with a hole that read as SQL, and have no tag that would make the hole a parameter. */
const madeQueries = (text: string): string[] =>
  [...text.matchAll(template)]
    .filter(match => /\b(?:from|into|set|table|where|database|role|values|to)\b/.test(match[0]))
    .filter(match => !/\bsql(?:<[\s\S]{0,400}>)?$/.test(text.slice(0, match.index + (match[1] ?? '').length)))
    .map(match => match[0].slice(0, 80));

test('VAL-02 queries are made of tagged templates, whose holes are values; text as SQL has few places', () => {
  const hole = `$${'{id}'}`;
  assert.equal(madeQueries(`db.query(\`select * from tasks where id = '${hole}'\`)`).length, 1);
  assert.equal(madeQueries(`sql<{ id: string }>\`select * from tasks where id = ${hole}\``).length, 0);
  const server = program.filter(path => path.startsWith('src/'));
  const made = server.flatMap(path => madeQueries(read(path)).map(query => `${path}: ${query}`));
  const known: [RegExp, string][] = [
    // Texts are constants of the module, values are parameters; or the whole text is a file of migrations/.
    [/^src\/features\/runs\/journal(-batch)?\.ts:/, 'statements of constant parts'],
    [/^src\/platform\/embedded\//, 'the names of our own roles, made by us'],
    [/^src\/platform\/db\/tenancy\.ts:/, 'policies for the tables of the catalog, made by the owner'],
    [/^src\/platform\/db\/roles\.ts: `create role/, 'shown to an administrator, never run'],
  ];
  const unknown = made.filter(line => !known.some(([pattern]) => pattern.test(line)));
  assert.deepEqual(unknown, []);
  const raw = found(server, /\bsql\.(?:raw|lit|literal)\(|CompiledQuery\.raw\(/g).map(
    line => line.split(':')[0] as string,
  );
  const allowed = new Map([
    [
      'src/platform/db/migrate.ts',
      'the files of migrations/, and the name of our own role in a block that takes no parameters',
    ],
    ['src/platform/db/tenancy.ts', 'policies for the tables of the catalog, made by the owner'],
    ['src/platform/limits/store.ts', 'the statements of the limiter package, with parameters'],
    ['src/features/runs/journal.ts', 'one statement of constant parts, with parameters'],
    ['src/features/runs/journal-batch.ts', 'the same for several'],
  ]);
  assert.deepEqual(
    [...new Set(raw)].filter(path => !allowed.has(path)),
    [],
  );
});

test('DEP-13 every setting is used, and every setting that a document names exists', () => {
  const names = describeVariables().map(v => v.name);
  const readers = program
    .filter(path => /^src\/config(\.ts|\/)/.test(path) && path !== 'src/config/settings.ts')
    .map(read)
    .join('');
  const unused = names.filter(name => !new RegExp(`\\b${name}\\b`).test(readers));
  assert.deepEqual(unused, []);
  const page = read('docs/reference/settings.md');
  for (const name of names) assert.ok(page.includes(`| \`${name}\` |`), name);
  const documents = files.filter(path => /\.md$/.test(path));
  const known = new Set(names.flatMap(name => [name, `${name}_FILE`]));
  const named = documents.flatMap(path =>
    [...read(path).matchAll(/\bGUILDHALL_[A-Z0-9_]+(?<!_)\b/g)].map(([name]) => [path, name]),
  );
  assert.deepEqual(
    named.filter(([, name = '']) => !known.has(name)).map(([path, name]) => `${path}: ${name}`),
    [],
  );
});

test('X-13 no credential is compared letter by letter: by its hash in the database, or in constant time', () => {
  const guards = program.filter(path => /^src\/(features\/identity|platform\/http)\//.test(path));
  const compared =
    /\b\w*(?:token|secret|password|signature|credential|csrf|api_?key)\w*(?:\)|\])?\s*[!=]==?\s*(?!null\b|undefined\b|true\b|false\b|['"`\d])\w/gi;
  assert.equal([...'given.token === row.token'.matchAll(compared)].length, 1);
  assert.equal([...'token === null; secret !== undefined'.matchAll(compared)].length, 0);
  assert.deepEqual(found(guards, compared), []);
  assert.match(read('src/features/identity/credentials.ts'), /\btimingSafeEqual\(/);
});
