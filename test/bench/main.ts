/**
 * `npm run bench`: every figure beside the raw limit, measured in the same run and interleaved, so that the ratio
 * holds on a busy machine too. Prints; asserts nothing. Arguments: runs per round, rounds.
 */
import { openDb, openPool } from '../../src/platform/db/db.ts';
import { bareRound, ourRound, type RoundResult, startOurs } from './durable-run.ts';
import { bareLatency, ourLatency } from './latency.ts';
import { measureRequests } from './requests.ts';

const runs = Number(process.argv[2] ?? 500);
const rounds = Number(process.argv[3] ?? 5);
const concurrency = 50;
const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const guildhall = await startOurs();
const { database } = guildhall;
const ownerPool = openPool({ ...database.owner, max: 2 }, () => {});
const pool = openPool({ ...database.system, max: 20 }, () => {});
const bareOnce = (n: number) =>
  bareRound(openDb(ownerPool), String(database.system.user), pool, concurrency, n);
await bareOnce(50);
await ourRound(guildhall, concurrency, 50);
const results: { bare: RoundResult; ours: RoundResult }[] = [];
for (let i = 0; i < rounds; i++) {
  results.push({ bare: await bareOnce(runs), ours: await ourRound(guildhall, concurrency, runs) });
}
const show = (r: RoundResult[]) =>
  `${median(r.map(x => x.runsPerSecond))
    .toFixed(0)
    .padStart(5)} runs/s  ${median(r.map(x => x.cpuMsPerRun)).toFixed(2)} ms CPU/run`;
console.log(
  `durable run of 10 steps x 2 KB: ${runs} runs, ${concurrency} in flight, median of ${rounds} interleaved rounds`,
);
console.log(`  bare one-transaction journal  ${show(results.map(r => r.bare))}`);
console.log(`  guildhall                     ${show(results.map(r => r.ours))}`);
const ratio = median(results.map(r => r.ours.runsPerSecond / r.bare.runsPerSecond));
console.log(`  ratio                         ${ratio.toFixed(2)} (at least 0.7 is wanted)`);
const bare = await bareLatency(pool, 60);
const ours = await ourLatency(guildhall, 60);
console.log('enqueue → first step, ms');
console.log(`  bare graphile-worker job      p50 ${bare.p50.toFixed(1)}  p95 ${bare.p95.toFixed(1)}`);
console.log(`  guildhall                     p50 ${ours.p50.toFixed(1)}  p95 ${ours.p95.toFixed(1)}`);
console.log(`  ratio                         ${(ours.p50 / bare.p50).toFixed(2)} (at most 1.5 is wanted)`);
await pool.end();
await ownerPool.end();
await guildhall[Symbol.asyncDispose]();
await database[Symbol.asyncDispose]();
await measureRequests();
