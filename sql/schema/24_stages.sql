-- stages: named parts of a job with a total and a weight of their own.
create table if not exists milepost.stages (
  tenant_id       uuid not null,
  job_id          uuid not null,
  name            text not null,
  position        int not null,
  weight          double precision not null default 1,
  state           text not null default 'pending',
  items_total     bigint,
  items_total_given bigint,
  items_completed bigint not null default 0,
  items_failed    bigint not null default 0,
  items_skipped   bigint not null default 0,
  items_canceled  bigint not null default 0,
  bytes_processed bigint not null default 0,
  counts_reported boolean not null default false,
  started_at      timestamptz,
  finished_at     timestamptz,
  constraint stages_pkey primary key (job_id, name),
  constraint stages_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade,
  constraint stage_state_is_known check (state in ('pending', 'running', 'completed', 'failed', 'skipped', 'canceled')),
  constraint stage_weight_is_not_negative check (weight >= 0)
) with (fillfactor = 70);

comment on table milepost.stages is 'Named parts of a job, in order, each with its own counts.';
comment on column milepost.stages.tenant_id is 'The tenant it belongs to.';
comment on column milepost.stages.job_id is 'The job.';
comment on column milepost.stages.name is 'Its name, unique in the job.';
comment on column milepost.stages.position is 'Its place in the job, from 1.';
comment on column milepost.stages.weight is 'Its share of the job''s percent, beside the other stages'' weights: the greatest that the lanes said last, else what was given.';
comment on column milepost.stages.state is 'Its state.';
comment on column milepost.stages.items_total is 'Its total: the greatest that the lanes said last, else what was given. Null is unknown.';
comment on column milepost.stages.items_total_given is 'The total given at creation; stands until a lane says one.';
comment on column milepost.stages.items_completed is 'Items done in it: the sum over the lanes, or counted from its items.';
comment on column milepost.stages.items_failed is 'Items that failed in it.';
comment on column milepost.stages.items_skipped is 'Items skipped in it.';
comment on column milepost.stages.items_canceled is 'Items canceled in it.';
comment on column milepost.stages.bytes_processed is 'Bytes processed in it.';
comment on column milepost.stages.counts_reported is 'True once a lane reported a count for it; until then they are counted from its items.';
comment on column milepost.stages.started_at is 'When it first ran.';
comment on column milepost.stages.finished_at is 'When it ended.';

alter table milepost.stages enable row level security;
drop policy if exists "members read their tenant's stages" on milepost.stages;
create policy "members read their tenant's stages" on milepost.stages for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost.stages from public, anon, authenticated;
grant select on milepost.stages to authenticated;
grant select, insert, update, delete on milepost.stages to service_role;

-- stage_lanes: what each lane said of each stage, by the same rules as lanes.
create table if not exists milepost_private.stage_lanes (
  job_id          uuid not null,
  stage           text not null,
  worker          text not null,
  attempt         int not null,
  seq             bigint not null default -1,
  state           text,
  state_seq       bigint not null default -1,
  counts_reported boolean not null default false,
  items_completed bigint not null default 0,
  bytes_processed bigint not null default 0,
  items_failed    bigint not null default 0,
  failed_seq      bigint not null default -1,
  items_skipped   bigint not null default 0,
  skipped_seq     bigint not null default -1,
  items_canceled  bigint not null default 0,
  canceled_seq    bigint not null default -1,
  items_total     bigint,
  total_seq       bigint not null default -1,
  weight          double precision,
  weight_seq      bigint not null default -1,
  cursor_seq      bigint not null default -1,
  cursor_completed bigint not null default 0,
  cursor_failed   bigint not null default 0,
  cursor_skipped  bigint not null default 0,
  cursor_canceled bigint not null default 0,
  cursor_bytes    bigint not null default 0,
  constraint stage_lanes_pkey primary key (job_id, stage, worker),
  constraint stage_lanes_stage_exists foreign key (job_id, stage) references milepost.stages (job_id, name) on delete cascade
) with (fillfactor = 70);
comment on table milepost_private.stage_lanes is 'What each lane said of each stage; a stage''s counts are the sums.';
alter table milepost_private.stage_lanes enable row level security;
drop policy if exists "members read what lanes of jobs they see said of stages" on milepost_private.stage_lanes;
create policy "members read what lanes of jobs they see said of stages" on milepost_private.stage_lanes for select to authenticated
  using (exists (select from milepost.jobs j where j.job_id = stage_lanes.job_id));
revoke all on milepost_private.stage_lanes from public, anon, authenticated;
grant select on milepost_private.stage_lanes to authenticated;
grant select, insert, update, delete on milepost_private.stage_lanes to service_role;
