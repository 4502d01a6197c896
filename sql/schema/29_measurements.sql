-- measurements and totals: what counters are made of. Writers only append, so that no two of them wait for each other; the
-- sweep adds what is older than five minutes up. A counter is a total and the measurements that are not in it yet: it never
-- falls, whichever instance answers, and whatever jobs are deleted.
create table if not exists milepost_private.measurements (
  tenant_id       uuid not null,
  measurement_id  bigint generated always as identity,
  measured_at     timestamptz not null default now(),
  kind            text,
  checkpoints     bigint,
  duration_ms     double precision,
  items_completed bigint,
  items_failed    bigint,
  items_skipped   bigint,
  items_canceled  bigint,
  bytes_processed bigint,
  ended           text,
  job_s           double precision,
  -- No foreign key: each request would lock the row of its tenant, which all the others lock too.
  constraint measurements_pkey primary key (tenant_id, measurement_id)
);
comment on table milepost_private.measurements is
'What happened within the last minutes: a recorded request (checkpoints, duration_ms), or a rise of a job''s counts or its end.';
comment on column milepost_private.measurements.kind is 'The job''s kind; null for a request, which may have several.';
comment on column milepost_private.measurements.duration_ms is 'How long the database had the request, in ms.';
comment on column milepost_private.measurements.items_completed is 'By how much it rose; likewise the other counts.';
comment on column milepost_private.measurements.ended is 'completed, failed or canceled, where the job ended.';
comment on column milepost_private.measurements.job_s is 'How long it had taken then on its active clock, in seconds.';
alter table milepost_private.measurements enable row level security;
drop policy if exists "members read their tenant's measurements" on milepost_private.measurements;
create policy "members read their tenant's measurements" on milepost_private.measurements for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost_private.measurements from public, anon, authenticated;
grant select on milepost_private.measurements to authenticated;
grant select, insert, update, delete on milepost_private.measurements to service_role;

-- buckets: how many of these values are at most each bound; the last counts all.
create or replace function milepost_private.buckets(measured double precision[], bounds double precision[])
returns bigint[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (select array_agg((select count(*) from unnest(measured) v where v <= b.bound) order by b.bound)
          from unnest(bounds || 'infinity'::double precision) as b (bound));
end;
$$;
comment on function milepost_private.buckets(double precision[], double precision[]) is
'A histogram as Prometheus counts it: for each bound the values that are at most it, and last of all their number.';
revoke execute on function milepost_private.buckets(double precision[], double precision[]) from public, anon, authenticated;
grant execute on function milepost_private.buckets(double precision[], double precision[]) to authenticated, service_role;

create or replace function milepost_private.added(a bigint[], b bigint[])
returns bigint[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (select array_agg(coalesce(u.x, 0) + coalesce(u.y, 0) order by u.n)
          from unnest(a, b) with ordinality as u (x, y, n));
end;
$$;
comment on function milepost_private.added(bigint[], bigint[]) is 'The sums of two arrays, place by place; null counts as nothing.';
revoke execute on function milepost_private.added(bigint[], bigint[]) from public, anon, authenticated;
grant execute on function milepost_private.added(bigint[], bigint[]) to authenticated, service_role;

-- histogram_bounds: of requests in ms, of jobs in seconds. Totals hold histograms of these: changing them changes history.
create or replace function milepost_private.ingest_bounds_ms()
returns double precision[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return array[1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000];
end;
$$;
create or replace function milepost_private.job_bounds_s()
returns double precision[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return array[1, 10, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200];
end;
$$;
comment on function milepost_private.ingest_bounds_ms() is 'Bounds of the histogram of requests, in ms.';
comment on function milepost_private.job_bounds_s() is 'Bounds of the histogram of jobs'' durations, in seconds.';
revoke execute on function milepost_private.ingest_bounds_ms(), milepost_private.job_bounds_s() from public, anon, authenticated;
grant execute on function milepost_private.ingest_bounds_ms(), milepost_private.job_bounds_s() to authenticated, service_role;

create table if not exists milepost_private.totals (
  tenant_id       uuid not null,
  kind            text not null,
  place           bigint not null,
  checkpoints     bigint not null default 0,
  ingest_ms       double precision not null default 0,
  ingest_buckets  bigint[],
  items_completed numeric not null default 0,
  items_failed    numeric not null default 0,
  items_skipped   numeric not null default 0,
  items_canceled  numeric not null default 0,
  bytes_processed numeric not null default 0,
  jobs_completed  bigint not null default 0,
  jobs_failed     bigint not null default 0,
  jobs_canceled   bigint not null default 0,
  job_s           double precision not null default 0,
  job_buckets     bigint[],
  constraint totals_pkey primary key (tenant_id, kind),
  constraint totals_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade
);
comment on table milepost_private.totals is
'Per kind, all that was ever measured: items by outcome, bytes, ended jobs and how long they took. Requests are under the kind ''''.';
comment on column milepost_private.totals.place is 'The number of its first measurement: kinds in the order in which they came up.';
comment on column milepost_private.totals.ingest_ms is 'How long the database had all requests, in ms.';
comment on column milepost_private.totals.ingest_buckets is 'Requests that took at most each of ingest_bounds_ms, and last of all their number.';
comment on column milepost_private.totals.job_s is 'How long all ended jobs took on their active clocks, in seconds.';
comment on column milepost_private.totals.job_buckets is 'Ended jobs that took at most each of job_bounds_s, and last of all their number.';
alter table milepost_private.totals enable row level security;
drop policy if exists "members read their tenant's totals" on milepost_private.totals;
create policy "members read their tenant's totals" on milepost_private.totals for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost_private.totals from public, anon, authenticated;
grant select on milepost_private.totals to authenticated;
grant select, insert, update, delete on milepost_private.totals to service_role;

-- measured: measurements added up as totals are.
create or replace function milepost_private.measured(before timestamptz)
returns setof milepost_private.totals
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select m.tenant_id, coalesce(m.kind, ''), min(m.measurement_id), coalesce(sum(m.checkpoints), 0)::bigint, coalesce(sum(m.duration_ms), 0),
         milepost_private.buckets(array_agg(m.duration_ms) filter (where m.duration_ms is not null), milepost_private.ingest_bounds_ms()),
         coalesce(sum(m.items_completed), 0), coalesce(sum(m.items_failed), 0),
         coalesce(sum(m.items_skipped), 0), coalesce(sum(m.items_canceled), 0), coalesce(sum(m.bytes_processed), 0),
         count(*) filter (where m.ended = 'completed'), count(*) filter (where m.ended = 'failed'),
         count(*) filter (where m.ended = 'canceled'), coalesce(sum(m.job_s), 0),
         milepost_private.buckets(array_agg(m.job_s) filter (where m.job_s is not null), milepost_private.job_bounds_s())
  from milepost_private.measurements m
  where m.measured_at < before
  group by m.tenant_id, m.kind;
end;
$$;
comment on function milepost_private.measured(timestamptz) is 'Measurements before this moment that are not in the totals yet, added up per kind.';
revoke execute on function milepost_private.measured(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.measured(timestamptz) to authenticated, service_role;

-- roll_up_measurements: moves measurements into the totals. One statement, so that each is in one of the two at any moment.
create or replace function milepost_private.roll_up_measurements(before timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- GUARD: another sweep is at it
  if not pg_try_advisory_xact_lock(hashtextextended('milepost_private.totals', 0)) then
    return;
  end if;
  with gone as (
    delete from milepost_private.measurements m where m.measured_at < roll_up_measurements.before
  )
  insert into milepost_private.totals as t
  select m.* from milepost_private.measured(roll_up_measurements.before) m
  where exists (select from milepost.tenants n where n.tenant_id = m.tenant_id)  -- those of a tenant that is gone go, too
  on conflict on constraint totals_pkey do update set
    checkpoints = t.checkpoints + excluded.checkpoints, ingest_ms = t.ingest_ms + excluded.ingest_ms,
    ingest_buckets = milepost_private.added(t.ingest_buckets, excluded.ingest_buckets),
    items_completed = t.items_completed + excluded.items_completed, items_failed = t.items_failed + excluded.items_failed,
    items_skipped = t.items_skipped + excluded.items_skipped, items_canceled = t.items_canceled + excluded.items_canceled,
    bytes_processed = t.bytes_processed + excluded.bytes_processed,
    jobs_completed = t.jobs_completed + excluded.jobs_completed, jobs_failed = t.jobs_failed + excluded.jobs_failed,
    jobs_canceled = t.jobs_canceled + excluded.jobs_canceled, job_s = t.job_s + excluded.job_s,
    job_buckets = milepost_private.added(t.job_buckets, excluded.job_buckets);
end;
$$;
comment on function milepost_private.roll_up_measurements(timestamptz) is 'Moves measurements before this moment into the totals.';
revoke execute on function milepost_private.roll_up_measurements(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.roll_up_measurements(timestamptz) to service_role;

-- measure_job: a job's counts rose, or it ended.
create or replace function milepost_private.measure_job()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_ends boolean := old.finished_at is null and new.finished_at is not null;
begin
  insert into milepost_private.measurements (tenant_id, kind, items_completed, items_failed, items_skipped, items_canceled,
    bytes_processed, ended, job_s)
  values (new.tenant_id, new.kind, greatest(new.items_completed - old.items_completed, 0), greatest(new.items_failed - old.items_failed, 0),
    greatest(new.items_skipped - old.items_skipped, 0), greatest(new.items_canceled - old.items_canceled, 0),
    greatest(new.bytes_processed - old.bytes_processed, 0), case when v_ends then new.state end,
    case when v_ends then (
      select milepost_private.active_clock(p.active_s, p.active_at, p.running, new.finished_at)
      from milepost_private.pulses p where p.job_id = new.job_id) end);
  return null;
end;
$$;
comment on function milepost_private.measure_job() is 'Measures by how much a job''s counts rose, and its end. What an attempt does again counts again.';
revoke execute on function milepost_private.measure_job() from public, anon, authenticated;

create or replace trigger job_is_measured after update on milepost.jobs
  for each row when (new.items_completed > old.items_completed or new.items_failed > old.items_failed
    or new.items_skipped > old.items_skipped or new.items_canceled > old.items_canceled
    or new.bytes_processed > old.bytes_processed or old.finished_at is null and new.finished_at is not null)
  execute function milepost_private.measure_job();
