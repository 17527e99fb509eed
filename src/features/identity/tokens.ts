/**
 * Signed tokens (JWT). Ours are made from an API key or for a service account, live for minutes and can do what they
 * name and what they were made from still may: the key or the account is looked up with every request, so a token dies
 * with it. Only EdDSA by a key of ours is believed; tokens of other issuers are the matter of external-tokens.ts.
 */
import { randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { type Clock, minutes } from '../../base/time.ts';
import type { TokenIssuer } from '../../base/token-issuer.ts';
import type { Reader } from '../../platform/db/db.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';
import type { ReadToken } from './access.ts';
import { openExternalTokens } from './external-tokens.ts';
import { type Finding, findKeyOwnerById, findServiceAccount } from './find-principal.ts';
import { permissionsNamed } from './permissions.ts';
import { narrowed, type Principal } from './principal.ts';
import { currentSigningKey, findVerificationKey, openPrivateKey } from './signing-keys.ts';

export interface TokenSettings {
  /** What tokens say in `iss` and `aud`: the address of this deployment. */
  issuer: string;
  lifeMinutes: number;
  /** Refused when issued longer ago, whatever they say about their end. */
  maxAgeMinutes: number;
  /** How far clocks may differ. */
  skewSeconds: number;
  external: TokenIssuer[];
}

/** RFC 9068: a token for access, so that no other kind of token of ours is taken for one. */
const type = 'at+jwt';
const subjectForm = /^(member:mem|service:svc)_[0-9a-hjkmnp-tv-z]{26}$/;

/** What a new token stands for. */
export interface TokenInput {
  /** `member:mem_…` or `service:svc_…`. */
  subject: string;
  organizationId: string;
  /** The key that it is made from; null: made for a service account by somebody who may. */
  keyId: string | null;
  /** Bundles and permissions; null: all that the key names. */
  scopes: string[] | null;
  projectIds: string[] | null;
  /** Minutes; at most those of the settings. */
  lifeMinutes: number;
}

/** @returns the token and when it ends. */
export async function issueToken(
  db: Reader,
  now: Date,
  sealer: Sealer,
  settings: TokenSettings,
  input: TokenInput,
): Promise<{ token: string; id: string; expiresAt: Date }> {
  const key = await currentSigningKey(db, sealer, now);
  const life = minutes(Math.min(input.lifeMinutes, settings.lifeMinutes));
  const expiresAt = new Date(now.getTime() + life);
  const id = randomUUID();
  const token = await new SignJWT({
    org: input.organizationId,
    ...(input.keyId ? { key: input.keyId } : {}),
    ...(input.scopes ? { scope: input.scopes.join(' ') } : {}),
    ...(input.projectIds ? { projects: input.projectIds } : {}),
  })
    .setProtectedHeader({ alg: 'EdDSA', kid: key.id, typ: type })
    .setIssuer(settings.issuer)
    .setAudience(settings.issuer)
    .setSubject(input.subject)
    .setJti(id)
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(expiresAt)
    .sign(await openPrivateKey(sealer, key));
  return { token, id, expiresAt };
}

/** A reader of tokens: ours and those of the issuers that are trusted. Whatever is wrong with one, it is null. */
export function openTokenReader(clock: Clock, settings: TokenSettings): ReadToken {
  const external = openExternalTokens(clock, settings.external, settings.skewSeconds);
  return async (finding, token) => {
    try {
      // Not believed yet: only to see whose keys it has to be checked with.
      const { iss } = decodeJwt(token);
      return iss === settings.issuer
        ? await readOwn(finding, settings, token)
        : await external(finding, token);
    } catch {
      return null;
    }
  };
}

async function readOwn(finding: Finding, settings: TokenSettings, token: string): Promise<Principal | null> {
  const { kid } = decodeProtectedHeader(token);
  const key = kid ? await findVerificationKey(finding.db, finding.now, kid) : null;
  if (!key) return null;
  const { payload } = await jwtVerify(token, key, {
    algorithms: ['EdDSA'],
    issuer: settings.issuer,
    audience: settings.issuer,
    typ: type,
    clockTolerance: settings.skewSeconds,
    maxTokenAge: settings.maxAgeMinutes * 60,
    currentDate: finding.now,
    requiredClaims: ['sub', 'org', 'jti', 'iat', 'nbf', 'exp'],
  });
  const principal = await ownerOf(finding, payload);
  if (!principal || payload.org !== principal.actor.organizationId || payload.sub !== principal.actor.id)
    return null;
  return narrowed(principal, {
    via: 'token',
    names: typeof payload.scope === 'string' ? payload.scope.split(' ') : null,
    projectIds: Array.isArray(payload.projects) ? payload.projects.map(String) : null,
  });
}

/** Who a token of ours is of: its key's owner, while the key is valid, or the service account it was made for. */
function ownerOf(finding: Finding, { sub, key }: JWTPayload): Promise<Principal | null> | null {
  if (typeof sub !== 'string' || !subjectForm.test(sub)) return null;
  if (typeof key === 'string') return findKeyOwnerById(finding, key);
  const [kind, id = ''] = sub.split(':');
  return kind === 'service'
    ? findServiceAccount(finding, id, {
        narrowing: { permissions: permissionsNamed(['read', 'write', 'admin']), projectIds: null },
      })
    : null;
}
