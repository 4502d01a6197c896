-- purge_history: history that is past its time leaves. Checkpoints and events, nearly all of it, by dropping the partition of
-- a day, which costs the same however much it holds. Jobs, a row for each run, in steps of bounded size: each step deletes what
-- ended some days ago as the day went, and never more rows than a worker's request would notice.
create or replace function milepost_private.drop_partitions(before date)
returns int
language plpgsql
volatile
security definer                -- only the owner may drop a partition
set search_path = ''
-- A drop waits for who reads the history, and everybody else waits for the drop: rather the next purge tries again.
set lock_timeout = '500ms'
as $$
declare
  v_name    text;
  v_dropped int := 0;
begin
  for v_name in
    select c.relname from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent in ('milepost.checkpoints'::regclass, 'milepost.events'::regclass)
      and c.relname ~ '_[0-9]{8}$' and right(c.relname, 8) < to_char(before, 'YYYYMMDD')
    order by 1
  loop
    begin
      execute format('drop table milepost_private.%I', v_name);
      v_dropped := v_dropped + 1;
    exception when lock_not_available then
      return v_dropped;
    end;
  end loop;
  return v_dropped;
end;
$$;
comment on function milepost_private.drop_partitions(date) is
'Drops the daily partitions of days before the given one; returns how many. Stops where a reader holds one up.';
revoke execute on function milepost_private.drop_partitions(date) from public, anon, authenticated;
grant execute on function milepost_private.drop_partitions(date) to service_role;

-- It had no parameter once; left beside this one, its calls would be ambiguous.
drop function if exists milepost.purge_history();
create or replace function milepost.purge_history(at timestamptz default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_now   timestamptz := coalesce(at, clock_timestamp());
  v_most  constant int := 1000;           -- jobs a step
  v_most_items constant int := 20000;     -- items a step: one job may have more of them than there are jobs
  v_jobs  uuid[];
  v_gone  int;
  v_items int;
  v_audit int := milepost_private.purge_audit(v_now);
begin
  select array_agg(x.job_id) into v_jobs
  from (
    select l.job_id from milepost.tenants t
    cross join lateral (
      select j.job_id from milepost.jobs j
      where j.tenant_id = t.tenant_id and j.finished_at < v_now - t.keep_days * interval '1 day'
      order by j.finished_at limit v_most
      for update skip locked) l
    limit v_most
  ) x;

  delete from milepost.items i
  where (i.job_id, i.stage, i.key) in (
    select d.job_id, d.stage, d.key from milepost.items d where d.job_id = any (v_jobs) limit v_most_items);
  get diagnostics v_items = row_count;
  delete from milepost.jobs j
  where j.job_id = any (v_jobs) and not exists (select from milepost.items i where i.job_id = j.job_id);
  get diagnostics v_gone = row_count;

  return jsonb_build_object(
    'jobs_deleted', v_gone, 'items_deleted', v_items, 'audit_deleted', v_audit,
    'more', v_gone = v_most or v_items = v_most_items or v_audit = 1000,
    'partitions_dropped', milepost_private.drop_partitions(
      (v_now at time zone 'utc')::date - (select coalesce(max(t.keep_days), 30) from milepost.tenants t)));
end;
$$;
comment on function milepost.purge_history(timestamptz) is
'One step of retention: deletes jobs that ended more than keep_days ago, at most 1,000 of them and 20,000 items, and drops the partitions of days that no tenant keeps. Returns counts and whether there is more.';
revoke execute on function milepost.purge_history(timestamptz) from public, anon, authenticated;
grant execute on function milepost.purge_history(timestamptz) to service_role;
