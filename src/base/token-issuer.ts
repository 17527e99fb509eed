/** An issuer of signed tokens that is trusted beside this server, as the operator describes it. */
export interface TokenIssuer {
  /** What its tokens say in `iss`, exactly. */
  issuer: string;
  /** Where its public keys are. */
  jwksUrl: string;
  /** What its tokens must be meant for (`aud`). */
  audience: string;
  algorithms: TokenAlgorithm[];
  /** Names of the claims that say who it is, of which organization, and with which roles; null: not looked at. */
  claims: { subject: string; organization: string | null; roles: string | null };
  /** Tokens issued longer ago are refused, whatever they say about their end. */
  maxAgeMinutes: number;
  /** Names of roles in its tokens → ours. */
  roles: Record<string, string>;
  /** Who a token stands for: the first that fits. */
  rules: TokenRule[];
}

/** Only signatures with a private key: what a verifier could sign itself proves nothing. */
export const tokenAlgorithms = ['EdDSA', 'ES256', 'RS256'] as const;
export type TokenAlgorithm = (typeof tokenAlgorithms)[number];

export interface TokenRule {
  /** The subject; a `*` at the end stands for any rest. */
  subject: string;
  /** What the claim of the organization must say; null: anything. */
  organization: string | null;
  /** `member:mem_…` or `service:svc_…` of this deployment. */
  principal: string;
}
