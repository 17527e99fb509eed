/** Sends one scripted reply, with its fault. Bytes leave in the pieces that the script wants. */
import type { ServerResponse } from 'node:http';
import { setImmediate as soon, setTimeout as wait } from 'node:timers/promises';
import type { JsonObject } from '../../../src/base/json.ts';
import type { Fault, RawReply, StreamReply, Wire } from './script.ts';
import { type WireFormat, wires } from './wire.ts';

export function sendRaw(response: ServerResponse, reply: RawReply): void {
  response.writeHead(reply.status, reply.headers ?? {});
  if (reply.unfinished) response.write(reply.body);
  else response.end(reply.body);
}

export async function sendStream(
  response: ServerResponse,
  wire: Wire,
  reply: StreamReply,
  asked: JsonObject,
): Promise<void> {
  const format = wires[wire];
  const { fault } = reply;
  if (fault?.fault === 'hang_before_headers') return;
  if (reply.delayMs) await wait(reply.delayMs);
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    [format.requestIdHeader]: 'req_local',
    ...reply.headers,
  });
  response.flushHeaders();
  const events = format.events(reply, asked);
  const limit = fault ? eventsBefore(fault, format, events.length) : events.length;
  for (const event of events.slice(0, limit)) {
    if (reply.pings) await write(response, format.keepAlive, reply);
    if (reply.delayMs) await wait(reply.delayMs);
    await write(response, event, reply);
  }
  if (fault) await misbehave(response, format, fault, events[limit] ?? '');
  else response.end();
}

function eventsBefore(fault: Fault, format: WireFormat, all: number): number {
  if ('after' in fault) return Math.min(fault.after, all);
  if (fault.fault === 'never_ending') return format.openingEvents + 1; // Anthropic's text needs an opened block
  return fault.fault === 'hang_before_first_token' ? format.openingEvents : 0;
}

async function misbehave(
  response: ServerResponse,
  format: WireFormat,
  fault: Fault,
  next: string,
): Promise<void> {
  switch (fault.fault) {
    case 'hang_before_headers':
    case 'hang_before_first_token':
    case 'stall':
      return;
    case 'cut':
      await soon(); // what was written so far is on its way
      response.socket?.destroy();
      return;
    case 'truncate':
      response.end();
      return;
    case 'malformed_json':
      response.end(next.replace(/\}\s*$/, '\n\n'));
      return;
    case 'malformed_sse':
      response.end(`<html>${next.replaceAll('data:', 'datum')}</html>\n\n`);
      return;
    case 'error_in_band':
      response.end(format.errorEvent(fault.error));
      return;
    case 'never_ending':
      for (let n = 0; !response.destroyed; n++) {
        response.write(format.endlessEvent(n));
        await wait(fault.everyMs);
      }
  }
}

async function write(response: ServerResponse, event: string, reply: StreamReply): Promise<void> {
  const bytes = Buffer.from(reply.lineEnd ? event.replaceAll('\n', reply.lineEnd) : event);
  if (!reply.chunkBytes) {
    response.write(bytes);
    return;
  }
  for (let at = 0; at < bytes.length; at += reply.chunkBytes) {
    response.write(bytes.subarray(at, at + reply.chunkBytes));
    await soon();
  }
}
