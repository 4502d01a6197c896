-- shares: links by which anybody may follow one job, until they expire or are revoked (then the
-- row is gone). Only the token's hash is kept.
create table if not exists milepost_private.shares (
  share_id   uuid not null default gen_random_uuid(),
  job_id     uuid not null,
  token_hash text not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  constraint shares_pkey primary key (share_id),
  constraint shares_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade,
  constraint share_token_hash_is_unique unique (token_hash),
  constraint share_token_hash_is_sha256 check (token_hash ~ '^[0-9a-f]{64}$'),
  constraint a_share_ends check (expires_at <= created_at + interval '366 days')
);
create index if not exists shares_by_job on milepost_private.shares (job_id, created_at);

comment on table milepost_private.shares is 'Share links: a read-only view of one job for who has the token. Expiring, revocable.';
comment on column milepost_private.shares.share_id is 'Its id, to revoke it by; opens nothing.';
comment on column milepost_private.shares.job_id is 'The one job that it shows.';
comment on column milepost_private.shares.token_hash is 'sha256 of the token, hex.';
comment on column milepost_private.shares.created_by is 'Who made it: user:<id> or key:<id>.';
comment on column milepost_private.shares.created_at is 'When it was made.';
comment on column milepost_private.shares.expires_at is 'Until when it holds.';

alter table milepost_private.shares enable row level security;
revoke all on milepost_private.shares from public, anon, authenticated;
grant select, insert, update, delete on milepost_private.shares to service_role;
