-- items: units tracked by name within their stage, or within the job (stage '').
create table if not exists milepost.items (
  tenant_id   uuid not null,
  job_id      uuid not null,
  stage       text not null default '',
  key         text not null,
  state       text not null,
  percent     double precision,
  duration_ms double precision,
  payload     jsonb,
  error       text,
  worker      text not null,
  attempt     int not null,
  seq         bigint not null,
  received_at timestamptz not null,
  item_id     bigint generated always as identity,
  others      jsonb,
  constraint items_pkey primary key (job_id, stage, key),
  constraint items_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade,
  constraint item_state_is_known check (state in ('pending', 'processing', 'completed', 'failed', 'skipped', 'canceled')),
  constraint item_percent_is_a_percentage check (percent between 0 and 100)
) with (fillfactor = 80);
create unique index if not exists items_in_order on milepost.items (job_id, item_id);

comment on table milepost.items is 'Units of a job that are tracked by name: files, videos, ...';
comment on column milepost.items.tenant_id is 'The tenant it belongs to.';
comment on column milepost.items.job_id is 'The job.';
comment on column milepost.items.stage is 'Its stage; empty for the job itself. The same key may pass through several stages.';
comment on column milepost.items.key is 'Its name.';
comment on column milepost.items.state is 'Its state.';
comment on column milepost.items.percent is 'How far it is, 0 to 100; null is unknown.';
comment on column milepost.items.duration_ms is 'How long it took, in ms.';
comment on column milepost.items.payload is 'The worker''s own JSON.';
comment on column milepost.items.error is 'Why it failed.';
comment on column milepost.items.worker is 'The lane whose word this is.';
comment on column milepost.items.attempt is 'The attempt in which it was said.';
comment on column milepost.items.seq is 'The seq of the checkpoint that said it.';
comment on column milepost.items.received_at is 'When that arrived.';
comment on column milepost.items.item_id is 'Order of first appearance, for paging.';
comment on column milepost.items.others is 'What the other lanes said last of it; null while only one lane spoke.';

alter table milepost.items enable row level security;
drop policy if exists "members read their tenant's items" on milepost.items;
create policy "members read their tenant's items" on milepost.items for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost.items from public, anon, authenticated;
grant select on milepost.items to authenticated;
grant select, insert, update, delete on milepost.items to service_role;

-- item_tallies: how many items of a stage (or of the job: stage '') are in each settled state, kept incrementally.
create table if not exists milepost_private.item_tallies (
  job_id    uuid not null,
  stage     text not null default '',
  completed bigint not null default 0,
  failed    bigint not null default 0,
  skipped   bigint not null default 0,
  canceled  bigint not null default 0,
  constraint item_tallies_pkey primary key (job_id, stage),
  constraint item_tallies_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade
) with (fillfactor = 50);
comment on table milepost_private.item_tallies is 'Items by settled state, for the stages and jobs whose counts are not reported.';
alter table milepost_private.item_tallies enable row level security;
revoke all on milepost_private.item_tallies from public, anon, authenticated;
grant select, insert, update, delete on milepost_private.item_tallies to service_role;
