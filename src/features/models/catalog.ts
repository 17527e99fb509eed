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

/** @throws Problem `model_unknown`, `model_key_missing`. */
export function resolveModel(catalog: ModelCatalog, name: string): ResolvedModel {
  const full = name === 'default' ? catalog.defaultModel : name;
  const slash = full.indexOf('/');
  const provider = full.slice(0, Math.max(slash, 0));
  const model = full.slice(slash + 1);
  const driver = catalog.drivers.get(provider);
  if (slash > 0 && model !== '' && driver) return { driver, provider, model };
  const setting = neededSetting.get(provider);
  if (setting) {
    throw new Problem(
      'invalid',
      'model_key_missing',
      `The model ${full} needs ${setting}: set it and start again, or choose another model with GUILDHALL_MODEL.`,
    );
  }
  const known = [...new Set([...catalog.drivers.keys(), ...neededSetting.keys()])].sort();
  throw new Problem(
    'invalid',
    'model_unknown',
    `There is no model ${full}: write <provider>/<model> with one of the providers ${known.join(', ')}.`,
  );
}
