/**
 * Tokens of other issuers: a build system, a cloud's workload identity, a company's own. The operator says in a file
 * which are trusted and whom their subjects stand for. Such a token never administers anything, whatever it says and
 * whoever it stands for; roles that it names only take away.
 */
import { decodeJwt, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose';
import type { Clock } from '../../base/time.ts';
import type { TokenIssuer, TokenRule } from '../../base/token-issuer.ts';
import type { ReadToken } from './access.ts';
import { findMember, findServiceAccount } from './find-principal.ts';
import { JwksCache } from './jwks-cache.ts';
import { bundleOf, permissions, permissionsOf, roleNamed } from './permissions.ts';
import { narrowed } from './principal.ts';

/** @throws whatever is wrong with a token; null when nobody is behind it. */
export function openExternalTokens(
  clock: Clock,
  issuers: readonly TokenIssuer[],
  skewSeconds: number,
): ReadToken {
  const trusted = new Map(
    issuers.map(issuer => [issuer.issuer, { issuer, keys: new JwksCache(issuer.jwksUrl, clock) }]),
  );
  return async (finding, token) => {
    const found = trusted.get(String(decodeJwt(token).iss));
    if (!found) return null;
    const { issuer, keys } = found;
    const { kid, alg } = decodeProtectedHeader(token);
    // Before any key is asked for: what is signed otherwise is not worth a request to the issuer.
    if (!issuer.algorithms.some(allowed => allowed === alg)) return null;
    const { payload } = await jwtVerify(token, await keys.keysFor(kid), {
      algorithms: [...issuer.algorithms],
      issuer: issuer.issuer,
      audience: issuer.audience,
      clockTolerance: skewSeconds,
      maxTokenAge: issuer.maxAgeMinutes * 60,
      currentDate: finding.now,
      requiredClaims: ['iat', 'exp'],
    });
    const rule = ruleFor(issuer, payload);
    if (!rule) return null;
    const [kind, id = ''] = rule.principal.split(':');
    const principal =
      kind === 'service' ? await findServiceAccount(finding, id) : await findMember(finding, id);
    return (
      principal && narrowed(principal, { via: 'issuer', names: namesOf(issuer, payload), projectIds: null })
    );
  };
}

/** The first rule that fits. A subject that is a number, or looks like one, names nobody: numbers are reused. */
function ruleFor(issuer: TokenIssuer, payload: JWTPayload): TokenRule | null {
  const subject = payload[issuer.claims.subject];
  if (typeof subject !== 'string' || /^\d*$/.test(subject)) return null;
  const { organization: claim } = issuer.claims;
  const organization = claim === null ? null : payload[claim];
  if (claim !== null && typeof organization !== 'string') return null;
  return (
    issuer.rules.find(
      rule =>
        (rule.subject.endsWith('*')
          ? subject.startsWith(rule.subject.slice(0, -1))
          : subject === rule.subject) &&
        (rule.organization === null || rule.organization === organization),
    ) ?? null
  );
}

/** Permissions that a token leaves: none to administer, and of the others those of the roles that it names. */
function namesOf(issuer: TokenIssuer, payload: JWTPayload): string[] {
  const claim = issuer.claims.roles === null ? null : payload[issuer.claims.roles];
  const named = claim === null ? null : (Array.isArray(claim) ? claim : [claim]).map(String);
  const roles = named?.map(name =>
    roleNamed(Object.hasOwn(issuer.roles, name) ? (issuer.roles[name] as string) : name),
  );
  return permissions.filter(
    permission =>
      bundleOf(permission) !== 'admin' &&
      (!roles || roles.some(role => role !== null && permissionsOf(role).has(permission))),
  );
}
