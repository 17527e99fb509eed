/** Failures: their exit codes, and the sentences that say what went wrong and what to do about it. */
import { CommanderError } from 'commander';
import { ApiError } from '../sdk/errors.ts';
import { Problem, type ProblemKind } from '../src/base/problem.ts';

export const exitCodes = { ok: 0, failed: 1, usage: 2, refused: 3, missing: 4, unavailable: 5 } as const;

const exitCodeOfKind: Record<ProblemKind, number> = {
  invalid: exitCodes.usage,
  unauthenticated: exitCodes.refused,
  forbidden: exitCodes.refused,
  missing: exitCodes.missing,
  conflict: exitCodes.failed,
  exhausted: exitCodes.refused,
  unavailable: exitCodes.unavailable,
  bug: exitCodes.failed,
};

const exitCodeOfStatus: Record<number, number> = {
  0: exitCodes.unavailable,
  401: exitCodes.refused,
  403: exitCodes.refused,
  404: exitCodes.missing,
  409: exitCodes.failed,
  429: exitCodes.refused,
  502: exitCodes.unavailable,
  503: exitCodes.unavailable,
  504: exitCodes.unavailable,
};

/** What to do, where the problem's own sentence cannot know it. */
const advice: Record<string, string> = {
  sign_in_required: 'The key is not valid here: log in with ./guildhall login --server <url> --key -',
  server_unreachable: 'Start it with ./guildhall up, or name another one with --server <url>.',
  team_missing: './guildhall team list shows the teams.',
  task_missing: './guildhall task list shows the tasks.',
  agent_missing: './guildhall agent list shows the agents.',
  approval_missing: './guildhall approval list shows what is pending.',
  api_key_missing: './guildhall key list shows the keys.',
  secret_missing: './guildhall secret list shows the secrets.',
  dead_letter_missing: './guildhall dead-letter list shows them.',
};

export interface Failure {
  exitCode: number;
  /** For people: a sentence, and where there is one a second with what to do. */
  text: string;
  /** For programs, under `error`. */
  value: Record<string, unknown>;
}

/** Tokens of ours, and passwords in addresses, as somebody may have given them on the command line. */
const credential = /\bgh[a-z]_[A-Za-z0-9_-]{20,}|(?<=:\/\/)[^\s/@]*:[^\s/@]+(?=@)/g;
const hide = (text: string): string => text.replace(credential, '[redacted]');

/** What went wrong, without the credentials that a message may quote. */
export function explainFailure(error: unknown): Failure {
  const { exitCode, text, value } = explain(error);
  return { exitCode, text: hide(text), value: JSON.parse(hide(JSON.stringify(value))) };
}

function explain(error: unknown): Failure {
  if (error instanceof ApiError) {
    const { status, code, title, detail, request_id } = error;
    const isInput = status >= 400 && status < 500;
    const exitCode = exitCodeOfStatus[status] ?? (isInput ? exitCodes.usage : exitCodes.failed);
    const trace = status >= 500 && request_id ? ` (request ${request_id})` : '';
    // Where in the request a fault is says nothing to who typed a command.
    const sentence =
      code === 'request_invalid' ? title.replaceAll(/\b(body|params|querystring)\./g, '') : title;
    const text = withAdvice(`${sentence}${trace}`, code);
    return { exitCode, text, value: { code, title, status, request_id, detail } };
  }
  if (error instanceof Problem) {
    const faults = error.detail?.faults;
    const list = Array.isArray(faults) ? `${faults.map(fault => `\n  - ${fault}`).join('')}` : '';
    const title = list ? 'The configuration cannot be used:' : error.message;
    return {
      exitCode: exitCodeOfKind[error.kind],
      text: withAdvice(`${title}${list}`, error.code),
      value: { code: error.code, title: error.message, detail: error.detail },
    };
  }
  if (error instanceof CommanderError) {
    // Commander has printed the sentence already.
    const title = error.message.replace(/^error: /, '');
    return { exitCode: exitCodes.usage, text: '', value: { code: 'usage', title } };
  }
  const title = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { exitCode: exitCodes.failed, text: title, value: { code: 'internal_error', title } };
}

function withAdvice(text: string, code: string): string {
  const more = advice[code];
  return more && !text.includes('./guildhall') ? `${text} ${more}` : text;
}

/** A wrong argument that only the command itself can recognise. */
export function usage(code: string, title: string): Problem {
  return new Problem('invalid', code, title);
}
