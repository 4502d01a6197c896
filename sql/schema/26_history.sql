-- checkpoints and events: history, partitioned by day. Partitions live in milepost_private, so that the API shows one table each.

create table if not exists milepost.checkpoints (
  checkpoint_id   bigint generated always as identity,
  tenant_id       uuid not null,
  job_id          uuid not null,
  attempt         int not null,
  worker          text not null,
  seq             bigint not null,
  at              timestamptz not null,
  received_at     timestamptz not null,
  state           text,
  items_total     bigint,
  items_completed bigint,
  items_failed    bigint,
  items_skipped   bigint,
  items_canceled  bigint,
  bytes_processed bigint,
  batch_items     bigint,
  batch_duration_ms double precision,
  batch_bytes     bigint,
  stages          jsonb,
  message         text,
  has_cursor      boolean not null default false,
  job_done        bigint,
  job_total       bigint,
  job_skipped     bigint,
  traceparent     text,
  constraint checkpoints_pkey primary key (job_id, checkpoint_id, received_at)
) partition by range (received_at);

comment on table milepost.checkpoints is 'Every accepted checkpoint, as it was said. Kept by day and dropped by day.';
comment on column milepost.checkpoints.checkpoint_id is 'Order of arrival.';
comment on column milepost.checkpoints.tenant_id is 'The tenant it belongs to.';
comment on column milepost.checkpoints.job_id is 'The job.';
comment on column milepost.checkpoints.attempt is 'The attempt that said it.';
comment on column milepost.checkpoints.worker is 'The lane that said it.';
comment on column milepost.checkpoints.seq is 'Its number within the lane; -1 marks what a new attempt began with.';
comment on column milepost.checkpoints.at is 'When the worker took it: its own spacing, anchored at the time of receipt.';
comment on column milepost.checkpoints.received_at is 'When it arrived.';
comment on column milepost.checkpoints.state is 'The state it named.';
comment on column milepost.checkpoints.items_total is 'The job''s total as it said.';
comment on column milepost.checkpoints.items_completed is 'The lane''s count as it said; likewise the other counts. Null where it said none.';
comment on column milepost.checkpoints.items_failed is 'As it said.';
comment on column milepost.checkpoints.items_skipped is 'As it said.';
comment on column milepost.checkpoints.items_canceled is 'As it said.';
comment on column milepost.checkpoints.bytes_processed is 'As it said.';
comment on column milepost.checkpoints.batch_items is 'Items of the batch it closes.';
comment on column milepost.checkpoints.batch_duration_ms is 'How long that batch took, in ms.';
comment on column milepost.checkpoints.batch_bytes is 'Bytes of that batch.';
comment on column milepost.checkpoints.stages is 'The stages it named, as it said.';
comment on column milepost.checkpoints.message is 'Its message.';
comment on column milepost.checkpoints.has_cursor is 'Whether it carried a cursor.';
comment on column milepost.checkpoints.job_done is 'The whole job''s settled items once its request was recorded.';
comment on column milepost.checkpoints.job_total is 'The whole job''s total then.';
comment on column milepost.checkpoints.job_skipped is 'How many of job_done were skipped.';
comment on column milepost.checkpoints.traceparent is 'The worker''s span that it belongs to, as W3C Trace Context writes it.';

create table if not exists milepost.events (
  event_id       bigint generated always as identity,
  tenant_id      uuid not null,
  job_id         uuid not null,
  version        bigint not null,
  type           text not null,
  ts             timestamptz not null,
  correlation_id uuid not null,
  data           jsonb not null default '{}',
  constraint events_pkey primary key (job_id, version, ts)
) partition by range (ts);
create index if not exists events_by_tenant on milepost.events (tenant_id, event_id);

-- Writers look at it before they draw an id: see stream_events.
grant usage, select on sequence milepost.events_event_id_seq to service_role;

comment on table milepost.events is 'The history of jobs: one row, one version and one message on each topic for each event.';
comment on column milepost.events.event_id is 'Order of writing.';
comment on column milepost.events.tenant_id is 'The tenant it belongs to.';
comment on column milepost.events.job_id is 'The job.';
comment on column milepost.events.version is 'The job''s version: 1, 2, 3, ... without a gap.';
comment on column milepost.events.type is 'job.started, job.progress, job.state_changed, job.completed, job.failed, job.stalled, job.recovered, job.priority_changed, stage.changed, item.changed.';
comment on column milepost.events.ts is 'When it happened.';
comment on column milepost.events.correlation_id is 'The request that caused it.';
comment on column milepost.events.data is 'What happened.';

alter table milepost.checkpoints enable row level security;
drop policy if exists "members read their tenant's checkpoints" on milepost.checkpoints;
create policy "members read their tenant's checkpoints" on milepost.checkpoints for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost.checkpoints from public, anon, authenticated;
grant select on milepost.checkpoints to authenticated;
grant select, insert, update, delete on milepost.checkpoints to service_role;
alter table milepost.events enable row level security;
drop policy if exists "members read their tenant's events" on milepost.events;
create policy "members read their tenant's events" on milepost.events for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost.events from public, anon, authenticated;
grant select on milepost.events to authenticated;
grant select, insert, update, delete on milepost.events to service_role;

-- make_partitions: one partition a day, made ahead, and a default one, so that a missing day never loses a checkpoint. What went
-- to the default one moves when its day is made.
create or replace function milepost_private.make_partitions(first_day date, last_day date)
returns int
language plpgsql
volatile
security definer                -- the sweep calls it as service_role, which owns nothing
set search_path = ''
-- Whoever reads or writes the default partition holds this up. It gives up before Postgres would look for a deadlock and stop
-- a worker's request: the next sweep tries again.
set lock_timeout = '500ms'
as $$
declare
  v_table   text;
  v_moment  text;
  v_default text;
  v_name    text;
  v_day     date;
  v_days    date[];
  v_made    int := 0;
begin
  foreach v_table in array array['checkpoints', 'events'] loop
    v_moment := case v_table when 'checkpoints' then 'received_at' else 'ts' end;
    v_default := v_table || '_default';
    if to_regclass('milepost_private.' || v_default) is null then
      execute format('create table milepost_private.%I partition of milepost.%I default', v_default, v_table);
      execute format('alter table milepost_private.%I enable row level security', v_default);
      execute format('revoke all on milepost_private.%I from public, anon, authenticated', v_default);
    end if;
    execute format('select array_agg(distinct (%I at time zone ''utc'')::date) from milepost_private.%I', v_moment, v_default) into v_days;
    for v_day in
      select d::date from generate_series(first_day, last_day, interval '1 day') d union select unnest(v_days) order by 1
    loop
      v_name := format('%s_%s', v_table, to_char(v_day, 'YYYYMMDD'));
      continue when to_regclass('milepost_private.' || v_name) is not null;
      -- Filled before it is attached: so nothing is written twice, and no event is broadcast twice.
      execute format('lock table milepost_private.%I in access exclusive mode', v_default);
      execute format('create table milepost_private.%I (like milepost.%I including defaults including constraints including storage)',
                     v_name, v_table);
      execute format('alter table milepost_private.%I enable row level security', v_name);
      execute format('revoke all on milepost_private.%I from public, anon, authenticated', v_name);
      execute format('with moved as (delete from milepost_private.%I where %I >= $1 and %2$I < $2 returning *) '
                     'insert into milepost_private.%I select * from moved', v_default, v_moment, v_name)
        using v_day::timestamp at time zone 'utc', (v_day + 1)::timestamp at time zone 'utc';
      execute format('alter table milepost.%I attach partition milepost_private.%I for values from (%L) to (%L)',
                     v_table, v_name, v_day::text || ' 00:00:00+00', (v_day + 1)::text || ' 00:00:00+00');
      v_made := v_made + 1;
    end loop;
  end loop;
  return v_made;
exception when lock_not_available then
  return 0;
end;
$$;
comment on function milepost_private.make_partitions(date, date) is
'Makes the daily partitions of checkpoints and events from the first to the last day (UTC), and of the days that lie in the default partition; returns how many were made, 0 where somebody held it up.';
revoke execute on function milepost_private.make_partitions(date, date) from public, anon, authenticated;
grant execute on function milepost_private.make_partitions(date, date) to service_role;

select milepost_private.make_partitions((now() at time zone 'utc')::date - 1, (now() at time zone 'utc')::date + 7);
