/**
 * What an outside provider says about a person, and whether we let them in: domains, Google's hosted domain, verified
 * addresses. Asked again at every sign-in, because what a provider says may change.
 */
import { decodeJwt } from 'jose';
import type { SignInProvider } from '../../base/sign-in-provider.ts';

interface Tokens {
  idToken?: string | undefined;
  accessToken?: string | undefined;
}

type Claims = Record<string, unknown>;

/** A provider that has answered, with where it tells about people. */
export interface ReadyProvider extends SignInProvider {
  userInfoUrl: string | null;
}

/** A provider in the words of the library. */
export function toGenericConfig(provider: ReadyProvider) {
  const { endpoints, discoveryUrl, claims } = provider;
  return {
    providerId: provider.id,
    name: provider.name,
    clientId: provider.clientId,
    clientSecret: provider.clientSecret,
    ...(discoveryUrl ? { discoveryUrl, requireIdTokenVerification: true } : {}),
    ...(endpoints
      ? {
          authorizationUrl: endpoints.authorization,
          tokenUrl: endpoints.token,
          userInfoUrl: endpoints.userInfo,
        }
      : {}),
    scopes: provider.scopes,
    pkce: true,
    disableSignUp: !provider.newPeople,
    accountSubject: ({ profile }: { profile: Claims }) => String(profile[claims.subject] ?? ''),
    getUserInfo: async (tokens: Tokens) => {
      const found = await readClaims(provider, tokens);
      return found as never;
    },
    mapProfileToUser: (profile: Claims) => ({
      email: textOf(profile[claims.email]),
      name: textOf(profile[claims.name]) ?? textOf(profile[claims.email]) ?? '',
      emailVerified: provider.emailVerified === 'always' || profile.email_verified === true,
      image: undefined,
    }),
  };
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, 200) : undefined;

const answerLimitMs = 10_000;

/**
 * The claims of the ID token (the library has verified it), and where it does not tell the address, those of the
 * provider's answer about the same person.
 */
async function readClaims(provider: ReadyProvider, tokens: Tokens): Promise<Claims | null> {
  const ofToken: Claims = tokens.idToken ? decodeJwt(tokens.idToken) : {};
  if (textOf(ofToken[provider.claims.email])) return ofToken;
  if (!provider.userInfoUrl) return null;
  const response = await fetch(provider.userInfoUrl, {
    headers: { authorization: `Bearer ${tokens.accessToken}`, accept: 'application/json' },
    signal: AbortSignal.timeout(answerLimitMs),
    redirect: 'error',
  });
  if (!response.ok) return null;
  const answer = (await response.json()) as Claims;
  // OpenID Connect Core 5.3.2: an answer about somebody else must not be used.
  if (tokens.idToken && answer.sub !== ofToken.sub) return null;
  return { ...ofToken, ...answer };
}

/** Asks a provider to describe itself. @returns why it cannot be used, as a sentence for operators. */
export async function discover(provider: SignInProvider): Promise<ReadyProvider | { fault: string }> {
  const url = provider.discoveryUrl;
  if (!url) return { ...provider, userInfoUrl: provider.endpoints?.userInfo ?? null };
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerLimitMs) });
    if (!response.ok) return { fault: `it answers ${response.status} at its discovery address` };
    const document = (await response.json()) as Claims;
    const needed = ['issuer', 'authorization_endpoint', 'token_endpoint', 'jwks_uri'];
    const missing = needed.filter(name => !textOf(document[name]));
    if (missing.length > 0) return { fault: `its description lacks ${missing.join(', ')}` };
    const userInfoUrl = provider.endpoints?.userInfo ?? textOf(document.userinfo_endpoint) ?? null;
    return { ...provider, userInfoUrl };
  } catch (error) {
    const late = (error as Error).name === 'TimeoutError';
    return { fault: late ? 'it does not answer' : 'it cannot be reached, or does not answer in JSON' };
  }
}

/** Refuses people whom a provider may vouch for but whom the operator does not want. */
export function refuseOutsider(
  providers: readonly SignInProvider[],
  { user, source }: { user: Claims; source: { oauth?: { providerId: string; profile?: Claims } } },
): { error: string } | undefined {
  const provider = providers.find(p => p.id === source.oauth?.providerId);
  if (!provider) return undefined;
  const hostedDomain = provider.google?.hostedDomain;
  if (hostedDomain && source.oauth?.profile?.hd !== hostedDomain) return { error: 'domain_not_allowed' };
  if (provider.emailDomains.length === 0) return undefined;
  // An address that nobody checked says nothing about the domain.
  if (user.emailVerified !== true) return { error: 'email_not_verified' };
  const domain = String(user.email ?? '')
    .toLowerCase()
    .split('@')
    .at(-1);
  return provider.emailDomains.includes(domain ?? '') ? undefined : { error: 'domain_not_allowed' };
}
