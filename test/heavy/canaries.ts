/** Canary secrets: values that stand nowhere else, the forms in which they would show, and every place to look. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import pg from 'pg';

export const newCanary = (prefix: string): string => `${prefix}${randomBytes(24).toString('base64url')}`;

/** How a canary would look in a text, compared in lower case. Written on its own: not the forms that redaction makes. */
export function looksOf(canary: string): string[] {
  const bytes = Buffer.from(canary);
  const inner = [0, 1, 2].map(before =>
    Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .slice(4, -4),
  );
  return [
    canary.slice(2, -2),
    bytes.toString('hex').slice(4, -4),
    ...inner,
    ...inner.map(text => text.replaceAll('+', '-').replaceAll('/', '_')),
    encodeURIComponent(canary),
    canary.slice(0, Math.floor(canary.length / 2) + 6).slice(3), // half of it, as when a line breaks within it
  ].map(look => look.toLowerCase());
}

/** Names of the canaries that show in a text, line breaks in them or not. */
export function shownIn(text: string, canaries: Record<string, string>): string[] {
  const lower = text.toLowerCase();
  const joined = lower.replace(/\\[nr]|[\r\n]/g, '');
  return Object.entries(canaries)
    .filter(([, canary]) => looksOf(canary).some(look => lower.includes(look) || joined.includes(look)))
    .map(([name]) => name);
}

/** Every row of every table as text: what a dump has. */
export async function dumpDatabase(settings: pg.ClientConfig): Promise<Map<string, string>> {
  const client = new pg.Client(settings);
  await client.connect();
  try {
    const { rows: tables } = await client.query(
      "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    );
    const dump = new Map<string, string>();
    for (const { name } of tables) {
      const { rows } = await client.query(`select t::text as text from ${name} t`);
      dump.set(name, rows.map(row => row.text).join('\n'));
    }
    return dump;
  } finally {
    await client.end();
  }
}

/** Files below a folder whose bytes have a canary in them, as `path: name`. */
export async function searchFiles(
  folder: string,
  canaries: Record<string, string>,
  without: readonly string[],
): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const shown = relative(folder, path);
    if (without.includes(shown)) continue;
    if ((await stat(path).catch(() => null)) === null) continue;
    const text = await readFile(path, 'latin1').catch(() => '');
    found.push(...shownIn(text, canaries).map(name => `${shown}: ${name}`));
  }
  return found;
}
