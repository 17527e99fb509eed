/**
 * The limits of the HTTP surface in one table: how many requests a minute, of what. A class is what a route belongs
 * to and is counted for each user (sign-ins for each address and account); the other limits count everything of one
 * key, organization or address, and of all together. Text such as `login=5,read=3000` changes some of them.
 */

/** Requests a minute. */
export const defaultQuotas = {
  /** Tries to sign in, of one address with one account. */
  login: 5,
  /** Tries to sign in, of one address, whatever the account. */
  login_address: 100,
  /** Requests that start much work: a difference, an export. */
  costly: 120,
  /** Deliveries to one webhook from one address. */
  webhook: 600,
  /** Connects to live events. */
  stream: 120,
  read: 6_000,
  write: 1_200,
  /** Everything that one agent asks for. */
  agent: 6_000,
  key: 6_000,
  organization: 60_000,
  address: 12_000,
  /** All requests to all replicas. */
  global: 120_000,
} as const;

export type LimitName = keyof typeof defaultQuotas;
export type Quotas = Record<LimitName, number>;

/** What a route may say about itself; without a word it is `read` or `write` by its method, `agent` for agents. */
export type LimitClass = 'login' | 'costly' | 'webhook' | 'stream' | 'none';

const largest = 1_000_000_000;

/** The table with the changes that a text names. @returns a fault as a sentence when the text cannot be read. */
export function readQuotas(text: string): { quotas: Quotas } | { fault: string } {
  const quotas: Quotas = { ...defaultQuotas };
  for (const part of text.split(',').map(each => each.trim())) {
    if (part === '') continue;
    const [name = '', number = ''] = part.split('=').map(each => each.trim());
    if (!Object.hasOwn(defaultQuotas, name))
      return { fault: `${name} is not a limit; there are ${Object.keys(defaultQuotas).join(', ')}` };
    if (!/^\d{1,10}$/.test(number) || Number(number) < 1 || Number(number) > largest)
      return { fault: `${name} must be a number of requests a minute, 1 to ${largest}` };
    quotas[name as LimitName] = Number(number);
  }
  return { quotas };
}
