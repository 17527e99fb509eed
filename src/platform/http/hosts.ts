/**
 * The names that the server answers to. A page of somebody else whose name is made to point at this server (DNS
 * rebinding) would be of the same origin for a browser; but its name stands in `Host`, and that is refused.
 */
import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { Problem } from '../../base/problem.ts';
import type { Server } from './server.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A probe: it is reached by whatever address the machine has, but never by a foreign name. */
    probe?: boolean;
  }
}

export interface HostOptions {
  publicUrl: string | null;
  /** Further names, each with or without a port. */
  allowed: readonly string[];
}

/** Refuses requests for other hosts. */
export function requireHost(server: Server, options: HostOptions): void {
  const allowed = new Set(options.allowed.map(name => name.toLowerCase()));
  if (options.publicUrl) allowed.add(new URL(options.publicUrl).host.toLowerCase());
  server.addHook('onRequest', async request => {
    if (isAllowed(request, allowed)) return;
    throw new Problem(
      'invalid',
      'host_not_allowed',
      'This server does not answer to that name. Open it by its own address, or set GUILDHALL_PUBLIC_URL or GUILDHALL_ALLOWED_HOSTS to the name that it should have.',
      { status: 421 },
    );
  });
}

function isAllowed(request: FastifyRequest, allowed: ReadonlySet<string>): boolean {
  const host = request.host.toLowerCase();
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/.exec(host);
  if (!match) return false;
  const name = match[1] as string;
  if (allowed.has(host) || allowed.has(name)) return true;
  const address = name.replace(/^\[|\]$/g, '');
  if (request.routeOptions.config?.probe && isIP(address) !== 0) return true;
  // By the address that the connection came to, on its port.
  const { localAddress = '', localPort } = request.socket;
  if (Number(match[2] ?? 80) !== localPort) return false;
  const local = localAddress.replace(/^::ffff:/, '');
  return address === local || (name === 'localhost' && isLoopback(local));
}

const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.');
