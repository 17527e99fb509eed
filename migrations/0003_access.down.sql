drop table run_tokens;
drop table signing_keys;
delete from api_keys where member_id is null;
alter table api_keys
  drop column service_account_id,
  drop column project_ids,
  drop column created_by,
  drop column replaced_by,
  alter column member_id set not null;
drop index api_keys_list;
drop table role_bindings;
drop table service_accounts;
drop table team_members;
drop index members_of_organization;
alter table members drop column clearance, drop column deactivated_at;
alter table teams drop column parent_team_id, drop column clearance;
drop index projects_classified;
alter table projects
  drop column description,
  drop column team_id,
  drop column classification,
  drop column archived_at;
