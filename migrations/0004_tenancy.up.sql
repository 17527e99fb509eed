-- Isolation between organizations. Rights and row-level security of all tables are made from the catalog after the
-- migrations (src/platform/db/tenancy.ts); here is what tables and views need for it.

-- A price is published, for all, or an organization's own, for its calls alone.
alter table prices
  add column organization_id text references organizations,
  drop constraint prices_provider_model_valid_from_key,
  add unique nulls not distinct (organization_id, provider, model, valid_from);

-- Views show what whoever asks may see, not what their owner may.
alter view facts set (security_invoker = true);
alter view audit_trail set (security_invoker = true);

-- What the lists of one organization are read by, however many others there are.
create index approvals_list on approvals (organization_id, id desc);
create index messages_by_task on messages (task_id);
