/**
 * A long run of the fuzzing, another one each time: `FUZZ_SEED=<seed> FUZZ_RUNS=<number> node --test
 * test/heavy/fuzz.heavy.test.ts` runs one again, or a longer one.
 */
import { randomInt } from 'node:crypto';
import { fuzzSuite } from '../surface/fuzz-suite.ts';

const seed = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 31));
process.stdout.write(`# FUZZ_SEED=${seed}\n`);
await fuzzSuite({ numRuns: Number(process.env.FUZZ_RUNS ?? 60), seed, share: Infinity });
