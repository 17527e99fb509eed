-- Sign-in: who people are, how they prove it, and their sessions. These tables are of the deployment: a person (user)
-- may be a member of several organizations. The library that checks credentials writes to them too; which column is
-- which of its fields is told in features/identity/sign-in-library.ts.

-- Without an e-mail address: the owner that the installation made, until somebody claims it.
create table users (
  id text primary key,
  name text not null,
  email text unique check (email = lower(email)),
  email_verified boolean not null default false,
  image text,
  second_factor boolean default false,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

alter table members add column user_id text references users;
create unique index members_once on members (organization_id, user_id) where user_id is not null;
create index members_by_user on members (user_id, created_at) where user_id is not null;

insert into users (id, name, created_at, updated_at)
  select 'usr_' || substr(id, 5), name, created_at, created_at from members;
update members set user_id = 'usr_' || substr(id, 5);

-- The one truth about sessions: a row is a session that holds until expires_at, a deleted row one that was ended.
-- Only the hash of its token is kept.
drop table sessions;
create table sessions (
  id text primary key,
  user_id text not null references users on delete cascade,
  token_hash text not null unique,
  -- Which of the person's memberships it is for; null: the first.
  member_id text references members on delete set null,
  method text not null default 'link',
  ip_address text,
  user_agent text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  expires_at timestamptz not null
);
create index sessions_by_user on sessions (user_id);
create index sessions_by_expiry on sessions (expires_at);

-- Ways to sign in: `credential` (a password, as an argon2id hash) or an outside provider. Its tokens are not kept.
create table accounts (
  id text primary key,
  user_id text not null references users on delete cascade,
  provider_id text not null,
  account_id text not null,
  password_hash text,
  access_token text check (access_token is null),
  refresh_token text check (refresh_token is null),
  id_token text check (id_token is null),
  access_token_expires_at timestamptz,
  refresh_token_expires_at timestamptz,
  scope text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (provider_id, account_id)
);
create index accounts_by_user on accounts (user_id);

-- Short-lived state of sign-ins under way: challenges, second steps, the way back from a provider. Names are hashed.
create table verifications (
  id text primary key,
  identifier text not null,
  value text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  expires_at timestamptz not null
);
create index verifications_by_identifier on verifications (identifier);
create index verifications_by_expiry on verifications (expires_at);

-- One-time codes of an authenticator app. Secret and backup codes are encrypted.
create table second_factors (
  id text primary key,
  user_id text not null unique references users on delete cascade,
  secret text not null,
  backup_codes text not null,
  verified boolean default true,
  failures integer default 0,
  locked_until timestamptz
);
create index second_factors_by_secret on second_factors (secret);

create table passkeys (
  id text primary key,
  user_id text not null references users on delete cascade,
  name text,
  credential_id text not null unique,
  public_key text not null,
  counter integer not null,
  device_type text not null,
  backed_up boolean not null,
  transports text,
  aaguid text,
  created_at timestamptz
);
create index passkeys_by_user on passkeys (user_id);

-- A link may also let its holder set a password, without signing in.
alter table sign_in_links
  add column purpose text not null default 'sign_in' check (purpose in ('sign_in', 'set_password'));

-- A place in an organization, offered to whoever holds the link. Only the hash of its token is kept.
create table invitations (
  id text primary key,
  organization_id text not null references organizations,
  token_hash text not null unique,
  email text not null check (email = lower(email)),
  role text not null check (role in ('owner', 'admin', 'manager', 'developer', 'viewer', 'auditor', 'none')),
  invited_by text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  accepted_at timestamptz,
  member_id text references members,
  revoked_at timestamptz
);
create index invitations_list on invitations (organization_id, id desc);
create unique index invitations_open on invitations (organization_id, email)
  where accepted_at is null and revoked_at is null;
