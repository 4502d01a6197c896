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

-- get_job_health: one job's health, its error and the explanation.
create or replace function milepost.get_job_health(job_id text)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select to_jsonb(s) || jsonb_build_object('error_message', s.error, 'explanation', milepost_private.explain(s.job_id, now()))
  from milepost_private.job_summaries s
  where s.job_id = (milepost_private.visible_job(get_job_health.job_id)).job_id;
$$;
comment on function milepost.get_job_health(text) is 'A job''s summary with its error_message and explanation.';
revoke execute on function milepost.get_job_health(text) from public, anon, authenticated;
grant execute on function milepost.get_job_health(text) to authenticated, service_role;

-- get_loading_progress: all jobs that are active or ended within a day, by key.
create or replace function milepost.get_loading_progress()
returns jsonb
language sql
stable
set search_path = ''
as $$
  with shown as (
    select s.* from milepost_private.job_summaries s
    join milepost.jobs j on j.job_id = s.job_id
    where j.tenant_id = any (array(select milepost_private.my_tenants()))
      and (j.finished_at is null or j.finished_at > now() - interval '1 day')
  )
  select jsonb_build_object(
    'summary', jsonb_build_object(
      'total_jobs', count(*),
      'loading', count(*) filter (where not milepost_private.is_terminal(s.state)),
      'completed', count(*) filter (where s.state = 'completed'), 'failed', count(*) filter (where s.state = 'failed'),
      'total_records_loaded', coalesce(sum(s.items_completed), 0)),
    'jobs', coalesce(jsonb_object_agg(s.job, to_jsonb(s)), '{}'))
  from shown s;
$$;
comment on function milepost.get_loading_progress() is 'Jobs that are active or ended within a day: {"summary", "jobs": {key: job}}.';
revoke execute on function milepost.get_loading_progress() from public, anon, authenticated;
grant execute on function milepost.get_loading_progress() to authenticated, service_role;

-- get_system_metrics: figures of the system, as the caller may see them.
create or replace function milepost.get_system_metrics()
returns jsonb
language sql
stable
set search_path = ''
as $$
  with active as (
    select s.*, greatest(j.state_changed_at, j.run_after) as runnable_at from milepost_private.job_summaries s
    join milepost.jobs j on j.job_id = s.job_id
    where j.tenant_id = any (array(select milepost_private.my_tenants())) and j.finished_at is null
  )
  select jsonb_build_object(
    'active_jobs', count(*) filter (where a.state not in ('pending', 'retrying')),
    'total_items_per_second', coalesce(sum(a.rate_per_s) filter (where a.state in ('running', 'completing')), 0),
    'queue_depth', count(*) filter (where a.state in ('pending', 'retrying')),
    'oldest_wait_s', extract(epoch from now() - min(a.runnable_at) filter (where a.state in ('pending', 'retrying') and a.runnable_at <= now())),
    'late_count', count(*) filter (where a.liveness = 'late'),
    'stuck_count', count(*) filter (where a.liveness in ('stalled', 'lost')),
    'failed_last_hour', (select count(*) from milepost.jobs j
      where j.tenant_id = any (array(select milepost_private.my_tenants())) and j.state = 'failed'
        and j.created_at > now() - interval '30 days' and j.finished_at > now() - interval '1 hour'),
    'database_connections', (select count(*) from pg_catalog.pg_stat_activity d where d.datname = current_database()),
    'last_sweep_at', (select milepost_private.iso(w.swept_at) from milepost_private.sweeps w),
    'last_updated', milepost_private.iso(now()))
  from active a;
$$;
comment on function milepost.get_system_metrics() is 'Active jobs, items a second, queue, late and stuck jobs, connections, last sweep.';
revoke execute on function milepost.get_system_metrics() from public, anon, authenticated;
grant execute on function milepost.get_system_metrics() to authenticated, service_role;
