-- Health: what an operator's probe asks.

-- get_jobs_health: how jobs are, counted, and why not better.
create or replace function milepost.get_jobs_health()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_tenants uuid[] := array(select milepost_private.my_tenants());
  v_jobs    bigint;
  v_odd     uuid[];
  v_health  jsonb;
begin
  -- Nearly all jobs have no reason: one look counts all, and keeps the ids of those that have one.
  select count(*), array_agg(j.job_id) filter (where
    j.state = 'failed' or j.finished_at is null and j.rate_limited_until > now()
    or j.items_failed > 0.05 * (j.items_completed::double precision + j.items_failed + j.items_skipped + j.items_canceled))
  into v_jobs, v_odd
  from milepost.jobs j
  where j.tenant_id = any (v_tenants) and (j.finished_at is null or j.finished_at > now() - interval '1 day');

  with off as materialized (
    select v.job_id, v.liveness from milepost_private.not_on_time(v_tenants, now()) v
  ), judged as (
    select j.key, case
      when j.state = 'failed' then 'failed'
      when o.liveness is not null then o.liveness
      when j.finished_at is null and j.rate_limited_until > now() then 'rate_limited'
      else 'many_errors' end as reason
    from (select unnest(v_odd) as job_id union select f.job_id from off f) i
    join milepost.jobs j on j.job_id = i.job_id
    left join off o on o.job_id = i.job_id
  ), reasons as (
    select j.reason, count(*) as jobs, j.reason in ('failed', 'stalled', 'lost') as is_critical,
           (array_agg(j.key order by j.key))[1:5] as examples
    from judged j group by j.reason
  )
  select jsonb_build_object(
    'overall_status', case when bool_or(r.is_critical) then 'Critical' when count(*) > 0 then 'Warning' else 'Healthy' end,
    'total_jobs', v_jobs, 'healthy_count', v_jobs - coalesce(sum(r.jobs), 0),
    'warning_count', coalesce(sum(r.jobs) filter (where not r.is_critical), 0),
    'critical_count', coalesce(sum(r.jobs) filter (where r.is_critical), 0),
    'reasons', coalesce(jsonb_agg(jsonb_build_object(
      'code', r.reason, 'status', case when r.is_critical then 'Critical' else 'Warning' end, 'count', r.jobs,
      'message', format(case r.reason
        when 'failed' then '%s failed within a day.' when 'stalled' then '%s made no progress for longer than is usual.'
        when 'lost' then '%s not heard from any more.' when 'late' then '%s late.' when 'rate_limited' then '%s waiting for a rate limit.'
        else '%s with many errors.' end, case when r.jobs = 1 then '1 job' else r.jobs || ' jobs' end),
      'jobs', r.examples) order by r.is_critical desc, r.jobs desc), '[]'),
    'last_updated', milepost_private.iso(now()))
  into v_health
  from reasons r;
  return v_health;
end;
$$;
comment on function milepost.get_jobs_health() is
'Healthy, Warning or Critical with counts and reasons, over jobs that are active or ended within a day. Critical: failed, stalled or lost; warning: late, rate limited or many errors.';
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
  with recent as materialized (
    select j.job_id, j.state, j.items_completed, j.finished_at, j.created_at
    from milepost.jobs j
    where j.tenant_id = any (array(select milepost_private.my_tenants()))
      and (j.finished_at is null or j.finished_at > now() - interval '1 day')
  ), shown as (
    select r.job_id from recent r order by r.finished_at is not null, r.created_at desc, r.job_id desc limit 1000
  )
  select jsonb_build_object(
    'summary', jsonb_build_object(
      'total_jobs', count(*),
      'loading', count(*) filter (where r.finished_at is null),
      'completed', count(*) filter (where r.state = 'completed'), 'failed', count(*) filter (where r.state = 'failed'),
      'total_records_loaded', coalesce(sum(r.items_completed), 0),
      'left_out', greatest(count(*) - 1000, 0)),
    'jobs', (select coalesce(jsonb_object_agg(s.job, to_jsonb(s)), '{}')
             from shown h join milepost_private.job_summaries s on s.job_id = h.job_id))
  from recent r;
$$;
comment on function milepost.get_loading_progress() is
'Jobs that are active or ended within a day: {"summary", "jobs": {key: job}}. The summary is of all; jobs are a thousand at most, active ones first, then the newest; left_out says how many are missing.';
revoke execute on function milepost.get_loading_progress() from public, anon, authenticated;
grant execute on function milepost.get_loading_progress() to authenticated, service_role;

-- get_system_metrics: figures of the system, as the caller may see them.
create or replace function milepost.get_system_metrics()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_tenants uuid[] := array(select milepost_private.my_tenants());
begin
  return (
    select jsonb_build_object(
      'active_jobs', count(*) filter (where j.state not in ('pending', 'retrying')),
      'total_items_per_second', coalesce(milepost_private.items_per_s(v_tenants, now()), 0),
      'queue_depth', count(*) filter (where j.state in ('pending', 'retrying')),
      'oldest_wait_s', extract(epoch from now() - min(greatest(j.state_changed_at, j.run_after)) filter (
        where j.state in ('pending', 'retrying') and (j.run_after is null or j.run_after <= now()))))
    from milepost.jobs j
    where j.tenant_id = any (v_tenants) and j.finished_at is null
  ) || (
    select jsonb_build_object('late_count', count(*) filter (where v.liveness = 'late'),
                              'stuck_count', count(*) filter (where v.liveness in ('stalled', 'lost')))
    from milepost_private.not_on_time(v_tenants, now()) v
  ) || (
    select jsonb_build_object(
      'finished_last_hour', count(*), 'failed_last_hour', count(*) filter (where j.state = 'failed'),
      'failure_rate_percent', 100.0 * count(*) filter (where j.state = 'failed')
                              / nullif(count(*) filter (where j.state in ('completed', 'failed')), 0))
    from milepost.jobs j
    where j.tenant_id = any (v_tenants) and j.finished_at > now() - interval '1 hour'
  ) || (
    -- Of several tenants, the one with the slowest requests.
    select jsonb_build_object('ingest_requests_5min', coalesce(sum(d.requests), 0), 'ingest_p50_ms', max(d.p50_ms), 'ingest_p99_ms', max(d.p99_ms))
    from unnest(v_tenants) t cross join lateral milepost_private.ingest_latency(t, now(), 300) d
  ) || (
    select jsonb_build_object('messages_last_minute', coalesce(sum(m.messages), 0),
                              'message_budget_used_percent', max(100.0 * m.messages / 60 / n.messages_per_s))
    from milepost.tenants n
    cross join lateral (
      -- One message on job:, one on tenant:, and one on user: where the job has an owner.
      select coalesce(sum(2 + (j.owner_id is not null)::int), 0) as messages
      from (
        select x.ts, x.job_id from milepost.events x
        where x.tenant_id = n.tenant_id and x.ts > now() - interval '1 day'
        order by x.event_id desc limit 5000
      ) e join milepost.jobs j on j.job_id = e.job_id
      where e.ts > now() - interval '1 minute'
    ) m
    where n.tenant_id = any (v_tenants)
  ) || jsonb_build_object(
    'open_alerts', (select count(*) from milepost_private.alerts a
                    where a.tenant_id = any (v_tenants) and a.opened_at is not null and a.resolved_at is null),
    -- Of the database that all tenants share: for who belongs to one of them.
    'database_bytes', case when v_tenants <> '{}' then pg_catalog.pg_database_size(current_database()) end,
    'database_connections', case when v_tenants <> '{}' then
      (select count(*) from pg_catalog.pg_stat_activity d where d.datname = current_database()) end,
    'last_sweep_at', (select milepost_private.iso(w.swept_at) from milepost_private.sweeps w),
    'last_updated', milepost_private.iso(now()));
end;
$$;
comment on function milepost.get_system_metrics() is
'Active jobs, items a second, queue, late and stuck jobs, failures, ingest latency, messages, size and connections of the database, last sweep.';
revoke execute on function milepost.get_system_metrics() from public, anon, authenticated;
grant execute on function milepost.get_system_metrics() to authenticated, service_role;

-- get_metrics: the same for Prometheus, with counters: totals and what is not in them yet. The first fifty kinds to come up have
-- a name; all others are 'other', and stay so, since a counter must not move from one name to another.
create or replace function milepost.get_metrics()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_tenants uuid[] := array(select milepost_private.my_tenants());
  v_answer  jsonb;
begin
  with counted as (
    select t.* from milepost_private.totals t where t.tenant_id = any (v_tenants)
    union all
    select m.* from milepost_private.measured('infinity') m where m.tenant_id = any (v_tenants)
  ), named as (
    select c.kind from counted c where c.kind <> '' group by c.kind order by min(c.place), c.kind limit 50
  ), by_name as (
    select case when n.kind is null and c.kind <> '' then 'other' else c.kind end as name, c.*
    from counted c left join named n on n.kind = c.kind
  ), summed as (
    select b.name, jsonb_build_object(
             'kind', b.name, 'items', jsonb_build_object('completed', sum(b.items_completed), 'failed', sum(b.items_failed),
               'skipped', sum(b.items_skipped), 'canceled', sum(b.items_canceled)),
             'bytes', sum(b.bytes_processed), 'jobs', jsonb_build_object('completed', sum(b.jobs_completed),
               'failed', sum(b.jobs_failed), 'canceled', sum(b.jobs_canceled)),
             'job_s', sum(b.job_s),
             'job_buckets', (select jsonb_agg(s.n order by s.place) from (
               select u.place, sum(u.n) as n from by_name x cross join lateral unnest(x.job_buckets) with ordinality as u (n, place)
               where x.name = b.name group by u.place) s)) as kind
    from by_name b where b.name <> '' group by b.name
  ), active as (
    select coalesce(n.kind, 'other') as name, j.state, count(*) as jobs
    from milepost.jobs j left join named n on n.kind = j.kind
    where j.tenant_id = any (v_tenants) and j.finished_at is null
    group by 1, 2
  )
  select jsonb_build_object(
    'kinds', (select coalesce(jsonb_agg(s.kind order by s.name), '[]') from summed s),
    'active', (select coalesce(jsonb_agg(to_jsonb(a) order by a.name, a.state), '[]') from active a),
    'checkpoints', coalesce(sum(b.checkpoints), 0), 'ingest_ms', coalesce(sum(b.ingest_ms), 0),
    'ingest_buckets', (select jsonb_agg(s.n order by s.place) from (
      select u.place, sum(u.n) as n from by_name x cross join lateral unnest(x.ingest_buckets) with ordinality as u (n, place)
      where x.name = '' group by u.place) s),
    'ingest_bounds_ms', milepost_private.ingest_bounds_ms(), 'job_bounds_s', milepost_private.job_bounds_s())
  into v_answer
  from by_name b where b.name = '';
  return v_answer || jsonb_build_object('system', milepost.get_system_metrics());
end;
$$;
comment on function milepost.get_metrics() is 'What /metrics shows: counters by kind, active jobs by kind and state, histograms, and get_system_metrics.';
revoke execute on function milepost.get_metrics() from public, anon, authenticated;
grant execute on function milepost.get_metrics() to authenticated, service_role;
