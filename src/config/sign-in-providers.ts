/**
 * The file of sign-in providers (`GUILDHALL_SIGN_IN_PROVIDERS_FILE`): JSON without secrets, which it names by the
 * variable or the file that holds them. Like the settings it is read whole, and every fault is told at once.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import type { SignInProvider } from '../base/sign-in-provider.ts';

const secretReference = z.union([
  z.strictObject({ env: z.string().min(1) }),
  z.strictObject({ file: z.string().min(1) }),
]);
const domain = z
  .string()
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/i, 'must be a domain such as example.com')
  .toLowerCase();
const address = z.url().refine(isSafe, 'must begin with https:// (http:// only on this host)');

/** Secrets and codes go to these addresses: in clear only within the host. */
function isSafe(text: string): boolean {
  const url = URL.parse(text);
  const isLocal = url !== null && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal);
}

const shared = {
  id: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be of a-z, 0-9 and -, at most 40'),
  name: z.string().min(1).max(60).optional(),
  client_id: z.string().min(1),
  client_secret: secretReference,
  email_domains: z.array(domain).default([]),
  new_people: z.boolean().default(true),
};

const provider = z.union([
  z.strictObject({
    ...shared,
    id: z.literal('google'),
    type: z.literal('google'),
    hosted_domain: domain.optional(),
  }),
  z
    .strictObject({
      ...shared,
      type: z.literal('oidc').default('oidc'),
      discovery_url: address.optional(),
      authorization_url: address.optional(),
      token_url: address.optional(),
      user_info_url: address.optional(),
      scopes: z.array(z.string().min(1)).default(['openid', 'email', 'profile']),
      subject_claim: z.string().min(1).optional(),
      email_claim: z.string().min(1).default('email'),
      name_claim: z.string().min(1).default('name'),
      email_verified: z.enum(['claim', 'always']).default('claim'),
    })
    .refine(
      p => p.discovery_url !== undefined || (p.authorization_url && p.token_url && p.user_info_url),
      'needs discovery_url, or authorization_url, token_url and user_info_url',
    ),
]);
const file = z.strictObject({ providers: z.array(provider).max(20) });

/** Reads the file. Relative paths of secrets start from its directory. */
export function readSignInProviders(
  path: string,
  env: Record<string, string | undefined>,
): { providers: SignInProvider[]; faults: string[] } {
  const name = 'GUILDHALL_SIGN_IN_PROVIDERS_FILE';
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof SyntaxError ? 'is not JSON' : 'cannot be read';
    return { providers: [], faults: [`${name}: ${path} ${reason}`] };
  }
  const parsed = file.safeParse(json);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(i => `${name}: ${i.path.join('.')}: ${i.message}`);
    return { providers: [], faults };
  }
  const faults: string[] = [];
  const ids = parsed.data.providers.map(p => p.id);
  for (const id of new Set(ids.filter((each, at) => ids.indexOf(each) !== at)))
    faults.push(`${name}: there are two providers ${id}`);
  const providers = parsed.data.providers.map(p => {
    const secret = readSecret(p.client_secret, dirname(path), env);
    if ('fault' in secret) faults.push(`${name}: ${p.id}: ${secret.fault}`);
    return toProvider(p, 'value' in secret ? secret.value : '');
  });
  return { providers, faults };
}

function readSecret(
  reference: z.output<typeof secretReference>,
  directory: string,
  env: Record<string, string | undefined>,
): { value: string } | { fault: string } {
  if ('env' in reference) {
    const value = env[reference.env];
    return value ? { value } : { fault: `the variable ${reference.env} is not set` };
  }
  const path = resolve(directory, reference.file);
  try {
    if ((statSync(path).mode & 0o077) !== 0)
      return { fault: `${path} is readable by others, set its mode to 0600` };
    const value = readFileSync(path, 'utf8').trim();
    return value ? { value } : { fault: `${path} is empty` };
  } catch (error) {
    return { fault: `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})` };
  }
}

function toProvider(p: z.output<typeof provider>, clientSecret: string): SignInProvider {
  const common = {
    id: p.id,
    clientId: p.client_id,
    clientSecret,
    emailDomains: p.email_domains,
    newPeople: p.new_people,
  };
  if (p.type === 'google') {
    return {
      ...common,
      name: p.name ?? 'Google',
      discoveryUrl: null,
      google: { hostedDomain: p.hosted_domain ?? null },
      endpoints: null,
      scopes: [],
      claims: { subject: 'sub', email: 'email', name: 'name' },
      emailVerified: 'claim',
    };
  }
  const { authorization_url: authorization, token_url: token, user_info_url: userInfo } = p;
  return {
    ...common,
    name: p.name ?? p.id,
    discoveryUrl: p.discovery_url ?? null,
    google: null,
    endpoints: authorization && token && userInfo ? { authorization, token, userInfo } : null,
    scopes: p.scopes,
    claims: {
      subject: p.subject_claim ?? (p.discovery_url ? 'sub' : 'id'),
      email: p.email_claim,
      name: p.name_claim,
    },
    emailVerified: p.email_verified,
  };
}
