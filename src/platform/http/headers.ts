/**
 * Header fields that keep a browser safe, on every answer. Data may do nothing at all in a browser; the page runs
 * what the server marks with a nonce of this one answer, and files of this server, and nothing that stands in between.
 */
import { randomBytes } from 'node:crypto';
import helmet from '@fastify/helmet';
import type { Server } from './server.ts';

const policyOf = (directives: Record<string, string>): string =>
  Object.entries(directives)
    .map(([name, value]) => `${name} ${value}`)
    .join('; ');

/** For answers that are no page: wherever they are shown, they load and run nothing. */
const dataPolicy = policyOf({
  'default-src': "'none'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
});

/** For the page, whose scripts and styles carry the nonce. */
export const pagePolicy = (nonce: string): string =>
  policyOf({
    'default-src': "'none'",
    'script-src': `'self' 'nonce-${nonce}'`,
    'style-src': `'self' 'nonce-${nonce}'`,
    'img-src': "'self' data:",
    'font-src': "'self'",
    'connect-src': "'self'",
    'manifest-src': "'self'",
    'base-uri': "'none'",
    'form-action': "'self'",
    'frame-ancestors': "'none'",
  });

/** For the reference at /docs, which is made of files, and of one style that its program sets (by its hash). */
export const docsPolicy: string = policyOf({
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='",
  'img-src': "'self' data:",
  'font-src': "'self'",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
});

/** What the page may use of the machine: nothing. */
const permissions = [
  'accelerometer',
  'camera',
  'display-capture',
  'geolocation',
  'gyroscope',
  'microphone',
  'midi',
  'payment',
  'usb',
]
  .map(name => `${name}=()`)
  .join(', ');

/** @param https whether everybody reaches the server by https. */
export async function addSafeHeaders(server: Server, https: boolean): Promise<void> {
  await server.register(helmet, {
    contentSecurityPolicy: false,
    strictTransportSecurity: https ? { maxAge: 31_536_000, includeSubDomains: true } : false,
    referrerPolicy: { policy: 'no-referrer' },
    crossOriginOpenerPolicy: { policy: 'same-origin' },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    xFrameOptions: { action: 'deny' },
  });
  server.addHook('onRequest', async (_request, reply) => {
    reply.header('content-security-policy', dataPolicy).header('permissions-policy', permissions);
  });
}

/** A page whose own scripts and styles may run: prepared once, filled for each answer. */
export function noncedPage(html: string): () => { html: string; nonce: string } {
  const parts = html
    .replace(/<(script|style)\b/g, '<$1 nonce="\0"')
    .replace(/<link\b(?=[^>]*rel="(?:stylesheet|modulepreload|preload)")/g, '<link nonce="\0"')
    // Where the page's own loader finds it, for what it adds later.
    .replace('</title>', '</title>\n    <meta property="csp-nonce" nonce="\0" />')
    .split('\0');
  return () => {
    const nonce = randomBytes(16).toString('base64');
    return { html: parts.join(nonce), nonce };
  };
}
