/**
 * The scripted model: a program behind the model port, for demos, tests and installations without a key.
 *
 * It sees what a provider would be sent and nothing else: no files, no network, no state between calls. It leads
 * (delegates and hands in), repairs failing checks by trying small edits, and verifies by running the checks;
 * for anything else it says that a real model is needed. Tokens are counted as a quarter of the UTF-8 bytes.
 */
import { setTimeout as wait } from 'node:timers/promises';
import {
  type ContentPart,
  type ModelCallOptions,
  type ModelDriver,
  type ModelFailureKind,
  type ModelOutcome,
  type ModelRequest,
  type ModelUsage,
  noUsage,
} from '../../../features/models/port.ts';
import { type Answer, answer } from './answer.ts';
import { readTranscript } from './transcript.ts';

export interface ScriptedOptions {
  /** Time that every call takes at least, to imitate a provider; 0 by default. */
  latencyMs?: number;
}

const bytesPerToken = 4;

export function createScriptedDriver(options: ScriptedOptions = {}): ModelDriver {
  const closing = new AbortController();
  return {
    provider: 'scripted',
    call: (request, callOptions) => call(request, callOptions, closing.signal, options.latencyMs ?? 0),
    async close() {
      closing.abort();
    },
  };
}

async function call(
  request: ModelRequest,
  options: ModelCallOptions,
  closing: AbortSignal,
  latencyMs: number,
): Promise<ModelOutcome> {
  const started = performance.now();
  const elapsed = () => Math.round(performance.now() - started);
  const failure = await unfit(request, options, closing, latencyMs);
  if (failure) {
    const { kind, message } = failure;
    const retryable = kind === 'timeout_first_token';
    return { ok: false, failure: { kind, retryable, message }, usage: noUsage, total_ms: elapsed() };
  }
  const { text, calls, cut } = fit(answer(request), request.max_output_tokens);
  const content: ContentPart[] = text === '' ? [] : [{ type: 'text', text }];
  const turn = readTranscript(request.messages).turns + 1;
  calls.forEach(({ name, arguments: args }, index) => {
    content.push({ type: 'tool_call', id: `call_${turn}_${index + 1}`, name, arguments: args });
  });
  tell(options, text);
  const total = elapsed();
  return {
    ok: true,
    content,
    stop: cut ? 'max_tokens' : calls.length > 0 ? 'tool_calls' : 'end',
    usage: usageOf(request, text, calls),
    usage_exact: true,
    model: 'team',
    provider_request_id: null,
    first_token_ms: total,
    total_ms: total,
  };
}

/** Why there will be no answer, after the time that an answer takes. */
async function unfit(
  request: ModelRequest,
  options: ModelCallOptions,
  closing: AbortSignal,
  latencyMs: number,
): Promise<{ kind: ModelFailureKind; message: string } | null> {
  const signal = AbortSignal.any([options.signal, closing]);
  const patience = Math.min(options.timeouts.first_token, options.timeouts.total);
  try {
    signal.throwIfAborted();
    if (latencyMs > 0) await wait(Math.min(latencyMs, patience), undefined, { signal });
  } catch {
    return { kind: 'aborted', message: 'The call was aborted.' };
  }
  if (latencyMs > patience)
    return { kind: 'timeout_first_token', message: `No answer within ${patience} ms.` };
  if (!/^(scripted\/)?team$/.test(request.model)) {
    const asked = JSON.stringify(request.model).slice(0, 100);
    return {
      kind: 'model_not_found',
      message: `The scripted provider has one model, scripted/team, not ${asked}.`,
    };
  }
  const { tool_choice: choice, tools } = request;
  const missing =
    typeof choice === 'object'
      ? !tools.some(tool => tool.name === choice.name)
      : choice === 'required' && tools.length === 0;
  return missing
    ? { kind: 'invalid_request', message: 'The tool that has to be called is not among the tools.' }
    : null;
}

/** A listener that throws is its own affair. */
function tell(options: ModelCallOptions, text: string): void {
  if (text === '') return;
  try {
    options.onText?.(text);
  } catch {
    // The outcome holds the text.
  }
}

function tokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text, 'utf8') / bytesPerToken);
}

function generated(text: string, calls: Answer['calls']): string {
  return text + calls.map(({ name, arguments: args }) => name + JSON.stringify(args)).join('');
}

function usageOf(request: ModelRequest, text: string, calls: Answer['calls']): ModelUsage {
  const { system, messages, tools } = request;
  return {
    ...noUsage,
    input_tokens: tokens(system + JSON.stringify(messages) + JSON.stringify(tools)),
    output_tokens: tokens(generated(text, calls)),
  };
}

/** An answer over the cap is cut as a provider would cut it: some text and no call. */
function fit(given: Answer, maxTokens: number): Answer & { cut: boolean } {
  if (tokens(generated(given.text, given.calls)) <= maxTokens) return { ...given, cut: false };
  const bytes = Buffer.from(given.text, 'utf8').subarray(0, Math.max(0, maxTokens) * bytesPerToken);
  // A character that was cut in half decodes to U+FFFD, which is longer than what was left of it.
  return { text: bytes.toString('utf8').replace(/\ufffd+$/, ''), calls: [], cut: true };
}
