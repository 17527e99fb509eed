/** Times that stay true while they are looked at. One clock ticks for the whole page. */
import { type ReactNode, useSyncExternalStore } from 'react';
import { absolute, ago, duration } from '../format.ts';

function createTicker(ms: number): { subscribe: (listener: () => void) => () => void; now: () => number } {
  const listeners = new Set<() => void>();
  let now = Date.now();
  let timer: ReturnType<typeof setInterval> | undefined;
  return {
    subscribe(listener) {
      if (listeners.size === 0) {
        now = Date.now();
        timer = setInterval(() => {
          now = Date.now();
          for (const each of listeners) each();
        }, ms);
      }
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) clearInterval(timer);
      };
    },
    now: () => now,
  };
}

const second = createTicker(1_000);
const slow = createTicker(15_000);

export function useNow(pace: 'second' | 'slow'): number {
  const ticker = pace === 'second' ? second : slow;
  return useSyncExternalStore(ticker.subscribe, ticker.now);
}

/** When something was: relative to see, absolute on hover. */
export function When({ time, className }: { time: string; className?: string }): ReactNode {
  const now = useNow('slow');
  const at = Date.parse(time);
  return (
    <time dateTime={time} title={absolute(at)} className={className}>
      {ago(at, Math.max(now, Math.min(at, now + 20_000)))}
    </time>
  );
}

/** How long something took, or takes so far. */
export function Elapsed({ from, to }: { from: string; to: string | null }): ReactNode {
  return to === null ? <Running from={from} /> : <Took ms={Date.parse(to) - Date.parse(from)} from={from} />;
}

function Running({ from }: { from: string }): ReactNode {
  const now = useNow('second');
  return <Took ms={Math.max(0, now - Date.parse(from))} from={from} running />;
}

const Took = ({ ms, from, running }: { ms: number; from: string; running?: boolean }) => (
  <span className="tnum" title={`since ${absolute(Date.parse(from))}`}>
    {running && ms < 60_000 ? `${Math.floor(ms / 1_000)} s` : duration(ms)}
  </span>
);
