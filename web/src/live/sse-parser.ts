/**
 * Reads a stream of server-sent events from pieces of text, however they are cut.
 * Format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */

export interface SseMessage {
  id: string | null;
  type: string;
  data: string;
}

export function createSseParser(): (piece: string) => SseMessage[] {
  let rest = '';
  let id: string | null = null;
  let type = '';
  let data: string[] = [];
  return piece => {
    const messages: SseMessage[] = [];
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() as string;
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) messages.push({ id, type: type || 'message', data: data.join('\n') });
        type = '';
        data = [];
        continue;
      }
      const colon = line.indexOf(':');
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'id') id = value;
      else if (field === 'event') type = value;
      else if (field === 'data') data.push(value);
    }
    return messages;
  };
}
