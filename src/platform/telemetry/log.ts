/** Logs: one JSON object a line with ts, level, service and, where there is one, request_id. Secrets are cut by name. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pino, { type Logger } from 'pino';

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
  if (options.directory === null) return pino(settings, pino.destination({ dest: 2, sync: true }));
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  return pino(
    settings,
    pino.destination({ dest: join(options.directory, 'guildhall.log'), sync: true, mkdir: false }),
  );
}

/** The path without its query: a query may hold what a log must not. */
function showRequest(request: { method: string; url: string; ip?: string }): object {
  return { method: request.method, path: request.url.split('?')[0], ip: request.ip };
}
