/** Somebody with a browser: keeps cookies as one does, sends the CSRF token with writes, follows no redirect unasked. */
export interface Visitor {
  cookies: Map<string, string>;
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Sends a form, as a page without a script does. */
  sendForm(path: string, fields: Record<string, string>): Promise<Response>;
  /** Sends, and reads the answer as JSON. */
  json<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: T; headers: Headers }>;
  /** Reads the CSRF token of the session that there is now. */
  refresh(): Promise<void>;
}

export function newVisitor(url: string): Visitor {
  const cookies = new Map<string, string>();
  let csrf: string | null = null;
  const cookieHeader = (): string => [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const send: Visitor['send'] = async (method, path, body, headers = {}) => {
    const address = new URL(path, url);
    const response = await fetch(address, {
      method,
      redirect: 'manual',
      headers: {
        cookie: cookieHeader(),
        ...(csrf && method !== 'GET' ? { 'x-csrf-token': csrf } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (address.origin === new URL(url).origin) keep(response);
    return response;
  };
  const keep = (response: Response): void => {
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '' || /max-age=0/i.test(line)) cookies.delete(name);
      else cookies.set(name, value);
    }
  };
  return {
    cookies,
    send,
    sendForm: async (path, fields) => {
      const response = await fetch(new URL(path, url), {
        method: 'POST',
        redirect: 'manual',
        headers: { cookie: cookieHeader() },
        body: new URLSearchParams(fields),
      });
      keep(response);
      return response;
    },
    json: async (method, path, body) => {
      const response = await send(method, path, body);
      const text = await response.text();
      return {
        status: response.status,
        body: (text === '' ? null : JSON.parse(text)) as never,
        headers: response.headers,
      };
    },
    refresh: async () => {
      const me = (await (await send('GET', '/api/v1/me')).json()) as { csrf_token?: string };
      csrf = me.csrf_token ?? null;
    },
  };
}
