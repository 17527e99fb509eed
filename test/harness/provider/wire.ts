/** What the server needs of a wire format. */
import type { JsonObject } from '../../../src/base/json.ts';
import type { Answer, ErrorName, Wire } from './script.ts';
import { anthropicWire } from './wire-anthropic.ts';
import { chatWire } from './wire-chat.ts';
import { responsesWire } from './wire-responses.ts';

export interface WireFormat {
  /** An event or comment that means nothing. */
  keepAlive: string;
  /** How many events come before the model has produced anything. */
  openingEvents: number;
  requestIdHeader: string;
  /** A whole answer to the request `asked`, an event each. */
  events(answer: Answer, asked: JsonObject): string[];
  errorEvent(name: ErrorName): string;
  error(name: ErrorName): { status: number; body: JsonObject };
  /** The `n`th piece of a text that does not end. */
  endlessEvent(n: number): string;
}

export const wires: Record<Wire, WireFormat> = {
  anthropic: anthropicWire,
  chat: chatWire,
  responses: responsesWire,
};
