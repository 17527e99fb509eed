/** Ends a sandbox: its commands, its control group, its pipes. The workspace stays. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Box } from './box.ts';

const pauseMs = 2;

export async function closeBox(box: Box): Promise<void> {
  box.closed = true;
  for (const cancel of box.running) cancel();
  // Commands wait for their processes themselves, with a bound.
  while (box.running.size > 0) await sleep(pauseMs);
  await box.host.groups?.remove(box.spec.id);
  box.channels.remove();
}
