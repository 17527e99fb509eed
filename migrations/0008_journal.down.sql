alter table tasks reset (fillfactor);
drop index tasks_deadline;
create index tasks_deadline on tasks (deadline_at)
  where state in ('draft', 'queued', 'running', 'waiting', 'paused', 'in_review');
drop index runs_one_open_per_task;
create unique index runs_one_open_per_task on runs (task_id) where state in ('queued', 'running', 'waiting', 'lost');
drop index runs_held;
create index runs_leased on runs (worker_id, lease_until) where state = 'running';
alter table runs add column step_count integer not null default 0, add column turn_count integer not null default 0;
update runs set step_count = s.steps, turn_count = s.turns from (
  select run_id, count(*) as steps, count(*) filter (where kind = 'model') as turns from steps group by run_id) s where s.run_id = runs.id;
alter table usage_records add constraint usage_records_price_id_fkey foreign key (price_id) references prices;
alter table steps add constraint steps_run_id_fkey foreign key (run_id) references runs;
