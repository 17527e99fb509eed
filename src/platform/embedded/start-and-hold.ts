/**
 * A program for tests and for trying things by hand: starts the embedded server of a data directory, says how to
 * reach it as one JSON line, and holds it until SIGTERM. Being killed instead is what the tests want to see.
 *
 *   node src/platform/embedded/start-and-hold.ts <data directory> [<system directory>]
 */
import { toProblem } from '../../base/problem.ts';
import { startEmbeddedPostgres } from './postgres.ts';

const [dataDir = '.guildhall', systemDir] = process.argv.slice(2);
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

try {
  const server = await startEmbeddedPostgres({ dataDir, systemDir, log: line => say({ log: line }) });
  const hold = setInterval(() => {}, 60_000);
  process.once('SIGTERM', async () => {
    await server.stop();
    clearInterval(hold);
  });
  say({ ready: { pid: server.pid, adopted: server.adopted, owner: server.owner, app: server.app } });
} catch (error) {
  const { code, message, cause } = toProblem(error);
  say({ problem: { code, message, cause: String(cause ?? error) } });
  process.exitCode = 1;
}
