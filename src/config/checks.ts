/**
 * What must hold before a server faces people: looked at as one list, so that whoever sets one up sees everything at
 * once. The start of `staging` and `production` refuses with any `refuse`; `guildhall doctor --env` prints the same
 * without starting. No finding repeats a value.
 */
import { readFileSync, statSync } from 'node:fs';
import { fingerprintOf, passwordOf, secretsIn } from './fingerprint.ts';
import { blank, type Reading } from './read.ts';
import { secretNames } from './settings.ts';
import { placeholderReason, weaknessReason } from './strength.ts';

export interface Finding {
  setting: string;
  /** `refuse` keeps the server from starting. */
  level: 'refuse' | 'warn';
  /** What is wrong, and what to do. */
  text: string;
}

/** Everything that is wrong with these settings for a server that faces people, worst first. */
export function checkSettings(reading: Reading): Finding[] {
  const found: Finding[] = rules.flatMap(rule => rule(reading));
  return [...found.filter(f => f.level === 'refuse'), ...found.filter(f => f.level === 'warn')];
}

type Rule = (reading: Reading) => Finding[];

const refuse = (setting: string, text: string): Finding => ({ setting, level: 'refuse', text });
const warn = (setting: string, text: string): Finding => ({ setting, level: 'warn', text });

const isSecret = (name: string): boolean => (secretNames as readonly string[]).includes(name);
/** Made by whoever runs Guildhall: we know how good it has to be. Keys of providers are theirs to make. */
const isOurs = (name: string): boolean => name.startsWith('GUILDHALL_');

const secretsAreStrong: Rule = ({ given }) =>
  Object.entries(given)
    .filter(([name, value]) => isSecret(name) && !value.includes(blank))
    .flatMap(([name, value]) => {
      const isAddress = passwordOf(value) !== null;
      const reasons = secretsIn(value).map(
        secret =>
          placeholderReason(secret) ??
          (isOurs(name) || isAddress ? weaknessReason(secret) : secret.length < 12 ? 'is too short' : null),
      );
      const reason = reasons.find(r => r !== null);
      return reason ? [refuse(name, `${isAddress ? 'its password ' : ''}${reason}`)] : [];
    });

const secretsAreDifferent: Rule = ({ given }) => {
  const usedBy = new Map<string, string>();
  return Object.entries(given)
    .filter(([name]) => isSecret(name))
    .flatMap(([name, value]) =>
      secretsIn(value).flatMap(secret => {
        const other = usedBy.get(secret);
        usedBy.set(secret, name);
        return other && other !== name
          ? [refuse(name, `is the same secret as ${other}: each needs its own`)]
          : [];
      }),
    );
};

/** A dump of the environment (`docker inspect`, a crash report, a child process) shows what is in it. */
const secretsInFiles: Rule = ({ given, files }) =>
  Object.keys(given)
    .filter(name => isSecret(name) && !(name in files) && secretsIn(given[name] as string).length > 0)
    .map(name =>
      warn(
        name,
        `stands in the environment, which other programs may see: put it in a file and name that in ${name}_FILE`,
      ),
    );

const publicAddress: Rule = ({ given }) => {
  const url = given.GUILDHALL_PUBLIC_URL;
  if (!url) return [refuse('GUILDHALL_PUBLIC_URL', 'is missing: set the https address that people use')];
  if (url.includes(blank)) return [];
  return url.startsWith('https://')
    ? []
    : [refuse('GUILDHALL_PUBLIC_URL', 'is not https: cookies and keys would travel in the clear')];
};

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|::1|\[::1\])$/;

const boundBehindHttps: Rule = ({ given }) =>
  !given.HOST || loopback.test(given.HOST) || given.GUILDHALL_PUBLIC_URL?.startsWith('https://')
    ? []
    : [
        refuse(
          'HOST',
          'is open to the network without an https GUILDHALL_PUBLIC_URL: put a proxy with TLS before it, or bind to 127.0.0.1',
        ),
      ];

const originsAreNamed: Rule = ({ given }) =>
  Object.entries(given)
    .filter(
      ([name, value]) => /CORS|ORIGINS?\b|_HOSTS$/.test(name) && value.split(',').some(v => v.includes('*')),
    )
    .map(([name]) => refuse(name, 'allows everybody (`*`): name each one'));

const proxiesAreNamed: Rule = ({ given }) =>
  (given.GUILDHALL_TRUSTED_PROXIES ?? '').split(',').some(range => /\/0+$/.test(range.trim()))
    ? [refuse('GUILDHALL_TRUSTED_PROXIES', 'believes everybody (`/0`): name the proxies')]
    : [];

const localRepositories: Rule = ({ given }) => {
  const name = 'GUILDHALL_ALLOW_LOCAL_REPOSITORIES';
  if (given[name] === undefined)
    return [
      refuse(
        name,
        'is not set: tasks could read repositories on this host. Set it to false, or to true if that is meant',
      ),
    ];
  return given[name] === 'true'
    ? [warn(name, 'is true: everybody who may open tasks can read every repository that the server can')]
    : [];
};

const database: Rule = ({ given }) =>
  given.DATABASE_URL
    ? []
    : [
        warn(
          'DATABASE_URL',
          'is not set: the embedded database has no replica, and its backups lie beside it',
        ),
      ];

const signUpIsClosed: Rule = ({ given }) =>
  given.GUILDHALL_SIGN_UP === 'open'
    ? [
        warn(
          'GUILDHALL_SIGN_UP',
          'is open: anybody who reaches the page can make an account, at first without access',
        ),
      ]
    : [];

const storesAreReachedSafely: Rule = ({ given }) => {
  const url = URL.parse(given.VAULT_ADDR ?? '');
  return url?.protocol === 'http:' && !loopback.test(url.hostname)
    ? [refuse('VAULT_ADDR', 'is not https: every secret would travel in the clear')]
    : [];
};

/** What is said to a server elsewhere, and who it takes us for. */
const connections: Rule = ({ given }) =>
  (['DATABASE_URL', 'REDIS_URL'] as const).flatMap(name => {
    const url = given[name];
    if (!url || url.includes(blank)) return [];
    const host = /^[a-z]+:\/\/(?:[^/?#]*@)?(\[[^\]]*\]|[^:/?#]*)/.exec(url)?.[1] ?? '';
    const socket = host === '' || /^%2F/i.test(host) || /[?&]host=(%2F|\/)/i.test(url);
    if (socket || loopback.test(host)) return [];
    const encrypted = /^rediss:|[?&]sslmode=(require|verify-ca|verify-full)\b/.test(url);
    const advice = name === 'REDIS_URL' ? 'use rediss://' : 'add ?sslmode=verify-full';
    return [
      ...(encrypted ? [] : [warn(name, `goes over the network without TLS: ${advice}`)]),
      ...(passwordOf(url) === null
        ? [warn(name, 'has no password: whoever reaches that server may use it')]
        : []),
    ];
  });

/** Without it every sealed value would be lost with the data directory, and replicas could not read each other's. */
const masterKey: Rule = ({ given }) =>
  given.DATABASE_URL && !given.GUILDHALL_MASTER_KEY
    ? [
        refuse(
          'GUILDHALL_MASTER_KEY',
          'is missing: what is sealed in a database of your own needs a key of your own',
        ),
      ]
    : [];

const environmentSays: Rule = ({ given }) => {
  const environment = given.GUILDHALL_ENV ?? 'development';
  return ['staging', 'production'].includes(environment)
    ? []
    : [
        refuse(
          'GUILDHALL_ENV',
          `is ${given.GUILDHALL_ENV ? environment : 'not set'}: the server would start without these checks`,
        ),
      ];
};

/** Lines of `guildhall config fingerprints` of other environments: none of their secrets may be one of ours. */
const secretsOfOthers: Rule = ({ given }) => {
  const name = 'GUILDHALL_OTHER_FINGERPRINTS';
  const path = given[name];
  if (!path) return [];
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return [refuse(name, `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`)];
  }
  const theirs = new Map(
    text
      .split('\n')
      .map(line => line.trim().split(/\s+/))
      .filter(words => words.length === 3 && !words[0]?.startsWith('#'))
      .map(([environment, setting, fingerprint]) => [fingerprint as string, `${setting} of ${environment}`]),
  );
  return Object.entries(given)
    .filter(([setting]) => isSecret(setting))
    .flatMap(([setting, value]) =>
      secretsIn(value).flatMap(secret => {
        const other = theirs.get(fingerprintOf(secret));
        return other
          ? [refuse(setting, `is the same secret as ${other}: each environment needs its own`)]
          : [];
      }),
    );
};

const rules: Rule[] = [
  environmentSays,
  publicAddress,
  boundBehindHttps,
  originsAreNamed,
  proxiesAreNamed,
  localRepositories,
  masterKey,
  secretsAreStrong,
  secretsAreDifferent,
  secretsOfOthers,
  database,
  connections,
  storesAreReachedSafely,
  signUpIsClosed,
  secretsInFiles,
];

/** A file of settings that holds secrets itself is a secret file. */
export function checkSettingsFile(path: string, reading: Reading): Finding[] {
  const holds = Object.keys(reading.given).some(name => isSecret(name) && !(name in reading.files));
  return holds && (statSync(path).mode & 0o077) !== 0
    ? [refuse(path, 'holds secrets and is readable by others: set its mode to 0600')]
    : [];
}
