/**
 * Methods: what exists under another method is 405 with the ones that there are, and OPTIONS tells them. TRACE, which
 * would repeat credentials to whoever asks, is never one of them.
 */
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { Problem } from '../../base/problem.ts';
import type { Server } from './server.ts';

/** Answers OPTIONS. @returns what to answer for an address that no route has. */
export function knowMethods(server: Server): (request: FastifyRequest, reply: FastifyReply) => Problem {
  const routes: { pattern: RegExp; methods: Set<string> }[] = [];
  const byUrl = new Map<string, Set<string>>();
  server.addHook('onRoute', (route: RouteOptions) => {
    if (route.url === '*') return; // Preflights of any address.
    let methods = byUrl.get(route.url);
    if (!methods) {
      methods = new Set();
      byUrl.set(route.url, methods);
      routes.push({ pattern: patternOf(route.url), methods });
    }
    for (const method of [route.method].flat()) methods.add(method);
  });
  const methodsOf = (request: FastifyRequest): string[] => {
    const path = request.url.split('?')[0] as string;
    return [
      ...new Set(routes.flatMap(({ pattern, methods }) => (pattern.test(path) ? [...methods] : []))),
    ].sort();
  };
  const missing = (request: FastifyRequest): Problem =>
    new Problem(
      'missing',
      'route_missing',
      `There is nothing at ${request.method} ${request.url.split('?')[0]}.`,
    );
  server.addHook('onRequest', async (request, reply) => {
    if (request.method !== 'OPTIONS') return;
    const methods = methodsOf(request);
    if (methods.length === 0) throw missing(request);
    return reply
      .status(204)
      .header('allow', [...methods, 'OPTIONS'].join(', '))
      .send();
  });
  return (request, reply) => {
    const methods = methodsOf(request);
    // A route of files that found none of them: the method was right.
    if (methods.length === 0 || methods.includes(request.method)) return missing(request);
    reply.header('allow', [...methods, 'OPTIONS'].join(', '));
    return new Problem(
      'invalid',
      'method_not_allowed',
      `${request.method} is not among what can be done there: ${methods.join(', ')}.`,
      { status: 405 },
    );
  };
}

function patternOf(url: string): RegExp {
  const escaped = url.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replace(/:[A-Za-z_]+/g, '[^/]+').replace(/\*/g, '.*')}/?$`);
}
