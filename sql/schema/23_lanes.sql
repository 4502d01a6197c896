-- lanes: what each worker of a job said of its own counts. Omitted fields keep their value: for each field the greatest
-- seq that named it is kept beside it (<field>_seq), so that the order of arrival does not matter.
create table if not exists milepost.lanes (
  tenant_id          uuid not null,
  job_id             uuid not null,
  worker             text not null,
  attempt            int not null,
  seq                bigint not null default -1,
  seen               int8multirange not null default '{}',
  state              text not null default 'running',
  state_seq          bigint not null default -1,
  items_completed    bigint not null default 0,
  bytes_processed    bigint not null default 0,
  items_failed       bigint not null default 0,
  failed_seq         bigint not null default -1,
  items_skipped      bigint not null default 0,
  skipped_seq        bigint not null default -1,
  items_canceled     bigint not null default 0,
  canceled_seq       bigint not null default -1,
  items_total        bigint,
  total_seq          bigint not null default -1,
  worker_items_total bigint,
  worker_total_seq   bigint not null default -1,
  message_seq        bigint not null default -1,
  rate_limited_seq   bigint not null default -1,
  deadline_seq       bigint not null default -1,
  metadata_seq       bigint not null default -1,
  kind_seq           bigint not null default -1,
  name_seq           bigint not null default -1,
  unit_seq           bigint not null default -1,
  cursor             jsonb,
  cursor_seq         bigint not null default -1,
  cursor_at          timestamptz,
  cursor_completed   bigint not null default 0,
  cursor_failed      bigint not null default 0,
  cursor_skipped     bigint not null default 0,
  cursor_canceled    bigint not null default 0,
  cursor_bytes       bigint not null default 0,
  first_checkpoint_at timestamptz not null,
  first_work         double precision not null default 0,
  last_checkpoint_at timestamptz not null,
  last_progress_at   timestamptz,
  constraint lanes_pkey primary key (job_id, worker),
  constraint lanes_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade,
  constraint lane_state_is_known check (state in ('running', 'paused', 'completing', 'completed', 'canceled', 'failed'))
) with (fillfactor = 60);
-- Where the table is older than the column.
alter table milepost.lanes add column if not exists first_work double precision not null default 0;

comment on table milepost.lanes is 'One lane of a job each: a process, shard or host that reports its own counts. A job''s counts are the sums over its lanes.';
comment on column milepost.lanes.tenant_id is 'The tenant it belongs to.';
comment on column milepost.lanes.job_id is 'The job.';
comment on column milepost.lanes.worker is 'The lane''s name.';
comment on column milepost.lanes.attempt is 'The attempt in which it was last seen.';
comment on column milepost.lanes.seq is 'The greatest seq it has sent in this attempt.';
comment on column milepost.lanes.seen is 'The seqs it has sent in this attempt: what repeats one of them is a duplicate.';
comment on column milepost.lanes.state is 'What it said of itself.';
comment on column milepost.lanes.state_seq is 'The seq that said so; likewise every column that ends in _seq.';
comment on column milepost.lanes.items_completed is 'Items it completed; never falls within an attempt.';
comment on column milepost.lanes.bytes_processed is 'Bytes it processed; never falls within an attempt.';
comment on column milepost.lanes.items_failed is 'Items that failed in it.';
comment on column milepost.lanes.failed_seq is 'The seq that said items_failed.';
comment on column milepost.lanes.items_skipped is 'Items it skipped.';
comment on column milepost.lanes.skipped_seq is 'The seq that said items_skipped.';
comment on column milepost.lanes.items_canceled is 'Items canceled in it.';
comment on column milepost.lanes.canceled_seq is 'The seq that said items_canceled.';
comment on column milepost.lanes.items_total is 'What it said last of the whole job''s total.';
comment on column milepost.lanes.total_seq is 'The seq that said items_total.';
comment on column milepost.lanes.worker_items_total is 'Its own share of the total.';
comment on column milepost.lanes.worker_total_seq is 'The seq that said worker_items_total.';
comment on column milepost.lanes.message_seq is 'The seq of its last message.';
comment on column milepost.lanes.rate_limited_seq is 'The seq that said rate_limited_until.';
comment on column milepost.lanes.deadline_seq is 'The seq that said processing_deadline_ms.';
comment on column milepost.lanes.metadata_seq is 'The seq that said metadata.';
comment on column milepost.lanes.kind_seq is 'The seq that said kind.';
comment on column milepost.lanes.name_seq is 'The seq that said name.';
comment on column milepost.lanes.unit_seq is 'The seq that said unit.';
comment on column milepost.lanes.cursor is 'Its own JSON from which work can resume.';
comment on column milepost.lanes.cursor_seq is 'The seq that said the cursor.';
comment on column milepost.lanes.cursor_at is 'When the cursor arrived.';
comment on column milepost.lanes.cursor_completed is 'items_completed at the cursor: where a new attempt counts on from.';
comment on column milepost.lanes.cursor_failed is 'items_failed at the cursor.';
comment on column milepost.lanes.cursor_skipped is 'items_skipped at the cursor.';
comment on column milepost.lanes.cursor_canceled is 'items_canceled at the cursor.';
comment on column milepost.lanes.cursor_bytes is 'bytes_processed at the cursor.';
comment on column milepost.lanes.first_checkpoint_at is 'First contact in its attempt.';
comment on column milepost.lanes.first_work is 'Items it had settled by work then: what was done before says nothing of its speed.';
comment on column milepost.lanes.last_checkpoint_at is 'Last contact.';
comment on column milepost.lanes.last_progress_at is 'Last rise of its counts.';

alter table milepost.lanes enable row level security;
drop policy if exists "members read their tenant's lanes" on milepost.lanes;
create policy "members read their tenant's lanes" on milepost.lanes for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost.lanes from public, anon, authenticated;
grant select on milepost.lanes to authenticated;
grant select, insert, update, delete on milepost.lanes to service_role;
