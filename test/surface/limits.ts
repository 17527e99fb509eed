/** Limits so wide that a test of something else does not meet them. */
import { defaultQuotas } from '../../src/base/limits.ts';

export const generousLimits: Record<string, string> = {
  GUILDHALL_LIMITS: Object.keys(defaultQuotas)
    .map(name => `${name}=1000000`)
    .join(),
};
