/**
 * The HTTP server: schemas in and out from zod, RFC 9457 problems, a request id on everything, strict headers.
 * Every route needs a principal unless it declares `config: {public: true}`; the scope it needs is `config.scope`,
 * by default `read` for GET and `write` for the rest.
 */
import cookie from '@fastify/cookie';
import helmet from '@fastify/helmet';
import swagger from '@fastify/swagger';
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { newId } from '../../base/ids.ts';
import { Problem, toProblem } from '../../base/problem.ts';
import { isConnectionLoss, sqlState, uniqueViolation } from '../db/db.ts';
import { tagBody } from './etag.ts';
import { problemSchema } from './schemas.ts';
import { requireStorable } from './text.ts';

export type Server = FastifyInstance<any, any, any, FastifyBaseLogger, ZodTypeProvider>;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** No sign-in needed. */
    public?: boolean;
    /** What the caller must hold. */
    scope?: 'read' | 'write' | 'admin';
  }
}

export interface ServerOptions {
  log: FastifyBaseLogger;
  version: string;
  /** Whether cookies and HSTS may rely on https. */
  https: boolean;
}

const bodyLimitBytes = 1024 * 1024;
const requestIdForm = /^[A-Za-z0-9_.-]{1,100}$/;

export async function createServer(options: ServerOptions): Promise<Server> {
  const server = fastify({
    loggerInstance: options.log,
    bodyLimit: bodyLimitBytes,
    forceCloseConnections: true,
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
  server.setNotFoundHandler((request, reply) =>
    sendProblem(
      new Problem(
        'missing',
        'route_missing',
        `There is nothing at ${request.method} ${request.url.split('?')[0]}.`,
      ),
      request,
      reply,
    ),
  );
  server.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
  server.addHook('preValidation', async request => {
    // No body at all is the empty one: its schema says what may be left out.
    if (request.body === undefined && request.routeOptions.schema?.body) request.body = {};
    requireStorable({ body: request.body, query: request.query, path: request.params });
  });
  server.addHook('onSend', tagBody);
  await server.register(cookie);
  await server.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'self'"],
        'script-src': ["'self'"],
        'style-src': ["'self'", "'unsafe-inline'"],
        'img-src': ["'self'", 'data:'],
        'connect-src': ["'self'"],
        'object-src': ["'none'"],
        'base-uri': ["'none'"],
        'form-action': ["'self'"],
        'frame-ancestors': ["'none'"],
      },
    },
    strictTransportSecurity: options.https ? { maxAge: 31_536_000 } : false,
    referrerPolicy: { policy: 'no-referrer' },
  });
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

/** Any error that reaches the edge as a Problem. */
function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const fields = error.validation.map(issue => ({
      path: `${error.validationContext ?? 'body'}${issue.instancePath.replaceAll('/', '.')}`,
      message: issue.message ?? 'is not valid',
    }));
    const text = fields.map(f => `${f.path}: ${f.message}`).join('; ');
    return new Problem('invalid', 'request_invalid', `The request is not valid: ${text}.`, {
      detail: { fields },
    });
  }
  if (isConnectionLoss(error))
    return new Problem(
      'unavailable',
      'database_unavailable',
      'The database cannot be reached just now. Try again; a write under the same Idempotency-Key.',
      { retryAfterSeconds: 1, cause: error },
    );
  if (sqlState(error) === uniqueViolation)
    return new Problem('conflict', 'already_exists', 'Somebody made one of that name at the same moment.', {
      cause: error,
    });
  if (/^(40001|40P01|55P03)$/.test(sqlState(error) ?? ''))
    return new Problem('unavailable', 'busy', 'Others changed the same at this moment. Try again.', {
      retryAfterSeconds: 1,
      cause: error,
    });
  const { statusCode, code } = error as { statusCode?: number; code?: string };
  if (statusCode === 413)
    return new Problem('invalid', 'body_too_large', 'The body of the request is larger than 1 MiB.', {
      status: 413,
    });
  if (statusCode === 415)
    return new Problem('invalid', 'media_type_unsupported', 'Send the body as application/json.', {
      status: 415,
    });
  if (code === 'FST_ERR_BAD_URL')
    return new Problem('invalid', 'address_malformed', 'The address of the request cannot be read.', {
      status: 400,
    });
  if (statusCode === 400)
    return new Problem(
      'invalid',
      'request_malformed',
      'The request could not be read: is the body valid JSON?',
      { status: 400 },
    );
  if (statusCode && statusCode < 500)
    return new Problem('invalid', (code ?? 'request_refused').toLowerCase(), 'The request was refused.', {
      status: statusCode,
    });
  return toProblem(error);
}

/** RFC 9457: https://www.rfc-editor.org/rfc/rfc9457 */
function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply, error?: unknown): void {
  if (problem.kind === 'bug') request.log.error({ err: problem.cause ?? error }, 'request failed');
  else
    request.log.info(
      { code: problem.code, cause: problem.cause ? String(problem.cause) : undefined },
      problem.message,
    );
  if (problem.retryAfterSeconds !== undefined) reply.header('retry-after', String(problem.retryAfterSeconds));
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="guildhall"');
  reply
    .status(problem.status)
    .header('x-request-id', request.id)
    .type('application/problem+json')
    .serializer((payload: unknown) => JSON.stringify(payload))
    .send(
      problemSchema.parse({
        type: `urn:guildhall:problem:${problem.code}`,
        title: problem.message,
        status: problem.status,
        code: problem.code,
        request_id: request.id,
        ...(problem.detail ? { detail: problem.detail } : {}),
      }),
    );
}
