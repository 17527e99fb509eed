/** What redaction costs, beside copying the same text: `node test/bench/redaction.ts`. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRedactor } from '../../src/platform/secrets/redactor.ts';

const source = readFileSync(join(import.meta.dirname, '../../src/app.ts'), 'utf8');
const text = source.repeat(Math.ceil(500_000 / source.length));
const line = JSON.stringify({ level: 'info', service: 'api', message: source.slice(0, 520) });

/** Microseconds of one call, the best of some rounds. */
function cost(work: () => unknown, times: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    for (let n = 0; n < times; n++) work();
    best = Math.min(best, ((performance.now() - start) * 1_000) / times);
  }
  return best;
}

process.stdout.write('secrets known   log line, µs   steps and events, MB/s\n');
for (const known of [0, 1, 10, 100, 1_000, 5_000]) {
  const redactor = createRedactor();
  for (let n = 0; n < known; n++) redactor.learn(`sk-${randomBytes(24).toString('base64url')}`);
  const perLine = cost(() => redactor.redactJson(line), 2_000);
  const speed = text.length / cost(() => redactor.redactValues(text), 5);
  process.stdout.write(
    `${String(known).padStart(13)}${perLine.toFixed(1).padStart(15)}${speed.toFixed(0).padStart(25)}\n`,
  );
}
process.stdout.write(
  `raw: JSON.stringify of such a line ${cost(() => JSON.stringify(JSON.parse(line)), 2_000).toFixed(1)} µs\n`,
);
