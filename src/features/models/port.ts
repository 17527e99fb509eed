/**
 * The model port: one call to one model. Drivers translate between these shapes and a provider's wire format.
 *
 * At this border failure is a value: `call` never throws, it resolves to `{ok: false, failure}`. A truncated or
 * aborted stream is a failure, never a short success. Retries, budgets and routes live above the port; a driver
 * makes exactly one attempt.
 */
import type { JsonObject } from '../../base/json.ts';

/** `opaque` carries provider blocks (signed reasoning, say) that must be sent back unchanged. */
export type ContentPart =
  | { type: 'text'; text: string }
  | { type: 'tool_call'; id: string; name: string; arguments: JsonObject }
  | { type: 'opaque'; provider: string; data: JsonObject };

export interface ToolResultPart {
  type: 'tool_result';
  tool_call_id: string;
  content: string;
  is_error: boolean;
}

export type ModelMessage =
  | { role: 'user'; content: { type: 'text'; text: string }[] }
  | { role: 'assistant'; content: ContentPart[] }
  | { role: 'tool'; content: ToolResultPart[] };

export interface ModelTool {
  name: string;
  description: string;
  /** JSON Schema (draft 2020-12) of the arguments, always `type: object`. */
  input_schema: JsonObject;
}

export interface ModelRequest {
  model: string;
  system: string;
  messages: ModelMessage[];
  tools: ModelTool[];
  /** `required`: the model must call some tool; an object: that very tool. */
  tool_choice: 'auto' | 'required' | { name: string };
  /** Hard cap on generated tokens; budgets clamp it. */
  max_output_tokens: number;
  temperature?: number;
}

/** Disjoint buckets of tokens: their sum is what was processed. Reasoning is not contained in output. */
export interface ModelUsage {
  input_tokens: number;
  cached_read_tokens: number;
  cached_write_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
}

export const noUsage: ModelUsage = {
  input_tokens: 0,
  cached_read_tokens: 0,
  cached_write_tokens: 0,
  output_tokens: 0,
  reasoning_tokens: 0,
};

export type ModelFailureKind =
  | 'timeout_connect'
  | 'timeout_first_token'
  | 'timeout_idle'
  | 'timeout_total'
  | 'aborted'
  | 'network'
  | 'truncated' // the stream ended before its closing event
  | 'malformed' // the provider answered something that is not its own format
  | 'rate_limited'
  | 'overloaded' // 5xx, 529, in-band overload error
  | 'quota' // credit or quota used up: a retry does not help
  | 'unauthorized'
  | 'model_not_found'
  | 'context_length'
  | 'invalid_request'
  | 'refused'; // content policy

export interface ModelFailure {
  kind: ModelFailureKind;
  retryable: boolean;
  /** From Retry-After or the provider's own header, when given. */
  retry_after_ms?: number;
  status?: number;
  /** A sentence for people, without secrets. */
  message: string;
}

export interface ModelSuccess {
  ok: true;
  content: ContentPart[];
  stop: 'end' | 'tool_calls' | 'max_tokens' | 'refusal';
  usage: ModelUsage;
  /** False when the provider sent no usage; the numbers are then our upper estimate. */
  usage_exact: boolean;
  /** The model that the provider says answered. */
  model: string;
  provider_request_id: string | null;
  first_token_ms: number;
  total_ms: number;
}

export interface ModelFailed {
  ok: false;
  failure: ModelFailure;
  /** What the provider reported before it failed; null when unknown (the reservation is then kept as an estimate). */
  usage: ModelUsage | null;
  total_ms: number;
}

export type ModelOutcome = ModelSuccess | ModelFailed;

/** Milliseconds for each phase of a call. `idle` is the longest silence between two pieces of a stream. */
export interface ModelTimeouts {
  connect: number;
  first_token: number;
  idle: number;
  total: number;
}

export const defaultModelTimeouts: ModelTimeouts = {
  connect: 10_000,
  first_token: 120_000,
  idle: 60_000,
  total: 600_000,
};

export interface ModelCallOptions {
  signal: AbortSignal;
  timeouts: ModelTimeouts;
  /** Same key, same call: sent where the provider supports it, and in every log line. */
  idempotency_key: string;
  /** Follows the call through logs; sent as `x-request-id` where allowed. */
  request_id: string;
  /** The key of the organization, instead of the one that the driver was made with. */
  api_key?: string;
  /** Live text as it arrives. Not called after the outcome resolves. */
  onText?: (text: string) => void;
}

export interface ModelDriver {
  /** `anthropic`, `openai`, `openai-compatible`, `scripted`. */
  readonly provider: string;
  call(request: ModelRequest, options: ModelCallOptions): Promise<ModelOutcome>;
  close(): Promise<void>;
}
