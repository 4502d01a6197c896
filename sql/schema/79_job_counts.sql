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
    with active as (
      select j.kind, j.state,
             j.state in ('running', 'completing', 'pausing', 'canceling') as runs,
             coalesce(n.liveness in ('stalled', 'lost'), false) as stuck,
             case when j.state in ('running', 'completing') then
               milepost_private.pace_rate(p.pace, milepost_private.active_clock(p.active_s, p.active_at, p.running, now())) end as rate_per_s
      from milepost.jobs j
      left join milepost_private.pulses p on p.job_id = j.job_id
      left join milepost_private.not_on_time(v_tenants, now()) n on n.job_id = j.job_id
      where j.tenant_id = any (v_tenants) and j.finished_at is null
    ), failed as (
      select j.kind, count(*) as failures
      from milepost.jobs j
      where j.tenant_id = any (v_tenants) and j.state = 'failed' and j.finished_at > now() - interval '24 hours'
      group by j.kind
    ), by_kind as (
      select kind, count(*) filter (where a.runs) as running,
             count(*) filter (where a.state in ('pending', 'retrying')) as waiting,
             count(*) filter (where a.state = 'paused') as paused,
             count(*) filter (where a.stuck) as stuck,
             coalesce(max(f.failures), 0) as failed_24h,
             sum(a.rate_per_s) as rate_per_s
      from active a full join failed f using (kind)
      group by kind
    )
    select jsonb_build_object(
      'running', coalesce(sum(b.running), 0), 'waiting', coalesce(sum(b.waiting), 0), 'paused', coalesce(sum(b.paused), 0),
      'stuck', coalesce(sum(b.stuck), 0), 'failed_24h', coalesce(sum(b.failed_24h), 0), 'items_per_s', sum(b.rate_per_s),
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
