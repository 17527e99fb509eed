/**
 * The address that a request comes from. Behind trusted proxies it is the last address of X-Forwarded-For that is
 * not one of theirs; from anybody else that header is only a claim and is not looked at.
 */
import type { FastifyRequest } from 'fastify';
import { countedAs } from '../../base/addresses.ts';

/** The address of whoever sent a request, in the form in which it is counted. */
export function addressOf(request: Pick<FastifyRequest, 'ip' | 'socket'>): string {
  // What a trusted proxy passed on without looking may be anything: then the proxy itself is counted.
  return countedAs(request.ip) ?? countedAs(request.socket.remoteAddress) ?? 'unknown';
}
