/**
 * The live connection: one stream of events for the whole page, resumed where it broke.
 *
 * Read with fetch and not with EventSource, which can hear only event names that it was told before and cannot
 * tell a lost session from a lost line. A tab that nobody looks at lets go of its connection after a minute
 * (browsers allow six to one server) and comes back with the id of the last event that it saw.
 */
import { errorOf } from '../../../sdk/errors.ts';
import type { LiveEvent } from '../api/types.ts';
import { createSseParser } from './sse-parser.ts';

export type LiveState = 'connecting' | 'live' | 'lost' | 'signed_out';

export interface LiveOptions {
  onEvents(events: LiveEvent[]): void;
  /** Events may have been missed: look at everything again. */
  onGap(): void;
  onState(state: LiveState): void;
}

const silenceMs = 40_000;
const hiddenMs = 60_000;
const backoffMs = { first: 500, most: 15_000 };

/** Connects until stopped. */
export function openLive(options: LiveOptions): () => void {
  let lastId: string | null = null;
  let failures = 0;
  let stopped = false;
  let current: AbortController | null = null;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let hiding: ReturnType<typeof setTimeout> | undefined;

  async function connect(): Promise<void> {
    clearTimeout(retry);
    if (stopped || current) return;
    const controller = new AbortController();
    current = controller;
    const state = await follow(controller);
    if (current === controller) current = null;
    if (stopped || document.hidden) return;
    options.onState(state);
    if (state === 'signed_out') return;
    const wait = Math.min(backoffMs.most, backoffMs.first * 2 ** failures++) * (0.75 + Math.random() / 2);
    retry = setTimeout(() => void connect(), wait);
  }

  async function follow(controller: AbortController): Promise<LiveState> {
    let silence = setTimeout(() => controller.abort(), silenceMs);
    try {
      const headers: Record<string, string> = lastId ? { 'last-event-id': lastId } : {};
      const response = await fetch('/api/v1/events', { headers, signal: controller.signal });
      if (response.status === 401) return 'signed_out';
      if (!response.ok || !response.body) {
        if (errorOf(response, await response.json()).code === 'last_event_id_invalid') lastId = null;
        return 'lost';
      }
      if (lastId === null) options.onGap();
      options.onState('live');
      failures = 0;
      const parse = createSseParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return 'lost';
        clearTimeout(silence);
        silence = setTimeout(() => controller.abort(), silenceMs);
        const messages = parse(value);
        lastId = messages.at(-1)?.id ?? lastId;
        if (messages.length > 0) options.onEvents(messages.map(m => JSON.parse(m.data) as LiveEvent));
      }
    } catch {
      return 'lost';
    } finally {
      clearTimeout(silence);
    }
  }

  function onVisibility(): void {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(() => current?.abort(), hiddenMs);
    else {
      failures = 0;
      void connect();
    }
  }

  document.addEventListener('visibilitychange', onVisibility);
  options.onState('connecting');
  void connect();
  return () => {
    stopped = true;
    clearTimeout(retry);
    clearTimeout(hiding);
    document.removeEventListener('visibilitychange', onVisibility);
    current?.abort();
  };
}
