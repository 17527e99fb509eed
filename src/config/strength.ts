/**
 * Whether a secret deserves the name. It is judged by what it looks like, so only in one direction: what is refused
 * is certainly bad (empty of meaning, known to everybody, or with too few possibilities), what passes may still be
 * known to somebody.
 */

/** Possibilities that a secret of ours or a password must have at least, as a power of two. */
export const minBits = 128;

/** Values that are tried first: defaults of products, of tutorials, and of our own documents. */
const known = new Set(
  `admin administrator changeme changeit default demo dev development dummy example foobar guest guildhall hello letmein
   local localhost master minio minioadmin mypassword mysecret null none pass passw0rd password placeholder postgres
   postgresql prod production private qwerty redis root sample secret secretkey staging superadmin supersecret system
   test testing token trustno1 undefined user valkey welcome jwtsecret sessionsecret apikey masterkey rabbitmq keycloak
   abc abcdef abcdefgh sk-test sk-ant-test sk-your-key sk-xxx correcthorsebatterystaple hunter2 hunter2-hunter2`.split(
    /\s+/,
  ),
);

/** Words that only stand in values that somebody was meant to replace. */
const placeholder =
  /^[<[{(].*[>\]})]$|\$\{|\{\{|<[^>]*>|change[-_ ]?(me|it|this)|replace[-_ ]?(me|this|with)|place[-_]?holder|your[-_ ]|[-_](here|goes)\b|fill[-_ ]?in|insert[-_ ]|(^|[-_ ./])(example|sample|dummy|todo|tbd|fixme|xxx+)([-_ ./]|$)|^x{3,}$|\.\.\.|…/i;

/** Why this is no value at all but a place for one, or what everybody tries first; null when it is neither. */
export function placeholderReason(value: string): string | null {
  if (placeholder.test(value)) return 'is a placeholder';
  const plain = value.toLowerCase();
  const words = [plain, plain.replace(/[^a-z0-9]/g, '')];
  if (value.length < 24) words.push(plain.replace(/[^a-z]/g, ''));
  if (words.some(word => known.has(word))) return 'is a value that everybody knows';
  if (/^(.{1,16}?)\1+.?.?$/s.test(value)) return 'repeats one thing';
  if (isSequence(value)) return 'is a sequence';
  const text = textIn(value);
  return text === null ? null : placeholderReason(text);
}

/** Why a secret that we or an operator made is too weak; null when it is not. */
export function weaknessReason(value: string): string | null {
  const bits = Math.floor(Math.min(bitsOf(value), bitsOf(textIn(value) ?? value)));
  if (bits >= minBits) return null;
  return `is weak (about ${bits} of ${minBits} bits): make one with \`openssl rand -base64 32\``;
}

/** Upper estimate of log2 of the possibilities: alphabet × length, where repeated pairs of characters count once. */
export function bitsOf(value: string): number {
  const pairs = new Set<string>();
  for (let i = 0; i + 1 < value.length; i++) pairs.add(value.slice(i, i + 2));
  const repeats = value.length - 1 - pairs.size;
  // By chance some pairs come twice, in 32 hexadecimal digits up to a quarter of them: that much is free.
  const length = value.length - Math.max(0, repeats - Math.ceil(value.length / 4));
  return length * Math.log2(alphabetOf(value));
}

function alphabetOf(value: string): number {
  if (/^[0-9]*$/.test(value)) return 10;
  if (/^[0-9a-f]*$/.test(value) || /^[0-9A-F]*$/.test(value)) return 16;
  if (isSentence(value)) return 4; // Words are far fewer than their letters allow.
  if (/[a-z]/.test(value) && /[A-Z]/.test(value)) return 64;
  return (/[a-z]/i.test(value) ? 26 : 2) + (/[0-9]/.test(value) ? 10 : 0);
}

function isSentence(value: string): boolean {
  const words = value.split(/[^A-Za-z]+/).filter(word => word !== '');
  const letters = words.join('').length;
  return (
    words.length >= 3 && letters >= value.length * 0.7 && words.every(word => /^[A-Z]?[a-z]+$/.test(word))
  );
}

/** Whether most characters follow from the one before: `abcdef`, `12345678`, `zyx`. */
function isSequence(value: string): boolean {
  if (value.length < 6) return false;
  const codes = [...value].map(c => c.charCodeAt(0));
  return [1, -1].some(step => {
    const following = codes.filter((code, at) => at > 0 && code - (codes[at - 1] as number) === step).length;
    return following >= (value.length - 1) * 0.7;
  });
}

/** Text that somebody wrote in base64, as if that made it random; null when the bytes are no text. */
function textIn(value: string): string | null {
  if (!/^[A-Za-z0-9+/_-]{8,}={0,2}$/.test(value)) return null;
  const text = Buffer.from(value, 'base64').toString('latin1');
  return text !== '' && /^[\x20-\x7e]+$/.test(text) ? text : null;
}
