drop index approvals_list, messages_by_task;
alter view audit_trail reset (security_invoker);
alter view facts reset (security_invoker);
-- What was charged stays; by which price is then no longer told.
update usage_records set price_id = null where price_id in (select id from prices where organization_id is not null);
delete from prices where organization_id is not null;
alter table prices
  drop constraint prices_organization_id_provider_model_valid_from_key,
  drop column organization_id,
  add unique (provider, model, valid_from);
