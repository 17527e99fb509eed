/** A short run of the fuzzing, the same each time; test/heavy/fuzz.heavy.test.ts has a long one. */
import { fuzzSuite } from './fuzz-suite.ts';

await fuzzSuite({ numRuns: 12, seed: 20_260_401, share: 6 });
