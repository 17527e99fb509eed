/**
 * What a route does not know is refused, also where it has no schema: it takes no query then, and no body; and a
 * condition that nobody would look at.
 */
import { Problem } from '../../base/problem.ts';
import type { Server } from './server.ts';

const reads = new Set(['GET', 'HEAD', 'OPTIONS']);

export function refuseUnknown(server: Server): void {
  server.addHook('preValidation', async request => {
    const { schema, config } = request.routeOptions;
    if (request.headers['if-match'] !== undefined && !config.conditional && !reads.has(request.method))
      throw new Problem(
        'invalid',
        'condition_unknown',
        'This address cannot check If-Match: the change would be made whatever happened meanwhile.',
        { status: 400 },
      );
    // Files and the page's own addresses; with them no query does anything.
    if (!schema || (schema as { hide?: boolean }).hide) return;
    const unknown = schema.querystring
      ? []
      : Object.keys(request.query as object).map(name => `query.${name}`);
    if (!schema.body && hasContent(request.body)) unknown.push('body');
    if (unknown.length === 0) return;
    const fields = unknown.map(path => ({ path, message: 'is not known here' }));
    throw new Problem(
      'invalid',
      'request_invalid',
      `The request is not valid: ${unknown.join(', ')} is not known here.`,
      {
        detail: { fields },
      },
    );
  });
}

const hasContent = (body: unknown): boolean =>
  body !== undefined && body !== null && (typeof body !== 'object' || Object.keys(body).length > 0);
