-- job_counts: what runs, waits, is stuck and failed, in figures: the top of a dashboard, by one look at the active jobs.
create or replace function milepost.job_counts(tenant uuid default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_tenants uuid[] := array(select t from milepost_private.my_tenants() t where job_counts.tenant is null or t = job_counts.tenant);
begin
  return (
    with counted as (
      select j.kind, j.state as what, count(*) as jobs
      from milepost.jobs j
      where j.tenant_id = any (v_tenants) and j.finished_at is null
      group by j.kind, j.state
      union all
      select j.kind, 'stuck', count(*)
      from milepost_private.not_on_time(v_tenants, now()) n join milepost.jobs j on j.job_id = n.job_id
      where n.liveness in ('stalled', 'lost')
      group by j.kind
      union all
      select j.kind, 'failed', count(*)
      from milepost.jobs j
      where j.tenant_id = any (v_tenants) and j.state = 'failed' and j.finished_at > now() - interval '24 hours'
      group by j.kind
    ), by_kind as (
      select c.kind,
             coalesce(sum(c.jobs) filter (where c.what in ('running', 'completing', 'pausing', 'canceling')), 0) as running,
             coalesce(sum(c.jobs) filter (where c.what in ('pending', 'retrying')), 0) as waiting,
             coalesce(sum(c.jobs) filter (where c.what = 'paused'), 0) as paused,
             coalesce(sum(c.jobs) filter (where c.what = 'stuck'), 0) as stuck,
             coalesce(sum(c.jobs) filter (where c.what = 'failed'), 0) as failed_24h
      from counted c
      group by c.kind
    )
    select jsonb_build_object(
      'running', coalesce(sum(b.running), 0), 'waiting', coalesce(sum(b.waiting), 0), 'paused', coalesce(sum(b.paused), 0),
      'stuck', coalesce(sum(b.stuck), 0), 'failed_24h', coalesce(sum(b.failed_24h), 0), 'items_per_s', milepost_private.items_per_s(v_tenants, now()),
      'kinds', coalesce(jsonb_agg(jsonb_build_object(
        'kind', b.kind, 'running', b.running, 'waiting', b.waiting, 'paused', b.paused, 'stuck', b.stuck,
        'failed_24h', b.failed_24h) order by b.kind), '[]'))
    from by_kind b);
end;
$$;
comment on function milepost.job_counts(uuid) is
'Active jobs in figures, of one tenant or of all that the caller may read: {"running", "waiting", "paused", "stuck", "failed_24h", "items_per_s", "kinds": [...]}; failed_24h counts jobs that failed within the last 24 hours; items_per_s is null while nothing has a rate.';
revoke execute on function milepost.job_counts(uuid) from public, anon, authenticated;
grant execute on function milepost.job_counts(uuid) to authenticated, service_role;
