/**
 * Logs: one JSON object a line with ts, level, service and, where there is one, request_id. Secrets are cut out by
 * the name of their field and, in the finished line, by their value.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pino, { type DestinationStream, type Logger } from 'pino';
import { redactor } from '../secrets/redactor.ts';

export interface LogOptions {
  level: string;
  /** `api`, `worker`, … or `all`. */
  service: string;
  /** Directory of the log file; null: standard error. */
  directory: string | null;
}

export function createLog(options: LogOptions): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { service: options.service, pid: process.pid },
    timestamp: () => `,"ts":"${new Date().toISOString()}"`,
    formatters: { level: label => ({ level: label }) },
    messageKey: 'message',
    redact: {
      paths: [
        'req.headers.authorization',
        'req.headers.cookie',
        'req.headers["x-csrf-token"]',
        'key',
        'token',
        'password',
        'apiKey',
        '*.password',
        '*.apiKey',
      ],
      censor: '[redacted]',
    },
    serializers: {
      req: showRequest,
      res: (res: { statusCode: number }) => ({ status: res.statusCode }),
      err: pino.stdSerializers.err,
    },
  };
  if (options.directory === null) return pino(settings, redacting(pino.destination({ dest: 2, sync: true })));
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const file = pino.destination({
    dest: join(options.directory, 'guildhall.log'),
    sync: true,
    mkdir: false,
  });
  return pino(settings, redacting(file));
}

/** The last door: whatever a line was made of, no secret that the process knows goes out with it. */
function redacting(destination: DestinationStream): DestinationStream {
  return { write: line => destination.write(`${redactor.redactJson(line.trimEnd())}\n`) };
}

/** The path without its query: a query may hold what a log must not. */
function showRequest(request: { method: string; url: string; ip?: string }): object {
  return { method: request.method, path: request.url.split('?')[0], ip: request.ip };
}
