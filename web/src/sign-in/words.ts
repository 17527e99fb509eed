/** What the server says in the address when it sends the browser back from an outside provider, in words. */
const problems: Record<string, string> = {
  access_denied: 'You turned back at the provider.',
  account_already_linked_to_different_user: 'This account of the provider is joined to somebody else here.',
  account_not_linked:
    'There is an account with your e-mail address here. Sign in to it with its password, then join the provider under “Account”.',
  domain_not_allowed: 'People of your domain are not let in here.',
  email_does_not_match: 'The provider knows you by another e-mail address than your account here.',
  email_not_found: 'The provider did not tell your e-mail address, which is needed.',
  email_not_verified: 'The provider has not verified your e-mail address. Do that there first.',
  signup_disabled: 'New people do not get in by this provider: ask an admin for an invitation.',
  state_mismatch: 'This sign-in took too long, or began in another browser. Try again.',
  unable_to_link_account: 'The provider could not be joined: it has not verified your e-mail address.',
};

export const problemOfProvider = (code: string): string =>
  problems[code] ?? 'The provider could not sign you in. Try again, or another way.';
