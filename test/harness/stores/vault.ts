/**
 * A HashiCorp Vault on this machine, as far as reading KV version 2 goes: tokens with a life, AppRole, versions,
 * deleted versions, namespaces, and its errors in its own words.
 */
import type { Clock } from '../../../src/base/time.ts';
import { type Asked, type Reply, type StoreServer, startStoreServer } from './server.ts';

export interface FakeVault extends StoreServer {
  /** Tokens that are taken, with when they end. */
  tokens: Map<string, { endsAt: number; renewable: boolean }>;
  approle: { roleId: string; secretId: string; lifeSeconds: number };
  /** `mount/path` → versions, oldest first; null: deleted. */
  secrets: Map<string, (Record<string, unknown> | null)[]>;
  /** Of KV version 1, which has no `data` in its path. */
  namespace: string | null;
}

export async function startVault(clock: Clock): Promise<FakeVault> {
  const tokens: FakeVault['tokens'] = new Map();
  const secrets: FakeVault['secrets'] = new Map();
  const approle = { roleId: 'role-1', secretId: 'secret-of-role-1', lifeSeconds: 3_600 };
  let logins = 0;
  const refused = { status: 403, body: { errors: ['permission denied'] } };

  const authOf = (token: string) => {
    const { endsAt, renewable } = tokens.get(token) as { endsAt: number; renewable: boolean };
    return { client_token: token, lease_duration: Math.max(0, (endsAt - clock.now()) / 1_000), renewable };
  };
  const logIn = (asked: Asked): Reply => {
    const { role_id: roleId, secret_id: secretId } = JSON.parse(asked.text);
    if (roleId !== approle.roleId || secretId !== approle.secretId)
      return { status: 400, body: { errors: ['invalid role or secret ID'] } };
    const token = `hvs.approle-${++logins}-0123456789abcdef`;
    tokens.set(token, { endsAt: clock.now() + approle.lifeSeconds * 1_000, renewable: true });
    return { status: 200, body: { auth: authOf(token) } };
  };
  const read = (path: string, version: string | null): Reply => {
    const [mount, kind, ...rest] = decodeURIComponent(path).split('/');
    if (mount === 'kv1') return { status: 200, body: { data: { password: 'of version 1' } } };
    const versions = kind === 'data' ? secrets.get(`${mount}/${rest.join('/')}`) : undefined;
    const number = version === null ? (versions?.length ?? 0) : Number(version);
    const data = versions?.[number - 1];
    if (data === undefined) return { status: 404, body: { errors: [] } };
    const metadata = { version: number, destroyed: false, deletion_time: data ? '' : '2030-01-01T00:00:00Z' };
    return { status: data ? 200 : 404, body: { data: { data, metadata } } };
  };
  const server = await startStoreServer(asked => {
    const { pathname, searchParams } = new URL(asked.path, 'http://vault');
    const path = pathname.replace(/^\/v1\//, '');
    if ((asked.headers['x-vault-namespace'] ?? null) !== vault.namespace)
      return { status: 404, body: { errors: ['no handler for route'] } };
    if (path === 'auth/approle/login') return logIn(asked);
    const token = asked.headers['x-vault-token'] ?? '';
    const held = tokens.get(token);
    if (!held || held.endsAt <= clock.now()) return refused;
    if (path === 'auth/token/lookup-self')
      return {
        status: 200,
        body: { data: { ttl: (held.endsAt - clock.now()) / 1_000, renewable: held.renewable } },
      };
    if (path === 'auth/token/renew-self') {
      if (!held.renewable) return { status: 400, body: { errors: ['lease is not renewable'] } };
      held.endsAt = clock.now() + approle.lifeSeconds * 1_000;
      return { status: 200, body: { auth: authOf(token) } };
    }
    return read(path, searchParams.get('version'));
  });
  const vault: FakeVault = Object.assign(server, { tokens, approle, secrets, namespace: null });
  return vault;
}
