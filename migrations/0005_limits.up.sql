-- Limits that all replicas share. Unlogged: a counter is written often, lives for a minute, and is worth no
-- write-ahead log; only a crash of the database server resets it, a restart of Guildhall does not. Half of each page
-- is left free, so that counting up touches no index. The order of the columns is the one that the store inserts in.
create unlogged table rate_limits (
  key varchar(255) primary key,
  points integer not null default 0,
  expire bigint
) with (fillfactor = 50);
create index rate_limits_expire on rate_limits (expire);

-- One-time tickets that open a WebSocket. Of a ticket only its hash is kept, and it is deleted when it is used.
create table ws_tickets (
  ticket_hash text primary key,
  organization_id text not null,
  expires_at timestamptz not null
);
create index ws_tickets_expire on ws_tickets (expires_at);
