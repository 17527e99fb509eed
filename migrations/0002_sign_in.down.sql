drop table invitations;
delete from sign_in_links where purpose <> 'sign_in';
alter table sign_in_links drop column purpose;
drop table passkeys, second_factors, verifications, accounts, sessions;
drop index members_once, members_by_user;
alter table members drop column user_id;
drop table users;
create table sessions (
  token_hash text primary key,
  organization_id text not null references organizations,
  member_id text not null references members,
  csrf_token text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz
);
