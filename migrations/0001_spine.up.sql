-- The spine: who there is, what is to be done, how it went, what it cost.
-- Every row that belongs to an organization carries organization_id. Times are UTC. Money is whole micro-dollars.

create table organizations (
  id text primary key,
  name text not null,
  created_at timestamptz not null
);

create table projects (
  id text primary key,
  organization_id text not null references organizations,
  name text not null,
  created_at timestamptz not null,
  unique (organization_id, name)
);

create table members (
  id text primary key,
  organization_id text not null references organizations,
  name text not null,
  role text not null check (role in ('owner', 'admin', 'manager', 'developer', 'viewer', 'auditor', 'none')),
  created_at timestamptz not null
);

-- A link signs one member in, once. Only the hash of its token is kept.
create table sign_in_links (
  token_hash text primary key,
  organization_id text not null references organizations,
  member_id text not null references members,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz
);

create table sessions (
  token_hash text primary key,
  organization_id text not null references organizations,
  member_id text not null references members,
  csrf_token text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz
);

create table api_keys (
  id text primary key,
  organization_id text not null references organizations,
  member_id text not null references members,
  name text not null,
  prefix text not null,
  key_hash text not null unique,
  scopes text[] not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);

create table teams (
  id text primary key,
  organization_id text not null references organizations,
  name text not null,
  template text not null,
  created_at timestamptz not null,
  unique (organization_id, name)
);

create table agents (
  id text primary key,
  organization_id text not null references organizations,
  team_id text not null references teams,
  name text not null,
  reports_to text references agents,
  -- paused and draining take no new runs; whether an agent is busy follows from its runs.
  state text not null check (state in ('active', 'draining', 'paused')),
  version integer not null,
  created_at timestamptz not null,
  unique (team_id, name),
  check (reports_to is distinct from id)
);

create table agent_definitions (
  agent_id text not null references agents,
  version integer not null,
  organization_id text not null references organizations,
  title text not null,
  role text not null,
  description text not null,
  instructions text not null,
  model text not null,
  tools text[] not null,
  max_output_tokens integer not null,
  created_by text not null,
  created_at timestamptz not null,
  primary key (agent_id, version)
);

create table tasks (
  id text primary key,
  sequence bigint generated always as identity unique,
  organization_id text not null references organizations,
  project_id text not null references projects,
  root_task_id text not null,
  parent_task_id text references tasks,
  parent_run_id text,
  parent_call_id text,
  subject_task_id text references tasks,
  depth integer not null check (depth between 0 and 20),
  agent_id text not null references agents,
  requester text not null,
  kind text not null check (kind in ('work', 'verification')),
  title text not null,
  brief jsonb not null,
  checks text[] not null,
  decisions text[] not null,
  source jsonb,
  base_commit text,
  state text not null check (state in ('draft', 'queued', 'running', 'waiting', 'paused', 'in_review',
    'succeeded', 'failed', 'cancelled', 'timed_out', 'dead_letter')),
  waiting_on text check (waiting_on in ('approval', 'input', 'children', 'dependency', 'budget', 'time')),
  state_reason text,
  round integer not null default 1,
  max_rounds integer not null default 3,
  max_turns integer not null,
  deadline_at timestamptz not null,
  accept_by timestamptz,
  accepted_at timestamptz,
  decision text,
  summary text,
  delivered_commit text,
  delivered_branch text,
  request_id text not null,
  version integer not null default 1,
  created_at timestamptz not null,
  started_at timestamptz,
  ended_at timestamptz,
  updated_at timestamptz not null,
  unique (parent_run_id, parent_call_id)
);
create index tasks_list on tasks (organization_id, id desc);
create index tasks_tree on tasks (root_task_id);
create index tasks_children on tasks (parent_task_id) where parent_task_id is not null;
create index tasks_deadline on tasks (deadline_at)
  where state in ('draft', 'queued', 'running', 'waiting', 'paused', 'in_review');

create table task_dependencies (
  task_id text not null references tasks,
  depends_on text not null references tasks,
  organization_id text not null references organizations,
  primary key (task_id, depends_on),
  check (task_id <> depends_on)
);
create index task_dependants on task_dependencies (depends_on);

create table runs (
  id text primary key,
  organization_id text not null references organizations,
  task_id text not null references tasks,
  agent_id text not null,
  agent_version integer not null,
  round integer not null,
  model text not null,
  state text not null check (state in ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'timed_out', 'lost')),
  waiting_on jsonb,
  state_reason text,
  fencing_token bigint not null default 0,
  worker_id text,
  lease_until timestamptz,
  step_count integer not null default 0,
  turn_count integer not null default 0,
  failure_count integer not null default 0,
  wake_at timestamptz,
  stop_requested text check (stop_requested in ('cancel', 'pause', 'time_out')),
  request_id text not null,
  created_at timestamptz not null,
  started_at timestamptz,
  ended_at timestamptz
) with (fillfactor = 50); -- a run is updated with every step: leave room to do it in place
create unique index runs_one_open_per_task on runs (task_id) where state in ('queued', 'running', 'waiting', 'lost');
create index runs_by_task on runs (task_id, id);
create index runs_leased on runs (worker_id, lease_until) where state = 'running';
create index runs_unfinished on runs (state) where state in ('queued', 'waiting', 'lost');

-- Orders steps and events among each other. xid makes the order safe to follow: a reader takes only rows below the
-- oldest transaction that is still open.
create sequence fact_seq;

-- The journal: the transcript of a run is its steps in order. A step is also the event and the audit record of the
-- model or tool call that it tells of: one fact, one row (see the views facts and audit_trail). Only ever inserted.
create table steps (
  run_id text not null references runs,
  seq integer not null,
  organization_id text not null,
  task_id text not null,
  root_task_id text not null,
  kind text not null check (kind in ('notice', 'model', 'tool')),
  name text not null,
  call_id text,
  outcome text not null check (outcome in ('ok', 'failed', 'refused')),
  data jsonb not null,
  idempotency_key text not null,
  fencing_token bigint not null,
  actor text not null,
  request_id text not null,
  started_at timestamptz not null,
  ended_at timestamptz not null,
  xid xid8 not null default pg_current_xact_id(),
  fact_seq bigint not null default nextval('fact_seq'),
  primary key (run_id, seq)
);
create index steps_as_facts on steps (xid, fact_seq);

-- Committed before an effect that cannot simply be repeated. `effect` tells how to see that it has happened: after a
-- crash the call is looked up by it rather than made twice.
create table intents (
  idempotency_key text primary key,
  organization_id text not null,
  run_id text not null references runs,
  seq integer not null,
  name text not null,
  fencing_token bigint not null,
  created_at timestamptz not null,
  effect text not null
);

create table messages (
  id text primary key,
  organization_id text not null references organizations,
  task_id text references tasks,
  sender text not null,
  recipient_agent_id text not null references agents,
  subject text not null,
  body text not null,
  created_at timestamptz not null,
  read_at timestamptz
);
create index messages_inbox on messages (recipient_agent_id, id) where read_at is null;

create table approvals (
  id text primary key,
  organization_id text not null references organizations,
  task_id text not null references tasks,
  run_id text not null references runs,
  call_id text not null,
  kind text not null check (kind in ('question', 'tool_call')),
  question text not null,
  options text[] not null,
  payload_hash text not null,
  state text not null check (state in ('pending', 'approved', 'rejected', 'expired', 'cancelled')),
  answer text,
  decided_by text,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  decided_at timestamptz,
  unique (run_id, call_id)
);
create index approvals_pending on approvals (organization_id, id) where state = 'pending';
create index approvals_expiry on approvals (expires_at) where state = 'pending';

-- Rules that turn an allowed tool call into a question for people, or refuse it. The first that matches decides.
create table tool_policies (
  id text primary key,
  organization_id text not null references organizations,
  position integer not null,
  tool text not null,
  agent_role text,
  argument_pattern text,
  outcome text not null check (outcome in ('allow', 'ask', 'deny')),
  reason text not null,
  created_at timestamptz not null
);

create table checks (
  id text primary key,
  organization_id text not null references organizations,
  task_id text not null references tasks,
  round integer not null,
  kind text not null check (kind in ('command', 'verification', 'delivery')),
  command text not null,
  commit text,
  exit_code integer,
  outcome text not null,
  passed boolean not null,
  output text not null,
  duration_ms integer not null,
  created_at timestamptz not null
);
create index checks_by_task on checks (task_id, id);

create table artifacts (
  id text primary key,
  organization_id text not null references organizations,
  task_id text not null references tasks,
  name text not null,
  media_type text not null,
  sha256 text not null,
  content bytea not null,
  created_at timestamptz not null
);
create index artifacts_by_task on artifacts (task_id);

create table prices (
  id text primary key,
  provider text not null,
  model text not null,
  valid_from timestamptz not null,
  input_micros bigint not null check (input_micros >= 0),
  cached_read_micros bigint not null check (cached_read_micros >= 0),
  cached_write_micros bigint not null check (cached_write_micros >= 0),
  output_micros bigint not null check (output_micros >= 0),
  source text not null,
  unique (provider, model, valid_from)
);

create table budgets (
  id text primary key,
  organization_id text not null references organizations,
  scope text not null check (scope in ('organization', 'project', 'task')),
  scope_id text not null,
  limit_micros bigint not null check (limit_micros >= 0),
  spent_micros bigint not null default 0,
  reserved_micros bigint not null default 0 check (reserved_micros >= 0),
  created_at timestamptz not null,
  unique (scope, scope_id)
) with (fillfactor = 70);

create table reservations (
  idempotency_key text primary key,
  organization_id text not null,
  run_id text not null,
  task_id text not null,
  budget_ids text[] not null,
  amount_micros bigint not null,
  state text not null check (state in ('open', 'settled', 'released')),
  created_at timestamptz not null,
  closed_at timestamptz
);
create index reservations_open on reservations (run_id) where state = 'open';

create table usage_records (
  idempotency_key text primary key,
  organization_id text not null,
  project_id text not null,
  task_id text not null,
  root_task_id text not null,
  run_id text not null,
  agent_id text not null,
  reservation_key text,
  provider text not null,
  model text not null,
  input_tokens bigint not null,
  cached_read_tokens bigint not null,
  cached_write_tokens bigint not null,
  output_tokens bigint not null,
  reasoning_tokens bigint not null,
  exact boolean not null,
  price_id text references prices,
  cost_micros bigint,
  created_at timestamptz not null
);
create index usage_by_root on usage_records (root_task_id);
create index usage_by_reservation on usage_records (reservation_key) where reservation_key is not null;

create table events (
  xid xid8 not null default pg_current_xact_id(),
  seq bigint not null default nextval('fact_seq'),
  organization_id text not null,
  type text not null,
  task_id text,
  root_task_id text,
  run_id text,
  actor text not null,
  request_id text,
  data jsonb not null,
  created_at timestamptz not null,
  primary key (xid, seq)
);

create table audit_records (
  id bigint generated always as identity primary key,
  organization_id text,
  actor text not null,
  action text not null,
  target text,
  outcome text not null check (outcome in ('ok', 'refused', 'failed')),
  data jsonb not null,
  request_id text,
  created_at timestamptz not null
);
create index audit_by_organization on audit_records (organization_id, id desc);

create table idempotency_keys (
  organization_id text not null,
  actor text not null,
  key text not null,
  request_hash text not null,
  status integer,
  body jsonb,
  created_at timestamptz not null,
  primary key (organization_id, actor, key)
);

create table workers (
  id text primary key,
  host text not null,
  pid integer not null,
  state text not null check (state in ('active', 'draining', 'stopped', 'dead')),
  queue_worker_ids text[] not null,
  started_at timestamptz not null,
  heartbeat_at timestamptz not null
);

create table dead_letters (
  id text primary key,
  organization_id text not null references organizations,
  task_id text not null references tasks,
  run_id text not null references runs,
  code text not null,
  reason text not null,
  created_at timestamptz not null,
  replayed_at timestamptz
);
create index dead_letters_list on dead_letters (organization_id, id desc);

-- What happened, for live views and reactions: events, and steps as `step.finished` with a few words of what they hold.
create view facts as
  select xid, seq, organization_id, type, task_id, root_task_id, run_id, actor, request_id, data, created_at from events
  union all
  select xid, fact_seq, organization_id, 'step.finished', task_id, root_task_id, run_id, actor, request_id,
    jsonb_strip_nulls(jsonb_build_object('seq', seq, 'kind', kind, 'name', name, 'outcome', outcome, 'cost_micros', data -> 'cost_micros',
      'text', left(case kind when 'notice' then data ->> 'text'
        when 'model' then jsonb_path_query_first(data, '$.content[*] ? (@.type == "text").text') #>> '{}' end, 200),
      'tools', case kind when 'model' then jsonb_path_query_array(data, '$.content[*] ? (@.type == "tool_call").name') end,
      'arguments', case kind when 'tool' then jsonb_build_object('path', data #> '{arguments,path}', 'assignee', data #> '{arguments,assignee}',
        'command', left(data #>> '{arguments,command}', 200), 'message', left(data #>> '{arguments,message}', 200)) end,
      'result', left(case kind when 'tool' then data ->> 'content' end, 160))), ended_at
  from steps;

-- Who did what to what: the audit records, and every model and tool call from its step.
create view audit_trail as
  select organization_id, actor, action, target, outcome, data, request_id, created_at from audit_records
  union all
  select organization_id, actor, kind || '.call', name, case outcome when 'ok' then 'ok' when 'refused' then 'refused' else 'failed' end,
    jsonb_build_object('run_id', run_id, 'seq', seq), request_id, ended_at
  from steps where kind <> 'notice';

-- Holds money on every named budget: `chunk` where it is less than a tenth of what the tightest has left (several
-- calls then need one reservation), otherwise `wanted`, or as much as is left, but never less than `minimum`: then
-- nothing is held and null comes back. Budgets are locked in the order of their ids, so two callers cannot deadlock.
-- A reservation under a known key is returned as it is: reserving twice is reserving once.
create function budget_reserve(
  p_key text, p_organization text, p_run text, p_task text, p_budgets text[],
  p_chunk bigint, p_wanted bigint, p_minimum bigint, p_now timestamptz
) returns bigint language plpgsql as $$
declare
  room bigint;
  held bigint;
begin
  select min(limit_micros - spent_micros - reserved_micros) into room
    from (select * from budgets where id = any (p_budgets) order by id for update) locked;
  -- Under the locks: of two who reserve under one key at the same moment the second finds what the first has held.
  select amount_micros into held from reservations where idempotency_key = p_key and state = 'open';
  if found then return held; end if;
  held := case when room is null or p_chunk <= room / 10 then p_chunk else least(p_wanted, room) end;
  if held < p_minimum then return null; end if;
  update budgets set reserved_micros = reserved_micros + held where id = any (p_budgets);
  insert into reservations (idempotency_key, organization_id, run_id, task_id, budget_ids, amount_micros, state, created_at)
    values (p_key, p_organization, p_run, p_task, p_budgets, held, 'open', p_now)
    on conflict (idempotency_key) do update
      set amount_micros = excluded.amount_micros, budget_ids = excluded.budget_ids, state = 'open', closed_at = null;
  return held;
end $$;

-- Closes a reservation, exactly once: releases what was held and books what was spent (0 releases).
create function budget_settle(p_key text, p_spent bigint, p_now timestamptz) returns boolean language plpgsql as $$
declare
  r reservations;
begin
  update reservations set state = case when p_spent > 0 then 'settled' else 'released' end, closed_at = p_now
    where idempotency_key = p_key and state = 'open' returning * into r;
  if not found then return false; end if;
  if cardinality(r.budget_ids) > 0 then
    perform 1 from budgets where id = any (r.budget_ids) order by id for update;
    update budgets set reserved_micros = reserved_micros - r.amount_micros, spent_micros = spent_micros + p_spent
      where id = any (r.budget_ids);
  end if;
  return true;
end $$;

-- Closes a reservation with what the usage records under it say. They are written with the step of their call, so
-- this is exact whenever it happens, also after a crash.
create function budget_close(p_key text, p_now timestamptz) returns boolean language sql as $$
  select budget_settle(p_key, (select coalesce(sum(cost_micros), 0)::bigint from usage_records where reservation_key = p_key), p_now);
$$;
