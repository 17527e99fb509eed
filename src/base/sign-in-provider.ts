/** An outside provider that people sign in with, as the operator describes it. */
export interface SignInProvider {
  /** Part of the callback address and of what is stored: never changed. */
  id: string;
  /** What the button says. */
  name: string;
  clientId: string;
  clientSecret: string;
  /** Where it describes itself (OpenID Connect); null: the addresses are given, or it is Google. */
  discoveryUrl: string | null;
  google: { hostedDomain: string | null } | null;
  endpoints: { authorization: string; token: string; userInfo: string } | null;
  scopes: string[];
  /** Only addresses of these domains are let in; none: all. */
  emailDomains: string[];
  claims: { subject: string; email: string; name: string };
  /** `claim`: believed when the provider says so in `email_verified`; `always`: every address that it names. */
  emailVerified: 'claim' | 'always';
  /** Whether people who were never here may come in, at first without access. */
  newPeople: boolean;
}
