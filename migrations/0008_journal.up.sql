-- The journal under load. Steps and usage records are written only by statements that have checked the run they
-- belong to, and prices are never deleted: foreign keys there cost a lookup and a shared row lock for every step.
alter table steps drop constraint steps_run_id_fkey;
alter table usage_records drop constraint usage_records_price_id_fkey;

-- Counted from the steps where they are wanted: writing them with every step made a new version of the run each time.
alter table runs drop column step_count, drop column turn_count;

-- Not by state: hot statements name the state of the one run or task that they are about, and an index over all in
-- that state would be taken for the way to it.
drop index runs_leased;
create index runs_held on runs (worker_id) where worker_id is not null;
drop index runs_one_open_per_task;
create unique index runs_one_open_per_task on runs (task_id) where ended_at is null;
-- A task changes a few times: leave room to do it in place.
alter table tasks set (fillfactor = 80);
drop index tasks_deadline;
create index tasks_deadline on tasks (deadline_at) where ended_at is null;
