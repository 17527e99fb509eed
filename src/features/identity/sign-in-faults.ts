/** What went wrong with a sign-in, in our words: the library's codes become problems that say what to do. */
import { Problem, type ProblemKind } from '../../base/problem.ts';

type Told = [kind: ProblemKind, code: string, title: string];

const credentialsWrong: Told = [
  'unauthenticated',
  'credentials_wrong',
  'E-mail address or password is wrong.',
];
const beginAgain: Told = [
  'unauthenticated',
  'second_step_expired',
  'This sign-in took too long or had too many wrong codes. Begin again with your password.',
];
const passkeyRefused: Told = [
  'unauthenticated',
  'passkey_refused',
  'This passkey is not known here, or your device did not confirm that it is you.',
];
const passkeyExpired: Told = [
  'unauthenticated',
  'passkey_expired',
  'Your device took too long to answer. Try again.',
];
const passwordWrong: Told = ['forbidden', 'password_wrong', 'The password is wrong.'];
const codeWrong: Told = ['unauthenticated', 'code_wrong', 'The code is wrong, or was used before.'];

const told: Record<string, Told> = {
  invalid_email_or_password: credentialsWrong,
  invalid_email: credentialsWrong,
  password_too_long: credentialsWrong,
  invalid_password: passwordWrong,
  invalid_code: codeWrong,
  invalid_backup_code: codeWrong,
  invalid_two_factor_cookie: beginAgain,
  too_many_attempts_request_new_code: beginAgain,
  account_temporarily_locked: [
    'exhausted',
    'second_factor_locked',
    'Too many wrong codes: wait a quarter of an hour, then sign in again.',
  ],
  challenge_not_found: passkeyExpired,
  passkey_not_found: passkeyRefused,
  authentication_failed: passkeyRefused,
  person_not_verified: passkeyRefused,
  failed_to_verify_registration: [
    'invalid',
    'passkey_not_added',
    'The passkey could not be added. On a server without a public address, open the page by the name localhost.',
  ],
  totp_already_enabled: ['conflict', 'second_factor_on', 'A second factor is set up already.'],
  totp_not_enabled: ['conflict', 'second_factor_off', 'No second factor is set up.'],
  two_factor_not_enabled: ['conflict', 'second_factor_off', 'No second factor is set up.'],
  backup_codes_not_enabled: ['conflict', 'second_factor_off', 'No second factor is set up.'],
  session_not_fresh: ['forbidden', 'sign_in_again', 'Sign in again first: this needs a sign-in of today.'],
  provider_not_found: [
    'missing',
    'provider_missing',
    'There is no such provider, or it does not answer just now.',
  ],
  unauthorized: ['unauthenticated', 'sign_in_required', 'Sign in first.'],
};

/** An answer of the library that is not a success, as a problem. */
export function problemOf(answer: {
  status: number;
  fault: string | null;
  body: Record<string, unknown>;
}): Problem {
  const found = told[answer.fault ?? ''];
  if (found) {
    const [kind, code, title] = found;
    return new Problem(kind, code, title, kind === 'exhausted' ? { retryAfterSeconds: 900 } : {});
  }
  if (answer.status >= 500) {
    const cause = new Error(`the sign-in library answered ${answer.status} ${answer.fault ?? ''}`);
    return new Problem(
      'bug',
      'internal_error',
      'Something went wrong on our side. The request id finds it in the log.',
      { cause },
    );
  }
  const status = answer.status === 401 ? 'unauthenticated' : answer.status === 403 ? 'forbidden' : 'invalid';
  return new Problem(
    status,
    'sign_in_refused',
    'This was refused. Begin again, and if it stays so, ask an admin.',
    {
      cause: answer.fault ?? undefined,
    },
  );
}

/** Codes that a way back from a provider may carry to the page, which has a sentence for each. */
const ofProviders = new Set([
  'access_denied',
  'account_not_linked',
  'account_already_linked_to_different_user',
  'domain_not_allowed',
  'email_does_not_match',
  'email_not_found',
  'email_not_verified',
  'signup_disabled',
  'state_mismatch',
  'unable_to_link_account',
]);

export const providerFault = (code: string | null): string => {
  const known = (code ?? '')
    .toLowerCase()
    .replaceAll("'t", '')
    .replaceAll(/[^a-z]+/g, '_');
  return ofProviders.has(known) ? known : 'provider_failed';
};
