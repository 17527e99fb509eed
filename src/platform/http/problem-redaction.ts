/** Problem documents may quote what went wrong: no known secret goes out with them. */
import type { Redactor } from '../secrets/redactor.ts';
import type { Server } from './server.ts';

export function redactProblems(server: Server, redactor: Redactor): void {
  server.addHook('onSend', async (_request, reply, payload) => {
    const type = reply.getHeader('content-type');
    const isProblem = typeof type === 'string' && type.startsWith('application/problem+json');
    return isProblem && typeof payload === 'string' ? redactor.redactJson(payload) : payload;
  });
}
