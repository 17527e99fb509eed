/**
 * Models that can be called here: `<provider>/<model>` names a driver and what is asked of it. `default` in an
 * agent's definition is the installation's default.
 */
import { Problem } from '../../base/problem.ts';
import type { ModelDriver, ModelTimeouts } from './port.ts';

export interface ModelCatalog {
  drivers: ReadonlyMap<string, ModelDriver>;
  /** `<provider>/<model>`. */
  defaultModel: string;
  timeouts: ModelTimeouts;
  /** Providers without a key of the deployment: only organizations that brought their own may call them. */
  keyless?: ReadonlySet<string>;
  /** Keys that organizations brought. */
  keys?: ProviderKeys;
}

/** Keys of organizations for their calls, instead of the deployment's. */
export interface ProviderKeys {
  /** Null: the organization has none for this provider. */
  find(organizationId: string, provider: string): Promise<string | null>;
  /** The same, looked up now rather than a moment ago. */
  findAgain(organizationId: string, provider: string): Promise<string | null>;
}

export interface ResolvedModel {
  driver: ModelDriver;
  provider: string;
  model: string;
}

/** Variable that brings each provider in. */
const neededSetting = new Map([
  ['anthropic', 'ANTHROPIC_API_KEY'],
  ['openai', 'OPENAI_API_KEY'],
  ['openai-compatible', 'OPENAI_BASE_URL'],
]);

/** The model for an organization, which may have brought the key. @throws Problem `model_unknown`, `model_key_missing`. */
export async function resolveModelFor(
  catalog: ModelCatalog,
  organizationId: string,
  name: string,
): Promise<ResolvedModel> {
  const full = name === 'default' ? catalog.defaultModel : name;
  const provider = full.slice(0, Math.max(full.indexOf('/'), 0));
  const brought =
    catalog.keyless?.has(provider) === true &&
    ((await catalog.keys?.find(organizationId, provider)) ?? null) !== null;
  return resolveModel(catalog, name, brought);
}

/**
 * @param keyBrought whether the organization in question has a key of its own for the provider.
 * @throws Problem `model_unknown`, `model_key_missing`.
 */
export function resolveModel(catalog: ModelCatalog, name: string, keyBrought = false): ResolvedModel {
  const full = name === 'default' ? catalog.defaultModel : name;
  const slash = full.indexOf('/');
  const provider = full.slice(0, Math.max(slash, 0));
  const model = full.slice(slash + 1);
  const driver = catalog.drivers.get(provider);
  const keyless = catalog.keyless?.has(provider) === true && !keyBrought;
  if (slash > 0 && model !== '' && driver && !keyless) return { driver, provider, model };
  const setting = neededSetting.get(provider);
  if (setting) {
    throw new Problem(
      'invalid',
      'model_key_missing',
      `The model ${full} needs ${setting}: set it and start again, set the secret providers/${provider}/api-key, or choose another model with GUILDHALL_MODEL.`,
    );
  }
  const known = [...new Set([...catalog.drivers.keys(), ...neededSetting.keys()])].sort();
  throw new Problem(
    'invalid',
    'model_unknown',
    `There is no model ${full}: write <provider>/<model> with one of the providers ${known.join(', ')}.`,
  );
}
