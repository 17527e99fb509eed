-- Who may do what: roles on teams and projects, classification and clearance, service accounts, tokens.

-- A project is at home in a team, and everything in it is of one class. Archived: nothing new begins in it.
alter table projects
  add column description text not null default '',
  add column team_id text references teams,
  add column classification text not null default 'internal'
    check (classification in ('public', 'internal', 'confidential', 'restricted')),
  add column archived_at timestamptz;
create index projects_by_team on projects (team_id) where team_id is not null;
create index projects_classified on projects (organization_id, classification);

-- A role on a team holds for the teams below it. Agents of a team work on projects up to its clearance.
alter table teams
  add column parent_team_id text references teams,
  add column clearance text not null default 'internal'
    check (clearance in ('public', 'internal', 'confidential', 'restricted')),
  add check (parent_team_id is distinct from id);
create index teams_below on teams (parent_team_id) where parent_team_id is not null;

-- Without a clearance of their own, somebody has that of their role. The role is the one in the organization.
alter table members
  add column clearance text check (clearance in ('public', 'internal', 'confidential', 'restricted')),
  add column deactivated_at timestamptz;
create index members_of_organization on members (organization_id, id);

-- People who belong to a team, beside the agents that work in it.
create table team_members (
  team_id text not null references teams,
  member_id text not null references members,
  organization_id text not null references organizations,
  created_at timestamptz not null,
  primary key (team_id, member_id)
);

-- Programs as somebody of their own: they outlive the person who made them.
create table service_accounts (
  id text primary key,
  organization_id text not null references organizations,
  name text not null,
  role text not null check (role in ('owner', 'admin', 'manager', 'developer', 'viewer', 'auditor', 'none')),
  clearance text check (clearance in ('public', 'internal', 'confidential', 'restricted')),
  created_by text not null,
  created_at timestamptz not null,
  disabled_at timestamptz,
  unique (organization_id, name)
);

-- What somebody may do beyond their role in the organization, on one team or one project. A binding only adds.
create table role_bindings (
  organization_id text not null references organizations,
  subject text not null check (subject ~ '^(member:mem|service:svc)_'),
  role text not null check (role in ('owner', 'admin', 'manager', 'developer', 'viewer', 'auditor')),
  scope text not null check (scope in ('team', 'project')),
  scope_id text not null,
  granted_by text not null,
  created_at timestamptz not null,
  primary key (organization_id, subject, scope, scope_id)
);
create index role_bindings_by_scope on role_bindings (scope_id);

-- A key is of a member or of a service account. project_ids narrows it; replaced_by is set when it was rotated.
alter table api_keys
  alter column member_id drop not null,
  add column service_account_id text references service_accounts,
  add column project_ids text[],
  add column created_by text,
  add column replaced_by text references api_keys,
  add check ((member_id is null) <> (service_account_id is null));
create index api_keys_list on api_keys (organization_id, id desc);

-- Keys that tokens are signed with; of the deployment, not of an organization. Without retires_at it is the one that
-- signs; before retires_at what it signed is still believed. The private part is sealed under the master key.
create table signing_keys (
  id text primary key,
  algorithm text not null check (algorithm = 'EdDSA'),
  public_jwk jsonb not null,
  private_key_sealed text not null,
  created_at timestamptz not null,
  retires_at timestamptz
);
create unique index signing_keys_current on signing_keys ((true)) where retires_at is null;

-- What an agent holds while a run of it is under way. Only the hash; it is dead when the run is.
create table run_tokens (
  token_hash text primary key,
  organization_id text not null references organizations,
  run_id text not null references runs,
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index run_tokens_by_run on run_tokens (run_id);
