-- Secrets. Every value is sealed (src/platform/secrets/sealer.ts): a copy of the database opens none without the
-- master key, which is never in it.

-- Fingerprints of the master keys that this database was sealed with. A server whose keys do not include the current
-- one does not start.
create table master_keys (
  key_id text primary key,
  is_current boolean not null,
  added_at timestamptz not null
);
create unique index master_keys_current on master_keys (is_current) where is_current;

-- What keys for one purpose are derived from, the same for all replicas and under every master key. One row.
create table derivation_root (
  is_only boolean primary key default true check (is_only),
  sealed text not null
);

-- Secrets of organizations, one row a version. Only the newest version can hold a value: replacing or revoking a
-- secret erases the value before it.
create table secrets (
  id text primary key,
  organization_id text not null references organizations,
  name text not null check (length(name) between 1 and 200),
  version integer not null check (version > 0),
  sealed_value text,
  created_by text not null,
  created_at timestamptz not null,
  rotate_by timestamptz,
  last_used_at timestamptz,
  replaced_at timestamptz,
  revoked_at timestamptz,
  unique (organization_id, name, version),
  check ((sealed_value is null) = (replaced_at is not null or revoked_at is not null))
);
create unique index secrets_in_force on secrets (organization_id, name) where sealed_value is not null;
