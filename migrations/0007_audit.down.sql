drop function audit_prune(text, bigint);
drop view audit_texts;
drop function audit_text(steps);
drop function audit_text(audit_records);
drop function audit_class(text);
drop table audit_seals;
drop table audit_keys;

drop view audit_trail;
create view audit_trail as
  select organization_id, actor, action, target, outcome, data, request_id, created_at from audit_records
  union all
  select organization_id, actor, kind || '.call', name, case outcome when 'ok' then 'ok' when 'refused' then 'refused' else 'failed' end,
    jsonb_build_object('run_id', run_id, 'seq', seq), request_id, ended_at
  from steps where kind <> 'notice';

drop index runs_by_request;
drop index steps_by_time;
drop index audit_by_request;
drop index audit_by_target;
drop index audit_by_actor;
drop index audit_by_time;
create index audit_by_organization on audit_records (organization_id, id desc);
drop index audit_as_facts;
alter table audit_records drop column xid, drop column fact_seq;
