/**
 * Keys of organizations for model providers: the secret `providers/<provider>/api-key`. It is looked up when a call
 * is made and kept for a moment only, so that a new key is used and a revoked one is not, everywhere, within that
 * time. Where the provider no longer takes the key that was kept, the call is made again with the one in force.
 */
import { Cache } from '../../base/cache.ts';
import type { Clock } from '../../base/time.ts';
import type { Db } from '../../platform/db/db.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';
import { keptMs, openSecret } from '../secrets/secrets.ts';
import type { ModelCatalog, ProviderKeys, ResolvedModel } from './catalog.ts';
import type { ModelCallOptions, ModelOutcome, ModelRequest } from './port.ts';

export const providerKeyName = (provider: string): string => `providers/${provider}/api-key`;

/** Keys of the deployment that can be read again while the server runs: provider → where it comes from. */
export interface DeploymentKeys {
  sources: ReadonlyMap<string, string>;
  reader: { read(reference: string): Promise<string>; readAgain(reference: string): Promise<string> };
}

/** @param deployment where an organization without a key of its own gets one; without it the driver has it. */
export function openProviderKeys(
  db: Db,
  sealer: Sealer,
  clock: Clock,
  deployment?: DeploymentKeys,
): ProviderKeys {
  const kept = new Cache<string | null>(clock, keptMs, 10_000);
  const nameOf = (organizationId: string, provider: string) => `${organizationId} ${provider}`;
  const read = (organizationId: string, provider: string) =>
    openSecret(db, sealer, new Date(clock.now()), organizationId, providerKeyName(provider));
  const sourceOf = (provider: string) => deployment?.sources.get(provider);
  const findOwn = (organizationId: string, provider: string) =>
    kept.get(nameOf(organizationId, provider), () => read(organizationId, provider));
  return {
    async find(organizationId, provider) {
      const source = sourceOf(provider);
      const own = await findOwn(organizationId, provider);
      return own ?? (source && deployment ? deployment.reader.read(source) : null);
    },
    async findAgain(organizationId, provider) {
      kept.forget(nameOf(organizationId, provider));
      const source = sourceOf(provider);
      const own = await findOwn(organizationId, provider);
      return own ?? (source && deployment ? deployment.reader.readAgain(source) : null);
    },
  };
}

/** A call to a model with the organization's key for it, if there is one. */
export async function callWithKey(
  catalog: ModelCatalog,
  organizationId: string,
  { driver, provider }: ResolvedModel,
  request: ModelRequest,
  options: ModelCallOptions,
): Promise<ModelOutcome> {
  const key = (await catalog.keys?.find(organizationId, provider)) ?? null;
  const call = (api_key: string | null) =>
    driver.call(request, api_key === null ? options : { ...options, api_key });
  const outcome = await call(key);
  if (outcome.ok || outcome.failure.kind !== 'unauthorized' || key === null) return outcome;
  const inForce = await catalog.keys?.findAgain(organizationId, provider);
  return inForce && inForce !== key ? call(inForce) : outcome;
}
