/** Passkeys in the browser: the server's question goes to the device, its answer back as JSON. */
import { ApiError, api, value, write } from '../api/client.ts';

/** What the browser's own types do not know yet. */
interface Parsing {
  parseRequestOptionsFromJSON(options: unknown): PublicKeyCredentialRequestOptions;
  parseCreationOptionsFromJSON(options: unknown): PublicKeyCredentialCreationOptions;
}

export const browserHasPasskeys =
  typeof PublicKeyCredential === 'function' &&
  'parseRequestOptionsFromJSON' in (PublicKeyCredential as object);

const parsing = (): Parsing => PublicKeyCredential as unknown as Parsing;

type Answer = { id: string; type: string } & Record<string, unknown>;
const answerOf = (credential: Credential | null): Answer => {
  if (!credential) throw new Error('The device gave no answer.');
  return (credential as PublicKeyCredential).toJSON() as unknown as Answer;
};

/** The device was turned away from, or took too long: no fault, and nothing to report. */
export const isTurnedAway = (error: unknown): boolean =>
  error instanceof DOMException && ['NotAllowedError', 'AbortError'].includes(error.name);

export async function signInWithPasskey(): Promise<void> {
  const options = await value(api.POST('/api/v1/auth/passkey/options'));
  const credential = await navigator.credentials.get({
    publicKey: parsing().parseRequestOptionsFromJSON(options),
  });
  await value(api.POST('/api/v1/auth/passkey', { body: { response: answerOf(credential) } }));
}

export async function addPasskey(name: string): Promise<void> {
  const options = await write(() => api.POST('/api/v1/account/passkeys/options'));
  let credential: Credential | null;
  try {
    credential = await navigator.credentials.create({
      publicKey: parsing().parseCreationOptionsFromJSON(options),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'InvalidStateError')
      throw new ApiError({
        ...{ status: 409, code: 'passkey_known', request_id: null },
        title: 'This device has a passkey for your account already.',
      });
    throw error;
  }
  await write(() => api.POST('/api/v1/account/passkeys', { body: { name, response: answerOf(credential) } }));
}
