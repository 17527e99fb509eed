/**
 * The port to places that keep secrets for the deployment, and the references by which settings name what is there:
 *
 *   file:///run/secrets/database              a file that only its owner can read
 *   env://NAME                                the variable NAME, or the file that NAME_FILE names
 *   vault://mount/path?version=3#field        HashiCorp Vault, KV version 2
 *   aws-sm://name?stage=AWSPREVIOUS#field     AWS Secrets Manager; without a field the whole text
 */
import { Problem } from '../../base/problem.ts';

export const schemes = ['file', 'env', 'vault', 'aws-sm'] as const;
export type Scheme = (typeof schemes)[number];

export interface SecretReference {
  scheme: Scheme;
  path: string;
  /** A version or stage to read instead of the current one. */
  version: string | null;
  field: string | null;
}

export interface SecretStore {
  readonly scheme: Scheme;
  /**
   * Reads a value, now. @throws Problem `secret_missing`, `secret_forbidden`, `secret_file_open`,
   * `secret_store_unavailable` (the only one where a retry may help). None repeats a value.
   */
  read(reference: SecretReference): Promise<string>;
  close(): Promise<void>;
}

/** Values of secrets are texts of at most this size. */
export const largestSecretBytes = 65_536;

const form = /^(file|env|vault|aws-sm):\/\/([^?#]+)(?:\?(?:version|stage)=([A-Za-z0-9._-]+))?(?:#([^#]+))?$/;

/** A text as a reference; null when it is an ordinary value. @throws Problem `secret_reference_invalid`. */
export function parseReference(text: string): SecretReference | null {
  if (!/^(file|env|vault|aws-sm):/.test(text)) return null;
  const [, scheme, path = '', version = null, field = null] = form.exec(text) ?? [];
  const segments = path.split('/');
  const climbs = segments.includes('..') || segments.includes('.');
  const wanting =
    (scheme === 'file' && !path.startsWith('/')) ||
    (scheme === 'vault' && (field === null || segments.length < 2 || segments.includes('')));
  if (scheme && path !== '' && !climbs && !wanting) return { scheme: scheme as Scheme, path, version, field };
  throw new Problem(
    'invalid',
    'secret_reference_invalid',
    'A reference to a secret is file:///path, env://NAME, vault://mount/path#field or aws-sm://name#field.',
  );
}

/** A reference for messages: it names the place, which is no secret. */
export function showReference({ scheme, path, version, field }: SecretReference): string {
  return `${scheme}://${path}${version ? `?version=${version}` : ''}${field ? `#${field}` : ''}`;
}

export const secretMissing = (reference: SecretReference, why: string): Problem =>
  new Problem('missing', 'secret_missing', `${showReference(reference)}: ${why}.`);

export const secretForbidden = (reference: SecretReference, why: string): Problem =>
  new Problem('forbidden', 'secret_forbidden', `${showReference(reference)}: ${why}.`);

export const storeUnavailable = (reference: SecretReference, why: string, cause?: unknown): Problem =>
  new Problem('unavailable', 'secret_store_unavailable', `${showReference(reference)}: ${why}.`, { cause });

/** A field of a value that is a JSON object, or the whole value. */
export function fieldOf(reference: SecretReference, values: unknown): string {
  const { field } = reference;
  const value =
    field !== null && values !== null && typeof values === 'object' && Object.hasOwn(values, field)
      ? (values as Record<string, unknown>)[field]
      : undefined;
  if (typeof value === 'string' && value !== '') return value;
  throw secretMissing(reference, `there is no text under ${field}`);
}
