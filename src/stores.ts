/** The secret stores of this deployment, as its settings have them. */
import { systemClock } from './base/time.ts';
import type { StoreSettings } from './config/references.ts';
import { createAwsStore } from './drivers/secrets/aws.ts';
import { createEnvironmentStore } from './drivers/secrets/environment.ts';
import { createFileStore } from './drivers/secrets/file.ts';
import { createVaultStore } from './drivers/secrets/vault.ts';
import { createSecretReader, type SecretReader } from './platform/secrets/reader.ts';
import { redactor } from './platform/secrets/redactor.ts';

export function openSecretReader(
  { vault, aws }: StoreSettings,
  env: Record<string, string | undefined>,
): SecretReader {
  const clock = systemClock;
  const stores = [createFileStore(), createEnvironmentStore(env)];
  if (vault) stores.push(createVaultStore({ ...vault, clock }));
  if (aws) stores.push(createAwsStore({ ...aws, clock }));
  return createSecretReader(stores, clock, redactor);
}
