-- Health: what an operator's probe asks.
create or replace function milepost.ping()
returns text
language sql
stable
set search_path = ''
as $$
  select 'ok';
$$;
comment on function milepost.ping() is 'ok: the database was reached.';
revoke execute on function milepost.ping() from public, anon, authenticated;
grant execute on function milepost.ping() to service_role;

-- get_jobs_health: jobs that are active, and those that failed within a day.
create or replace function milepost.get_jobs_health()
returns jsonb
language sql
stable
set search_path = ''
as $$
  with judged as (
    select case when s.state = 'failed' or s.liveness in ('stalled', 'lost') then 'critical'
                when s.liveness = 'late' or s.health in ('fair', 'poor') or s.rate_limited then 'warning'
                else 'healthy' end as verdict
    from milepost_private.job_summaries s
    join milepost.jobs j on j.job_id = s.job_id
    where j.tenant_id = any (array(select milepost_private.my_tenants()))
      and (j.finished_at is null or j.finished_at > now() - interval '1 day')
  )
  select jsonb_build_object(
    'overall_status', case when count(*) filter (where verdict = 'critical') > 0 then 'Critical'
                           when count(*) filter (where verdict = 'warning') > 0 then 'Warning' else 'Healthy' end,
    'total_jobs', count(*), 'healthy_count', count(*) filter (where verdict = 'healthy'),
    'warning_count', count(*) filter (where verdict = 'warning'), 'critical_count', count(*) filter (where verdict = 'critical'),
    'last_updated', milepost_private.iso(now()))
  from judged;
$$;
comment on function milepost.get_jobs_health() is
'Healthy, Warning or Critical with counts, over jobs that are active or ended within a day. Critical: failed, stalled or lost; warning: late, rate limited or many errors.';
revoke execute on function milepost.get_jobs_health() from public, anon, authenticated;
grant execute on function milepost.get_jobs_health() to authenticated, service_role;
