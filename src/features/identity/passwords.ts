/**
 * Passwords: argon2id hashes, and what is not let in as one. Length is what makes a password strong; beside it only
 * those are refused that an attacker tries first: common ones, patterns of the keyboard, what is known of the person.
 */
import { hash as hashWith, type Options, verify as verifyWith } from '@node-rs/argon2';
import { Problem } from '../../base/problem.ts';

export const passwordLength = { least: 12, most: 200 } as const;

/** 19 MiB, two passes, one lane: what OWASP recommends as the least. Algorithm 2 is argon2id. */
const cost: Options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export const hashPassword = (password: string): Promise<string> => hashWith(password, cost);

/** Whether the password is that of the hash; a hash that cannot be read is nobody's. */
export async function verifyPassword(hash: string, password: string): Promise<boolean> {
  return verifyWith(hash, password).catch(() => false);
}

/** Bases of common passwords, as leaked lists have them; digits and signs around them change nothing. */
const common = new Set(
  `password passwort motdepasse contrasena senha wachtwoord haslo parola passphrase qwertyuiop qwertyuiopasdfghjkl
  qwertyqwerty qwertzuiop azertyuiop asdfghjkl asdfghjklqwertyuiop zxcvbnm qazwsx qazwsxedc qazwsxedcrfv
  qwerasdfzxcv letmein letmeinnow welcome willkommen bienvenue changeme changemenow changethis changeit
  administrator administrador superuser root rootroot master supersecret topsecret secret secretpassword
  mysecretpassword mypassword thisismypassword newpassword adminpassword userpassword defaultpassword
  temporarypassword iloveyou iloveyousomuch princess sunshine football baseball basketball superman batman
  monkey dragon shadow michael jennifer jordan trustno trustnoone whatever starwars startrek computer internet
  correcthorsebatterystaple liverpool manchester arsenal chelsea barcelona mustang harley ginger
  abcdefghijkl abcdefghijklm abcdefghijklmnop abcabcabcabc abcdabcdabcd guildhall administratorpassword
  passwordpassword testtest testtesttest testpassword testing guest guestguest hello helloworld loveme
  godisgood godisgreat jesuschrist jesuslovesme blessed forever unknown samsung google facebook linkedin
  youtube microsoft windows production staging development database postgres postgresql`.split(/\s+/),
);

const rows = [
  'abcdefghijklmnopqrstuvwxyz',
  'qwertyuiopasdfghjklzxcvbnm',
  'qwertzuiopasdfghjklyxcvbnm',
  '012345678901234567890',
];

/** @throws Problem `password_too_short`, `password_too_long`, `password_too_common`. */
export function requireGoodPassword(password: string, known: { email: string | null; name: string }): void {
  const { least, most } = passwordLength;
  if ([...password].length < least)
    throw new Problem('invalid', 'password_too_short', `A password needs at least ${least} characters.`);
  if (password.length > most)
    throw new Problem('invalid', 'password_too_long', `A password has at most ${most} characters.`);
  if (isGuessable(password, known))
    throw new Problem(
      'invalid',
      'password_too_common',
      'This password is among the first that would be tried. Take several words that do not belong together.',
    );
}

function isGuessable(password: string, known: { email: string | null; name: string }): boolean {
  const text = password.toLowerCase();
  if (new Set(text).size < 5) return true;
  const plain = text
    .replaceAll('@', 'a')
    .replaceAll('$', 's')
    .replace(
      /(?<=[a-z])[013457](?=[a-z])/g,
      digit => ({ 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't' })[digit] ?? '',
    );
  const latin = plain.replace(/[^a-z]/g, '');
  const core = plain.replace(/^[^a-z]+|[^a-z]+$/g, '');
  if (common.has(core) || common.has(latin)) return true;
  if (isRepeated(text) || isRow(text)) return true;
  // What little is left beside the own name and address must not be all there is to guess.
  const letters = (part: string) => part.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
  const words = [known.name, known.email?.split('@')[0] ?? ''].flatMap(part => part.split(/[^\p{L}]+/u));
  const own = [known.email ?? '', ...words].map(letters).filter(part => part.length >= 4);
  const bare = letters(text);
  const rest = own.reduce((left, part) => left.replaceAll(part, ''), bare);
  return rest !== bare && rest.length < 8;
}

/** `abc1abc1abc1`: one short piece again and again. */
const isRepeated = (text: string): boolean =>
  /^(.{1,6})\1+$/.test(text) || /^(.{1,4})\1{2,}.{0,3}$/.test(text);

/** Neighbours in the alphabet or on the keyboard, forwards or backwards, nearly all the way. */
function isRow(text: string): boolean {
  const steps = [...text].slice(1).filter((char, at) => {
    const pair = `${text[at]}${char}`;
    const back = `${char}${text[at]}`;
    return rows.some(row => row.includes(pair) || row.includes(back));
  }).length;
  return steps >= text.length - 2;
}
