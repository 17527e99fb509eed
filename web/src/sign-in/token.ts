/**
 * The token of a one-time link. It stands in the fragment of the address, which no server ever sees, and is wiped from
 * there as soon as it is read, so that it stays neither in the history nor on the screen.
 */
import { useEffect, useState } from 'react';

const read = (): string | null => location.hash.slice(1) || null;

export function useLinkToken(): string | null {
  const [token, setToken] = useState(read);
  useEffect(() => {
    if (location.hash) history.replaceState(history.state, '', location.pathname + location.search);
    // A link opened in a tab that shows this screen already changes only the fragment.
    const onHash = () => {
      const next = read();
      if (!next) return;
      history.replaceState(history.state, '', location.pathname + location.search);
      setToken(next);
    };
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);
  return token;
}
