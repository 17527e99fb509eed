/**
 * The server that a demo starts: the real one, which in addition stops when its demo is gone, also when that was
 * killed. The channel to the parent closes in both cases. (A second signal would end the server at once, so one that
 * it had already, from Ctrl-C at the terminal, is not repeated.)
 */
import { main } from '../../src/main.ts';

let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (stopping = true));
process.on('disconnect', () => {
  if (!stopping) process.kill(process.pid, 'SIGTERM');
});
process.exitCode = await main(['all']);
if (process.connected) process.disconnect();
