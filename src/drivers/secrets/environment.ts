/** Secrets in the environment: the variable itself, or better the file that `<NAME>_FILE` names. */
import { type SecretStore, secretMissing } from '../../platform/secrets/port.ts';
import { readSecretFile } from './file.ts';

export function createEnvironmentStore(env: Readonly<Record<string, string | undefined>>): SecretStore {
  return {
    scheme: 'env',
    async read(reference) {
      const file = env[`${reference.path}_FILE`];
      if (file) return readSecretFile(reference, file);
      const value = env[reference.path];
      if (value) return value;
      throw secretMissing(reference, `neither ${reference.path} nor ${reference.path}_FILE is set`);
    },
    close: async () => {},
  };
}
