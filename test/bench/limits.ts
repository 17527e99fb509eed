/**
 * What limits cost a request, in one run and by turns: the same route of the same server with their hooks and without,
 * and one question to the limiter for each way it can be answered. `node test/bench/limits.ts`
 */
import pino from 'pino';
import { defaultQuotas, type LimitName, type Quotas } from '../../src/base/limits.ts';
import { systemClock } from '../../src/base/time.ts';
import { limitAddresses, limitPrincipals } from '../../src/platform/http/limits.ts';
import { createServer, type Server } from '../../src/platform/http/server.ts';
import { Limiter } from '../../src/platform/limits/limiter.ts';
import { createPostgresStore } from '../../src/platform/limits/store.ts';
import { openTestDatabase } from '../harness/database.ts';

const rounds = 5;
const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** CPU time of this process for each of so many calls, in microseconds. */
async function cpuMicros(count: number, call: (n: number) => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  for (let n = 0; n < count; n++) await call(n);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

async function makeServer(limiter: Limiter | null): Promise<Server> {
  const server = await createServer({ log: pino({ level: 'silent' }), version: '0.0.0', https: false });
  if (limiter) {
    limitAddresses(server, limiter);
    limitPrincipals(server, limiter, () => ({
      user: 'org_bench member:bench',
      organizationId: 'org_bench',
      apiKeyId: 'key_bench',
      isAgent: false,
    }));
  }
  server.get('/', async () => ({ ok: true }));
  await server.ready();
  return server;
}

await using database = await openTestDatabase();
// Far above what is sent here, each a chunk at a time as the defaults are.
const quotas = Object.fromEntries(
  Object.keys(defaultQuotas).map(name => [name, name === 'login' ? 1_000_000_000 : 100_000_000]),
) as Quotas;
const limiterWith = (more: Partial<Quotas> = {}) =>
  new Limiter({
    store: createPostgresStore(database.db),
    clock: systemClock,
    quotas: { ...quotas, ...more },
    onOutage: reason => {
      throw new Error(reason);
    },
  });

const limiter = limiterWith();
const [plain, limited] = [await makeServer(null), await makeServer(limiter)];
const request = (server: Server) => server.inject({ method: 'GET', url: '/' });
for (let i = 0; i < 2_000; i++) await Promise.all([request(plain), request(limited)]);
const turns: { plain: number; limited: number }[] = [];
for (let i = 0; i < rounds; i++) {
  turns.push({
    plain: await cpuMicros(3_000, () => request(plain)),
    limited: await cpuMicros(3_000, () => request(limited)),
  });
}
const without = median(turns.map(turn => turn.plain));
const withLimits = median(turns.map(turn => turn.limited));
const ratio = median(turns.map(turn => turn.limited / turn.plain));
console.log('the smallest request, in process, CPU');
console.log(`  without limits                ${without.toFixed(0)} µs`);
console.log(`  with limits (5 counters)      ${withLimits.toFixed(0)} µs, ratio ${ratio.toFixed(2)}`);

const take = (of: Limiter, name: LimitName, subject: (n: number) => string) => async (n: number) =>
  of.take(name, subject(n));
const defaults = limiterWith({ ...defaultQuotas });
const exact = limiterWith({ costly: 120 });
console.log('one question to the limiter, CPU of this process');
console.log(
  `  from the chunk held           ${(
    await cpuMicros(
      100_000,
      take(limiter, 'read', () => 'held'),
    )
  ).toFixed(2)} µs`,
);
console.log(
  `  a quota of 6000 used up       ${(
    await cpuMicros(
      6_000,
      take(defaults, 'read', () => 'used'),
    )
  ).toFixed(2)} µs`,
);
console.log(
  `  counted one by one            ${(
    await cpuMicros(
      3_000,
      take(exact, 'costly', n => `exact ${n % 30}`),
    )
  ).toFixed(0)} µs`,
);
console.log(
  `  refused                       ${(
    await cpuMicros(
      50_000,
      take(defaults, 'read', () => 'used'),
    )
  ).toFixed(2)} µs`,
);
await plain.close();
await limited.close();
