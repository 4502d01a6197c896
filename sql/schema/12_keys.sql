-- keys: what workers and operators' programs hold instead of a Supabase secret. Only the hash is kept.
create table if not exists milepost_private.keys (
  key_id       uuid not null default gen_random_uuid(),
  tenant_id    uuid not null,
  scope        text not null,
  name         text,
  prefix       text not null,
  key_hash     text not null,
  created_by   text,
  created_at   timestamptz not null default now(),
  expires_at   timestamptz,
  kinds        text[],
  requests_per_s int,
  revoked_at   timestamptz,
  last_used_at timestamptz,
  constraint keys_pkey primary key (key_id),
  constraint keys_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade,
  constraint key_hash_is_unique unique (key_hash),
  constraint key_hash_is_sha256 check (key_hash ~ '^[0-9a-f]{64}$'),
  constraint key_requests_per_s_is_positive check (requests_per_s > 0),
  constraint key_scope_is_known check (scope in ('worker', 'operator', 'ping'))
);
create index if not exists keys_by_tenant on milepost_private.keys (tenant_id);

comment on table milepost_private.keys is 'Milepost keys (mp_...): hashed, scoped, revocable.';
comment on column milepost_private.keys.scope is 'worker creates, reports, claims and reads; operator also controls; ping only pings.';
comment on column milepost_private.keys.prefix is 'The first characters of the key, to recognise it by.';
comment on column milepost_private.keys.key_hash is 'sha256 of the key, hex.';
comment on column milepost_private.keys.created_by is 'Who made it: user:<id> or system (the command line).';
comment on column milepost_private.keys.expires_at is 'From then on it opens nothing; null never.';
comment on column milepost_private.keys.kinds is 'Kinds of jobs that it may create, report, claim and control; null for all. It reads its tenant''s jobs all the same.';
comment on column milepost_private.keys.requests_per_s is 'Requests a second, over ten seconds; null for what its tenant may have.';
comment on column milepost_private.keys.last_used_at is 'Last use, to the minute.';

alter table milepost_private.keys enable row level security;
revoke all on milepost_private.keys from public, anon, authenticated;
grant select, insert, update, delete on milepost_private.keys to service_role;
