/**
 * The HTTP server: schemas in and out from zod, RFC 9457 problems, a request id on everything, strict headers.
 * Every route says who may come: `config: {public: true}`, `{signedIn: true}` or `{permission: '…'}`; one that says
 * nothing keeps the server from starting (features/identity/access.ts).
 */
import cookie from '@fastify/cookie';
import cors from '@fastify/cors';
import swagger from '@fastify/swagger';
import websocket from '@fastify/websocket';
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { newId } from '../../base/ids.ts';
import { frameLimitBytes } from '../live/socket.ts';
import { tagBody } from './etag.ts';
import { addSafeHeaders } from './headers.ts';
import { type HostOptions, requireHost } from './hosts.ts';
import { parseJsonStrictly } from './json.ts';
import { knowMethods } from './methods.ts';
import { asProblem, refuseUnreadable, sendProblem } from './problems.ts';
import { requireStorable } from './text.ts';
import { refuseUnknown } from './unknown-fields.ts';

export type Server = FastifyInstance<any, any, any, FastifyBaseLogger, ZodTypeProvider>;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** No sign-in needed. */
    public?: boolean;
  }
}

export interface ServerOptions {
  log: FastifyBaseLogger;
  version: string;
  /** Whether cookies and HSTS may rely on https. */
  https: boolean;
  /** Addresses and ranges whose `X-Forwarded-*` is believed; default: nobody's. */
  trustedProxies?: readonly string[];
  /** Other pages that may call the API; default: none. */
  corsOrigins?: readonly string[];
  /** Names that the server answers to; default: any, for servers that nobody but a test reaches. */
  hosts?: HostOptions;
}

const bodyLimitBytes = 1024 * 1024;
/** A client has this long for its header, and for the whole request with its body. */
const headersTimeoutMs = 15_000;
const requestTimeoutMs = 60_000;
const headerLimitBytes = 16 * 1024;
const requestIdForm = /^[A-Za-z0-9_.-]{1,100}$/;

export async function createServer(options: ServerOptions): Promise<Server> {
  const server = fastify({
    loggerInstance: options.log,
    bodyLimit: bodyLimitBytes,
    forceCloseConnections: true,
    requestTimeout: requestTimeoutMs,
    http: {
      headersTimeout: headersTimeoutMs,
      maxHeaderSize: headerLimitBytes,
      connectionsCheckingInterval: 5_000,
    },
    clientErrorHandler: refuseUnreadable,
    trustProxy: options.trustedProxies?.length ? [...options.trustedProxies] : false,
    requestIdHeader: false,
    genReqId: (request: { headers: Record<string, unknown> }) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && requestIdForm.test(given) ? given : newId('req');
    },
    logController: new LogController({ requestIdLogLabel: 'request_id' }),
    routerOptions: { maxParamLength: 200 },
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      sendProblem(asProblem(error), request, reply, error),
  } as Parameters<typeof fastify>[0]).withTypeProvider<ZodTypeProvider>() as unknown as Server;
  server.removeContentTypeParser('text/plain');
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.setErrorHandler((error, request, reply) => sendProblem(asProblem(error), request, reply, error));
  server.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
  await acceptSockets(server);
  await addSafeHeaders(server, options.https);
  if (options.hosts) requireHost(server, options.hosts);
  if (options.corsOrigins?.length) await allowOrigins(server, options.corsOrigins);
  const unrouted = knowMethods(server);
  server.setNotFoundHandler((request, reply) => sendProblem(unrouted(request, reply), request, reply));
  parseJsonStrictly(server);
  refuseUnknown(server);
  server.addHook('preValidation', async request => {
    // No body at all is the empty one: its schema says what may be left out.
    if (request.body === undefined && request.routeOptions.schema?.body) request.body = {};
    requireStorable({ body: request.body, query: request.query, path: request.params });
  });
  server.addHook('onSend', tagBody);
  await server.register(cookie);
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Guildhall',
        version: options.version,
        description:
          'Errors are RFC 9457 problem documents with a stable `code`. Writes accept `Idempotency-Key`; reads give `ETag`.',
      },
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer', description: 'An API key (`ghk_…`).' },
          session: {
            type: 'apiKey',
            in: 'cookie',
            name: 'guildhall_session',
            description: 'A browser session; writes repeat `csrf_token` of /api/v1/me in `x-csrf-token`.',
          },
        },
      },
      security: [{ key: [] }, { session: [] }],
    },
    transform: input => {
      const made = jsonSchemaTransform(input as Parameters<typeof jsonSchemaTransform>[0]);
      return input.route.config?.public ? { ...made, schema: { ...made.schema, security: [] } } : made;
    },
    transformObject: jsonSchemaTransformObject,
  });
  return server;
}

/** How long a client may take to say goodbye when the server stops. */
const goodbyeMs = 1_000;

async function acceptSockets(server: Server): Promise<void> {
  await server.register(websocket, {
    options: { maxPayload: frameLimitBytes, perMessageDeflate: false },
    preClose(done) {
      const { clients } = server.websocketServer;
      for (const client of clients) client.close(1001, 'the server stops');
      const end = setTimeout(() => {
        for (const client of clients) client.terminate();
      }, goodbyeMs);
      end.unref();
      server.websocketServer.close(() => {
        clearTimeout(end);
        done();
      });
    },
  });
  // A refused handshake ends its connection: nobody may take it for one that can be used again.
  server.addHook('onRequest', async (request, reply) => {
    if (request.ws) reply.header('connection', 'close');
  });
}

/** Pages of these origins may call the API and read its answers; for all others the browser refuses. */
async function allowOrigins(server: Server, origins: readonly string[]): Promise<void> {
  await server.register(cors, {
    origin: [...origins],
    credentials: true,
    strictPreflight: false,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: [
      'authorization',
      'content-type',
      'idempotency-key',
      'if-match',
      'if-none-match',
      'last-event-id',
      'x-csrf-token',
      'x-request-id',
    ],
    exposedHeaders: ['etag', 'ratelimit', 'ratelimit-policy', 'retry-after', 'x-request-id'],
    maxAge: 600,
  });
  // Answers may be read by the page of another origin, which the default forbids.
  server.addHook('onRequest', async (request, reply) => {
    if (origins.includes(request.headers.origin ?? ''))
      reply.header('cross-origin-resource-policy', 'cross-origin');
  });
}
