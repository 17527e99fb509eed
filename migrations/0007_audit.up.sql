-- Tamper evidence of the audit: every audit record and step gets a place in one order, and seals over them in chains
-- (docs/operating/audit.md has the format). Writers do nothing for it; a sweep seals what has been committed.

-- A record's place: its transaction, then the sequence that steps and events have too. Records from before get theirs
-- in the order in which they were written.
alter table audit_records add column xid xid8 not null default pg_current_xact_id(), add column fact_seq bigint;
with ordered as materialized (select id from audit_records order by id),
  numbered as materialized (select id, nextval('fact_seq') as n from ordered)
update audit_records set fact_seq = numbered.n from numbered where numbered.id = audit_records.id;
alter table audit_records alter column fact_seq set not null, alter column fact_seq set default nextval('fact_seq');
create index audit_as_facts on audit_records (xid, fact_seq);

-- Searching: newest first, of one organization, actor, target or request.
drop index audit_by_organization;
create index audit_by_time on audit_records (organization_id, created_at, fact_seq);
create index audit_by_actor on audit_records (organization_id, actor, created_at, fact_seq);
create index audit_by_target on audit_records (organization_id, target, created_at, fact_seq) where target is not null;
create index audit_by_request on audit_records (organization_id, request_id);
create index steps_by_time on steps (organization_id, ended_at, fact_seq);
create index runs_by_request on runs (organization_id, request_id);

drop view audit_trail;
create view audit_trail with (security_invoker = true) as
  select organization_id, actor, action, target, outcome, data, request_id, created_at, xid, fact_seq from audit_records
  union all
  select organization_id, actor, kind || '.call', name, case outcome when 'ok' then 'ok' when 'refused' then 'refused' else 'failed' end,
    jsonb_build_object('run_id', run_id, 'seq', seq, 'task_id', task_id), request_id, ended_at, xid, fact_seq
  from steps where kind <> 'notice';

-- Pairs of keys that seals are signed with: the newest signs. The public parts stay for ever; the private one is
-- sealed under the master key.
create table audit_keys (
  number bigint generated always as identity primary key,
  id text not null unique check (id ~ '^[0-9a-f]{64}$'), -- SHA-256 of the public key
  public_key bytea not null check (octet_length(public_key) = 32),
  sealed_private_key text not null,
  created_at timestamptz not null
);

-- A seal: what was recorded between two places of the order, in one organization and of one class, record by record.
-- `entries` has 48 bytes for each: xid, fact_seq (8 bytes each, big endian), SHA-256 of audit_text. A chain is the
-- seals of an organization by number; that of records that belong to none is called `system`.
create table audit_seals (
  organization_id text not null,
  number bigint not null check (number > 0),
  class text not null check (class in ('administrative', 'access', 'call')),
  from_xid xid8 not null,
  from_seq bigint not null,
  to_xid xid8 not null,
  to_seq bigint not null,
  record_count integer not null check (record_count >= 0),
  entries bytea not null check (octet_length(entries) = 48 * record_count),
  previous_hash bytea not null check (octet_length(previous_hash) = 32),
  hash bytea not null check (octet_length(hash) = 32),
  -- Seals without records hand the chain over: signed by one key, they name the next.
  introduces_key text references audit_keys (id) check ((introduces_key is null) = (record_count > 0)),
  key_id text not null references audit_keys (id),
  signature bytea not null check (octet_length(signature) = 64),
  sealed_at timestamptz not null,
  -- When retention removed the records; the seal stays.
  pruned_at timestamptz,
  primary key (organization_id, number)
);
-- Where sealing has come to: the greatest place of all.
create index audit_seals_by_place on audit_seals (to_xid, to_seq);
create index audit_seals_by_age on audit_seals (class, sealed_at) where pruned_at is null;

-- How long a record is kept: signing in and being refused, calls of models and tools, and all else (for ever).
create function audit_class(p_action text) returns text language sql immutable parallel safe as $$
  select case when p_action ~ '^(access|session|sign_in|sign_out|authentication|run_token)\.' then 'access' else 'administrative' end
$$;

-- The text that is hashed: every column. Times in UTC with their microseconds, whatever the session's zone. A column
-- that is added later goes in only where it has a value (`|| case when …`), so that former hashes stay what they are.
create function audit_text(r audit_records) returns text language sql stable parallel safe as $$
  select jsonb_build_object('table', 'audit_records', 'id', r.id, 'organization_id', r.organization_id, 'actor', r.actor, 'action', r.action,
    'target', r.target, 'outcome', r.outcome, 'data', r.data, 'request_id', r.request_id, 'created_at', r.created_at at time zone 'UTC',
    'xid', r.xid::text, 'fact_seq', r.fact_seq::text)::text
$$;
create function audit_text(r steps) returns text language sql stable parallel safe as $$
  select jsonb_build_object('table', 'steps', 'run_id', r.run_id, 'seq', r.seq, 'organization_id', r.organization_id, 'task_id', r.task_id,
    'root_task_id', r.root_task_id, 'kind', r.kind, 'name', r.name, 'call_id', r.call_id, 'outcome', r.outcome, 'data', r.data,
    'idempotency_key', r.idempotency_key, 'fencing_token', r.fencing_token::text, 'actor', r.actor, 'request_id', r.request_id,
    'started_at', r.started_at at time zone 'UTC', 'ended_at', r.ended_at at time zone 'UTC', 'xid', r.xid::text,
    'fact_seq', r.fact_seq::text)::text
$$;

-- What is sealed, verified and exported: every record with its chain, its place and the text that is hashed.
create view audit_texts with (security_invoker = true) as
  select coalesce(organization_id, 'system') as organization_id, audit_class(action) as class, xid, fact_seq,
    audit_text(audit_records) as text, created_at
  from audit_records
  union all
  select organization_id, 'call', xid, fact_seq, audit_text(steps), ended_at from steps;

-- Retention. The application may append to the audit and not remove: it can only ask for one whole seal's records to
-- go, and is refused unless the class may go at all, every record is older than the least retention by the
-- database's own clock, none belongs to a run under way, and they are exactly what was sealed, so that nothing that
-- was tampered with is swept away. The seal stays, and the removal is itself recorded.
create function audit_prune(p_organization text, p_number bigint) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  least_retention constant interval := interval '365 days';
  s audit_seals;
  found_entries bytea;
  newest timestamptz;
  removed integer;
begin
  select * into s from audit_seals where organization_id = p_organization and number = p_number for update;
  if not found or s.pruned_at is not null or s.record_count = 0 then return 0; end if;
  if s.class = 'administrative' then
    raise exception 'administrative records are kept for ever' using errcode = '55000';
  end if;
  select string_agg(xid8send(xid) || int8send(fact_seq) || sha256(convert_to(text, 'UTF8')), ''::bytea
      order by xid, fact_seq), max(created_at)
    into found_entries, newest from audit_texts
    where organization_id = s.organization_id and class = s.class
      and (xid, fact_seq) > (s.from_xid, s.from_seq) and (xid, fact_seq) <= (s.to_xid, s.to_seq);
  if found_entries is distinct from s.entries then
    raise exception 'the records of seal % are not those that were sealed; run guildhall audit verify', p_number using errcode = '55000';
  end if;
  if greatest(newest, s.sealed_at) > now() - least_retention then
    raise exception 'records are kept for at least %', least_retention using errcode = '55000';
  end if;
  if s.class = 'call' then
    if exists (select 1 from steps join runs on runs.id = steps.run_id where runs.ended_at is null
        and steps.organization_id = s.organization_id
        and (xid, fact_seq) > (s.from_xid, s.from_seq) and (xid, fact_seq) <= (s.to_xid, s.to_seq)) then
      raise exception 'a run of seal % is still under way', p_number using errcode = '55000';
    end if;
    delete from steps where organization_id = s.organization_id
      and (xid, fact_seq) > (s.from_xid, s.from_seq) and (xid, fact_seq) <= (s.to_xid, s.to_seq);
  else
    delete from audit_records where coalesce(organization_id, 'system') = s.organization_id and audit_class(action) = s.class
      and (xid, fact_seq) > (s.from_xid, s.from_seq) and (xid, fact_seq) <= (s.to_xid, s.to_seq);
  end if;
  get diagnostics removed = row_count;
  update audit_seals set pruned_at = now() where organization_id = p_organization and number = p_number;
  insert into audit_records (organization_id, actor, action, target, outcome, data, created_at)
    values (nullif(p_organization, 'system'), 'system', 'audit.prune', 'seal:' || p_number, 'ok',
      jsonb_build_object('seal', p_number, 'class', s.class, 'records', removed, 'seal_hash', encode(s.hash, 'hex'),
        'at_ms', floor(extract(epoch from now()) * 1000)::bigint), now());
  return removed;
end $$;
