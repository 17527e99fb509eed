/** A real OpenID Connect provider on this host (oidc-provider), and somebody who signs in there in a browser. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Provider } from 'oidc-provider';
import type { Visitor } from './visitor.ts';

export interface Person {
  email?: string;
  email_verified?: boolean;
  name?: string;
  [claim: string]: unknown;
}

export interface IdentityProvider extends AsyncDisposable {
  url: string;
  discoveryUrl: string;
  clientId: string;
  clientSecret: string;
  /** What it says about people, by the name that they sign in with. */
  people: Map<string, Person>;
  /** Makes it answer, or be as if it were not there. */
  setAnswering(answering: boolean): void;
}

/** @param callback where our server lets people come back to; null while that is not known. */
export async function startIdentityProvider(callback: () => string | null): Promise<IdentityProvider> {
  const people = new Map<string, Person>();
  const clientId = 'guildhall';
  const clientSecret = 'a-secret-of-the-client-of-thirty-two-characters';
  let answering = true;
  let listener: ReturnType<Provider['callback']> | null = null;
  const server: Server = createServer((request, response) => {
    if (!answering || !listener) return void request.destroy();
    void listener(request, response);
  });
  const sockets = new Set<Socket>();
  server.on('connection', socket => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const make = (redirectUri: string) =>
    new Provider(url, {
      clients: [
        {
          client_id: clientId,
          client_secret: clientSecret,
          redirect_uris: [redirectUri],
          response_types: ['code'],
          grant_types: ['authorization_code'],
        },
      ],
      claims: { openid: ['sub'], email: ['email', 'email_verified', 'upn'], profile: ['name', 'hd'] },
      pkce: { required: () => true },
      cookies: { keys: ['a key for the cookies of this test'] },
      findAccount: (_context: unknown, id: string) => ({
        accountId: id,
        claims: () => ({ sub: id, ...people.get(id) }),
      }),
    });
  let made = { callback: '', provider: make('http://127.0.0.1:1/not-known-yet') };
  // Our server asks for its description while it starts, before its own address is known.
  listener = (request, response) => {
    const wanted = callback();
    if (wanted && wanted !== made.callback) made = { callback: wanted, provider: make(wanted) };
    return made.provider.callback()(request, response);
  };
  return {
    url,
    discoveryUrl: `${url}/.well-known/openid-configuration`,
    ...{ clientId, clientSecret, people },
    setAnswering: value => {
      answering = value;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

/**
 * Goes through the provider's own pages as somebody would, signing in there and agreeing.
 * @returns the answer of our server to the way back, a redirect.
 */
export async function signInThere(
  atProvider: Visitor,
  visitor: Visitor,
  url: string,
  who: string,
  callbackOrigin: string,
): Promise<Response> {
  let response = await atProvider.send('GET', url);
  for (let step = 0; step < 15; step++) {
    const location = response.headers.get('location');
    if (location) {
      const next = new URL(location, url);
      if (next.origin === callbackOrigin) return visitor.send('GET', next.href);
      response = await atProvider.send('GET', next.href);
      continue;
    }
    const page = await response.text();
    const action = /<form[^>]+action="([^"]+)"/.exec(page)?.[1];
    if (!action) throw new Error(`the provider shows ${response.status}: ${page.slice(0, 300)}`);
    const prompt = /name="prompt" value="([^"]+)"/.exec(page)?.[1] ?? 'login';
    const fields: Record<string, string> =
      prompt === 'login' ? { prompt, login: who, password: 'any' } : { prompt };
    response = await atProvider.sendForm(new URL(action, url).href, fields);
  }
  throw new Error('the provider never came back');
}
