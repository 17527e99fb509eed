/**
 * Row-level security, made for every table from the catalog after each migration, so that a new table cannot be
 * forgotten. A table with `organization_id` shows `app` the rows of the organization that its transaction is in; any
 * other must stand in the list below with its reason, and until it does `app` has no right to it at all. `system` sees
 * all rows. The owner is under the policies too (`force`), and sees rows as a member of `system`.
 */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { type Db, type Tx, transact } from './db.ts';
import { roles } from './roles.ts';

type Right = 'select' | 'insert' | 'update' | 'delete';
const everyRight: Right[] = ['select', 'insert', 'update', 'delete'];

/** The organization of the transaction; null outside of one. Asked once a statement. */
const current = `(select nullif(current_setting('guildhall.organization', true), ''))`;

interface Rule {
  /** Why it is not simply of one organization. */
  reason: string;
  /** Which rows `app` sees and may write; null: it has no right to the table. */
  rows: string | null;
  /** Which rows it may write, when fewer. */
  writes?: string;
  rights?: Right[];
  /** The only columns that it may select. */
  columns?: string[];
}

const systemOnly = (reason: string): Rule => ({ reason, rows: null });

/** Tables without `organization_id`, or with more to say than that. */
export const rules: Record<string, Rule> = {
  'public.organizations': {
    reason: 'it is the organization',
    rows: `id = ${current}`,
    rights: ['select', 'update'],
  },
  'public.prices': {
    reason: 'published list prices are for all, an organization adds its own',
    rows: `organization_id is null or organization_id = ${current}`,
    writes: `organization_id = ${current}`,
  },
  'public.users': {
    reason: 'people; an organization sees those who are its members',
    rows: 'exists (select from members m where m.user_id = users.id)',
    rights: ['select'],
  },
  'public.accounts': systemOnly('how people prove who they are'),
  'public.sessions': {
    reason: 'of a person; an organization may end those for its membership, and those for none in particular',
    rows: `exists (select from members m where m.id = sessions.member_id)
      or member_id is null and exists (select from members m where m.user_id = sessions.user_id)`,
    rights: ['delete'],
    columns: ['id', 'user_id', 'member_id', 'created_at', 'expires_at'],
  },
  'public.verifications': systemOnly('sign-ins under way'),
  'public.second_factors': systemOnly('how people prove who they are'),
  'public.passkeys': systemOnly('how people prove who they are'),
  'public.signing_keys': systemOnly('keys of the deployment'),
  'public.master_keys': systemOnly('keys of the deployment'),
  'public.derivation_root': systemOnly('keys of the deployment'),
  'public.audit_keys': {
    reason: 'keys of the deployment; whoever verifies the audit needs their public parts',
    rows: 'true',
    writes: 'false',
    rights: [],
    columns: ['number', 'id', 'public_key', 'created_at'],
  },
  'public.rate_limits': systemOnly('counted before it is known who asks'),
  'public.workers': systemOnly('processes of the deployment'),
  'public.kysely_migration': systemOnly('names of migrations'),
  'public.kysely_migration_lock': systemOnly('names of migrations'),
  'graphile_worker._private_jobs': {
    reason: 'a job names a row, and belongs to whom that row belongs',
    rows: `case when payload ->> 'run_id' is not null then exists (select from public.runs where id = payload ->> 'run_id')
      when payload ->> 'task_id' is not null then exists (select from public.tasks where id = payload ->> 'task_id')
      else payload ->> 'organization_id' = ${current} end`,
    rights: ['select', 'insert', 'update'],
  },
  'graphile_worker._private_tasks': { reason: 'names of jobs', rows: 'true', rights: ['select', 'insert'] },
  'graphile_worker._private_job_queues': {
    reason: 'named queues, which requests do not use',
    rows: 'false',
    rights: ['select', 'insert'],
  },
  'graphile_worker._private_known_crontabs': systemOnly('the time table of the queue'),
  'graphile_worker.migrations': systemOnly('names of migrations'),
};

/** What happened, what it cost and what was shown about it is only added to. */
export const appendOnly: readonly string[] = [
  'audit_records',
  'audit_seals',
  'steps',
  'events',
  'usage_records',
  'prices',
  'checks',
  'artifacts',
  'agent_definitions',
].map(name => `public.${name}`);
/** Written by migrations only. */
const readOnly = ['public.kysely_migration', 'public.kysely_migration_lock', 'graphile_worker.migrations'];
/** Read while nobody is anybody yet, and by the owner's tools. */
const open = readOnly;

/** A table or view as it is, or as it should be. */
interface State {
  secured: boolean;
  /** Name of each policy → hash of what it says. */
  policies: Record<string, string>;
  app: Right[];
  system: Right[];
  /** What `app` may select of a table that it may not select as a whole. */
  columns: string[];
}

interface Found extends State {
  /** `schema.name` */
  name: string;
  view: boolean;
  owned: boolean;
}

interface Policy {
  name: string;
  role: string;
  rows: string;
  writes: string;
}

/** The rule of a table: the listed one, or that it is of an organization. Null: neither, so it is closed to `app`. */
function ruleOf(table: Pick<Found, 'name' | 'owned'>): Rule | null {
  const listed = rules[table.name];
  if (listed) return listed;
  return table.owned ? { reason: '', rows: `organization_id = ${current}` } : null;
}

function policiesOf(table: Found): Policy[] {
  if (table.view || open.includes(table.name)) return [];
  const policies: Policy[] = [{ name: 'system', role: roles.system, rows: 'true', writes: 'true' }];
  const rule = ruleOf(table);
  if (rule?.rows) {
    policies.push({
      name: 'organization',
      role: roles.app,
      rows: rule.rows,
      writes: rule.writes ?? rule.rows,
    });
  }
  return policies;
}

const hashOf = (p: Policy): string =>
  createHash('sha256').update(JSON.stringify(p)).digest('base64url').slice(0, 22);

function wantedFor(table: Found): State {
  const policies = policiesOf(table);
  const allowed = (rights: Right[]) =>
    rights.filter(right =>
      readOnly.includes(table.name)
        ? right === 'select'
        : !(appendOnly.includes(table.name) && (right === 'update' || right === 'delete')),
    );
  const rule = ruleOf(table);
  // A view shows what whoever asks may see; those of the queue are not of that kind.
  const viewRights: Right[] = table.name.startsWith('public.') ? ['select'] : [];
  return {
    secured: policies.length > 0 || table.view,
    policies: Object.fromEntries(policies.map(p => [p.name, hashOf(p)])),
    app: table.view ? viewRights : allowed(rule?.rows ? (rule.rights ?? everyRight) : []),
    system: table.view ? ['select'] : allowed(everyRight),
    columns: rule?.columns ?? [],
  };
}

/** Brings rights and policies to what they should be; where they are so already nothing is locked. */
export async function applyTenancy(db: Db): Promise<void> {
  await transact(db, async tx => {
    await grantBasics(tx);
    for (const table of await readTables(tx)) {
      const wanted = wantedFor(table);
      if (same(table, wanted)) continue;
      for (const text of statementsFor(table, wanted)) await sql.raw(text).execute(tx);
    }
  });
}

/** Takes policies away, so that tables which they name can be dropped. Without them nobody but the owner sees a row. */
export async function removePolicies(db: Db): Promise<void> {
  await transact(db, async tx => {
    for (const table of await readTables(tx)) {
      const owned = table.name.startsWith('public.') && table.secured && !table.view;
      for (const name of Object.keys(table.policies))
        await sql.raw(`drop policy "${name}" on ${table.name}`).execute(tx);
      if (owned) await sql.raw(`alter table ${table.name} disable row level security`).execute(tx);
    }
  });
}

/** Tables of the application that neither have an organization nor stand in the list: what a test refuses. */
export async function unruledTables(db: Db): Promise<string[]> {
  const tables = await transact(db, readTables);
  return tables.filter(table => !table.view && ruleOf(table) === null).map(table => table.name);
}

function same(a: State, b: State): boolean {
  const text = (s: State) =>
    JSON.stringify(
      [s.secured, Object.entries(s.policies), s.app, s.system, s.columns].map(v =>
        Array.isArray(v) ? [...v].sort() : v,
      ),
    );
  return text(a) === text(b);
}

function statementsFor(table: Found, wanted: State): string[] {
  const { name } = table;
  const statements = [
    ...Object.keys(table.policies).map(policy => `drop policy "${policy}" on ${name}`),
    `revoke all on ${name} from ${roles.app}, ${roles.system}`,
  ];
  if (wanted.app.length > 0) statements.push(`grant ${wanted.app.join(', ')} on ${name} to ${roles.app}`);
  if (wanted.columns.length > 0)
    statements.push(`grant select (${wanted.columns.join(', ')}) on ${name} to ${roles.app}`);
  statements.push(`grant ${wanted.system.join(', ')} on ${name} to ${roles.system}`);
  if (table.view && name.startsWith('public.'))
    statements.push(`alter view ${name} set (security_invoker = true)`);
  if (table.view || !wanted.secured) return statements;
  statements.push(
    `alter table ${name} enable row level security`,
    `alter table ${name} force row level security`,
  );
  for (const policy of policiesOf(table)) {
    statements.push(
      `create policy "${policy.name}" on ${name} to ${policy.role} using (${policy.rows}) with check (${policy.writes})`,
      `comment on policy "${policy.name}" on ${name} is '${hashOf(policy)}'`,
    );
  }
  return statements;
}

async function readTables(tx: Tx): Promise<Found[]> {
  const { rows } = await sql<Omit<Found, 'policies'> & { policies: { name: string; hash: string | null }[] }>`
    select n.nspname || '.' || c.relname as name, c.relkind = 'v' as view,
      case when c.relkind = 'v' then n.nspname <> 'public' or coalesce('security_invoker=true' = any (c.reloptions), false)
        else c.relrowsecurity and c.relforcerowsecurity end as secured,
      exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped) as owned,
      array(select r from unnest(${everyRight}::text[]) r where has_table_privilege(${roles.app}, c.oid, r)) as app,
      array(select r from unnest(${everyRight}::text[]) r where has_table_privilege(${roles.system}, c.oid, r)) as system,
      array(select attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and has_column_privilege(${roles.app}, c.oid, a.attnum, 'select') and not has_table_privilege(${roles.app}, c.oid, 'select')) as columns,
      coalesce((select json_agg(json_build_object('name', p.polname, 'hash', obj_description(p.oid, 'pg_policy')))
        from pg_policy p where p.polrelid = c.oid), '[]') as policies
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'graphile_worker') and c.relkind in ('r', 'p', 'v')
    order by 1`.execute(tx);
  return rows.map(row => ({
    ...row,
    policies: Object.fromEntries(row.policies.map(p => [p.name, p.hash ?? ''])),
  }));
}

/** Rights on schemas, sequences and functions, and the few that PostgreSQL gives to everybody taken back. */
async function grantBasics(tx: Tx): Promise<void> {
  await sql`
    do $$
    declare
      r record;
      app constant text := ${sql.lit(roles.app)};
      sys constant text := ${sql.lit(roles.system)};
    begin
      for r in select nspname from pg_namespace where nspname in ('public', 'graphile_worker') loop
        if not (has_schema_privilege(app, r.nspname, 'usage') and has_schema_privilege(sys, r.nspname, 'usage')) then
          execute format('grant usage on schema %I to %I, %I', r.nspname, app, sys);
        end if;
        if has_schema_privilege(app, r.nspname, 'create') then
          execute format('revoke create on schema %I from public', r.nspname);
        end if;
      end loop;
      if has_database_privilege(app, current_database(), 'temporary') then
        execute format('revoke temporary on database %I from public', current_database());
      end if;
      for r in select c.oid::regclass as name from pg_class c
        where c.relkind = 'S' and c.relnamespace in ('public'::regnamespace, 'graphile_worker'::regnamespace)
          and not (has_sequence_privilege(app, c.oid, 'usage') and has_sequence_privilege(sys, c.oid, 'usage')) loop
        execute format('grant usage on sequence %s to %I, %I', r.name, app, sys);
      end loop;
      -- Functions that work with the rights of the owner are for the system.
      for r in select p.oid::regprocedure as name from pg_proc p
        where p.prosecdef and p.pronamespace = 'public'::regnamespace
          and (has_function_privilege(app, p.oid, 'execute') or not has_function_privilege(sys, p.oid, 'execute')) loop
        execute format('revoke execute on function %s from public', r.name);
        execute format('grant execute on function %s to %I', r.name, sys);
      end loop;
    end $$`.execute(tx);
}
