/**
 * The file of trusted issuers of tokens (`GUILDHALL_TOKEN_ISSUERS_FILE`): JSON without secrets, since only public keys
 * are needed. It is read whole, and every fault is told at once.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type TokenIssuer, tokenAlgorithms } from '../base/token-issuer.ts';

const variable = 'GUILDHALL_TOKEN_ISSUERS_FILE';

/** Whoever answers at this address decides who is let in: in clear only within the host. */
function isSafe(text: string): boolean {
  const url = URL.parse(text);
  const isLocal = url !== null && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal);
}

const issuer = z.strictObject({
  issuer: z.string().min(1).max(500),
  jwks_url: z.url().refine(isSafe, 'must begin with https:// (http:// only on this host)'),
  audience: z.string().min(1).max(500),
  algorithms: z.array(z.enum(tokenAlgorithms)).min(1),
  claims: z
    .strictObject({
      subject: z.string().min(1).default('sub'),
      organization: z.string().min(1).nullable().default(null),
      roles: z.string().min(1).nullable().default(null),
    })
    .default({ subject: 'sub', organization: null, roles: null }),
  max_age_minutes: z.number().int().min(1).max(1_440).default(60),
  roles: z.record(z.string(), z.string()).default({}),
  rules: z
    .array(
      z.strictObject({
        subject: z
          .string()
          .min(1)
          .max(500)
          .regex(/^[^*]+\*?$/, 'a `*` may only stand at the end, after something'),
        organization: z.string().min(1).nullable().default(null),
        principal: z
          .string()
          .regex(
            /^(member:mem|service:svc)_[0-9a-hjkmnp-tv-z]{26}$/,
            'must be member:mem_… or service:svc_…',
          ),
      }),
    )
    .min(1)
    .max(1_000),
});
const file = z.strictObject({ issuers: z.array(issuer).max(20) });

export function readTokenIssuers(path: string): { issuers: TokenIssuer[]; faults: string[] } {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof SyntaxError ? 'is not JSON' : 'cannot be read';
    return { issuers: [], faults: [`${variable}: ${path} ${reason}`] };
  }
  const parsed = file.safeParse(json);
  if (!parsed.success) {
    return {
      issuers: [],
      faults: parsed.error.issues.map(i => `${variable}: ${i.path.join('.')}: ${i.message}`),
    };
  }
  const names = parsed.data.issuers.map(i => i.issuer);
  const faults = [...new Set(names.filter((name, at) => names.indexOf(name) !== at))].map(
    name => `${variable}: there are two issuers ${name}`,
  );
  const issuers = parsed.data.issuers.map(({ jwks_url, max_age_minutes, ...rest }) => ({
    ...rest,
    jwksUrl: jwks_url,
    maxAgeMinutes: max_age_minutes,
  }));
  return { issuers, faults };
}
