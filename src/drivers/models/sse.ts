/**
 * Server-sent events from raw bytes (https://html.spec.whatwg.org/#event-stream-interpretation).
 *
 * The bytes may be cut anywhere: inside a UTF-8 sequence, between CR and LF, inside a field name. Text is only
 * scanned once, so that a stream of single bytes costs no more than one big chunk.
 */

export interface SseEvent {
  /** Value of the `event` field; empty when there was none. */
  event: string;
  /** The `data` lines, joined by line feeds. */
  data: string;
}

export class SseParser {
  readonly #decoder = new TextDecoder();
  #line = '';
  #afterCarriageReturn = false;
  #event = '';
  #data: string[] = [];
  #events: SseEvent[] = [];

  /** The events which these bytes complete. */
  push(bytes: Uint8Array): SseEvent[] {
    this.#scan(this.#decoder.decode(bytes, { stream: true }));
    return this.#take();
  }

  /** The event at the end of the stream whose closing blank line is missing, if there is one. */
  end(): SseEvent[] {
    this.#scan(this.#decoder.decode());
    if (this.#line !== '') this.#endLine();
    this.#endEvent();
    return this.#take();
  }

  #take(): SseEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #scan(text: string): void {
    let start = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      const afterCarriageReturn = this.#afterCarriageReturn;
      this.#afterCarriageReturn = code === 13;
      if (code === 10 && afterCarriageReturn) {
        start = i + 1;
      } else if (code === 10 || code === 13) {
        this.#line += text.slice(start, i);
        start = i + 1;
        this.#endLine();
      }
    }
    this.#line += text.slice(start);
  }

  #endLine(): void {
    const line = this.#line;
    this.#line = '';
    if (line === '') {
      this.#endEvent();
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment, used as a keep-alive
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') this.#event = value;
    else if (field === 'data') this.#data.push(value);
  }

  #endEvent(): void {
    if (this.#data.length > 0) this.#events.push({ event: this.#event, data: this.#data.join('\n') });
    this.#event = '';
    this.#data = [];
  }
}
