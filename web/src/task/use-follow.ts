/** Keeps the end of a growing page in sight, until the reader scrolls up; counts what came since. */
import { useEffect, useRef, useState } from 'react';

const nearEnd = 96;
const distance = () => document.documentElement.scrollHeight - window.innerHeight - window.scrollY;
const toEnd = () => window.scrollTo({ top: document.documentElement.scrollHeight });

export function useFollow(
  active: boolean,
  size: number,
  atFirst: boolean,
): { following: boolean; unseen: number; jump: () => void } {
  const [following, setFollowing] = useState(atFirst);
  const [seen, setSeen] = useState(size);
  const last = useRef(window.scrollY);

  useEffect(() => {
    if (!active) return;
    function onScroll(): void {
      const up = window.scrollY < last.current - 2;
      last.current = window.scrollY;
      if (distance() < nearEnd) setFollowing(true);
      else if (up) setFollowing(false);
    }
    addEventListener('scroll', onScroll, { passive: true });
    return () => removeEventListener('scroll', onScroll);
  }, [active]);

  useEffect(() => {
    if (following) setSeen(size);
  }, [following, size]);

  // Whatever makes the page longer: new steps, another state, rows that were opened.
  useEffect(() => {
    if (!active || !following) return;
    toEnd();
    const observer = new ResizeObserver(toEnd);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [active, following]);

  return { following, unseen: size - seen, jump: () => setFollowing(true) };
}
