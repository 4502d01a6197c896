-- job_history_stats: how finished jobs went, by hour, day or kind, and what their errors have in common.
create or replace function milepost.job_history_stats(
  since     timestamptz default null,
  until     timestamptz default null,
  kind      text[] default null,
  state     text[] default null,
  q         text default null,
  by        text default 'day',
  zone      text default 'UTC',
  tenant_id uuid default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'  -- an hour and a month of jobs want other plans
as $$
declare
  v_until   timestamptz := coalesce(until, now());
  v_since   timestamptz := coalesce(since, v_until - interval '30 days');
  v_tenants uuid[] := array(select t from milepost_private.my_tenants() as t
                            where job_history_stats.tenant_id is null or t = job_history_stats.tenant_id);
  v_is_time boolean := by in ('hour', 'day');
  v_stats   jsonb;
begin
  -- GUARD: no such grouping
  if by is null or by not in ('hour', 'day', 'kind', 'none') then
    perform milepost_private.refuse(422, 'invalid_value',
      format('Expected `by` to be hour, day, kind or none; found %s.', coalesce(by, 'null')), 'Use one of these.');
  end if;
  -- GUARD: no such time zone
  begin
    perform timezone(zone, v_until);
  exception when invalid_parameter_value then
    perform milepost_private.refuse(422, 'invalid_value',
      format('Expected in `zone` the name of a time zone; found %s.', zone), 'Use a name such as Europe/Berlin, or leave it out for UTC.');
  end;
  perform milepost_private.check_range(v_since, v_until);

  with runs as materialized (
    select j.job_id, j.kind, j.state, j.finished_at, j.items_completed, j.items_failed, j.bytes_processed,
           case when v_is_time then date_trunc(by, j.finished_at, zone) end as at,
           -- A job that was only said to be done took no time that anybody knows of.
           case when j.state = 'completed' and p.active_s > 0 then p.active_s end as active_s,
           case when j.state = 'completed' and p.active_s > 0 and (p.pace).work > 0 then (p.pace).work / p.active_s end as items_per_s
    from milepost.jobs j
    left join milepost_private.pulses p on p.job_id = j.job_id
    where j.tenant_id = any (v_tenants)
      and j.finished_at >= v_since and j.finished_at < v_until
      and (job_history_stats.kind is null or j.kind = any (job_history_stats.kind))
      and (job_history_stats.state is null or j.state = any (job_history_stats.state))
      and (job_history_stats.q is null
           or strpos(j.search_text, lower(job_history_stats.q)) > 0)
  ), figures as (
    select r.at, case when by = 'kind' then r.kind end as kind,
           grouping(r.at) as is_total,
           jsonb_build_object(
             'runs', count(*),
             'completed', count(*) filter (where r.state = 'completed'),
             'failed', count(*) filter (where r.state = 'failed'),
             'canceled', count(*) filter (where r.state = 'canceled'),
             'success_rate', round((count(*) filter (where r.state = 'completed'))::numeric / nullif(count(*), 0), 4),
             'failure_rate', round((count(*) filter (where r.state = 'failed'))::numeric / nullif(count(*), 0), 4),
             'duration_p50_ms', round((percentile_cont(0.5) within group (order by r.active_s) * 1000)::numeric),
             'duration_p95_ms', round((percentile_cont(0.95) within group (order by r.active_s) * 1000)::numeric),
             'items_per_s_p50', percentile_cont(0.5) within group (order by r.items_per_s),
             'items_completed', coalesce(sum(r.items_completed), 0),
             'items_failed', coalesce(sum(r.items_failed), 0),
             'bytes_processed', coalesce(sum(r.bytes_processed), 0),
             'last_finished_at', milepost_private.iso(max(r.finished_at))) as said
    from runs r
    group by grouping sets ((r.at, case when by = 'kind' then r.kind end), ())
  ), newest as (
    -- Ten scores a job: all of a long range would cost more than all else here.
    select n.job_id, n.kind
    from (select r.job_id, r.kind, row_number() over (partition by r.kind order by r.finished_at desc) as place
          from runs r where by = 'kind' and r.state = 'completed') n
    where n.place <= 200
  ), accuracy as (
    select n.kind, jsonb_build_object(
             'runs', count(distinct s.job_id),
             'median_error', percentile_cont(0.5) within group (order by abs(s.log_error)),
             'p90_error', percentile_cont(0.9) within group (order by abs(s.log_error)),
             'bias', avg(s.log_error), 'coverage', avg(s.covered::int), 'mean_width', avg(s.width)) as said
    from newest n join milepost_private.eta_scores s on s.job_id = n.job_id
    group by n.kind
  ), texts as (
    -- Equal texts first: a pattern is found once for each.
    select coalesce(j.error, j.state_reason, '') as error, r.kind, count(*) as runs, max(r.finished_at) as last_at,
           (array_agg(j.job_id order by r.finished_at desc))[1] as job_id,
           (array_agg(j.key order by r.finished_at desc))[1] as job
    from runs r join milepost.jobs j on j.job_id = r.job_id
    where r.state = 'failed'
    group by 1, 2
  ), patterns as (
    select milepost_private.error_pattern(t.error) as pattern, sum(t.runs) as runs, max(t.last_at) as last_at,
           (array_agg(t.job_id order by t.last_at desc))[1] as job_id,
           (array_agg(t.job order by t.last_at desc))[1] as job,
           (array_agg(t.error order by t.last_at desc))[1] as example,
           array_agg(distinct t.kind) as kinds
    from texts t
    group by 1
    order by 2 desc, 3 desc
    limit 20
  )
  select jsonb_build_object(
    'since', milepost_private.iso(v_since), 'until', milepost_private.iso(v_until), 'by', by, 'zone', zone,
    'total', (select f.said from figures f where f.is_total = 1),
    'groups', (
      select coalesce(jsonb_agg(f.said
        || case when v_is_time then jsonb_build_object('at', milepost_private.iso(f.at)) else '{}' end
        || case when by = 'kind' then jsonb_build_object('kind', f.kind, 'eta_accuracy', a.said) else '{}' end
        order by f.at, (f.said ->> 'runs')::bigint desc, f.kind), '[]')
      from figures f left join accuracy a on a.kind = f.kind
      where f.is_total = 0 and by <> 'none'),
    'errors', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'pattern', p.pattern, 'count', p.runs, 'kinds', to_jsonb(p.kinds), 'example', p.example,
        'last_job', p.job, 'last_job_id', p.job_id, 'last_finished_at', milepost_private.iso(p.last_at))
        order by p.runs desc, p.last_at desc), '[]')
      from patterns p))
  into v_stats;
  return v_stats;
end;
$$;
comment on function milepost.job_history_stats(timestamptz, timestamptz, text[], text[], text, text, text, uuid) is
'Figures of the jobs that ended from since (30 days before until) until until (now), by kind, state and text, grouped by hour, day, kind or none: {"since", "until", "by", "zone", "total": {...}, "groups": [{"at" or "kind", "runs", "completed", "failed", "canceled", "success_rate", "failure_rate", "duration_p50_ms", "duration_p95_ms", "items_per_s_p50", ...}], "errors": [{"pattern", "count", "example", "last_job"}]}. Rates are shares of the runs; durations (active time) and speeds are those of completed runs; by kind, eta_accuracy is that of the newest 200. Hours and days are those of zone. Refuses with invalid_value.';
revoke execute on function milepost.job_history_stats(timestamptz, timestamptz, text[], text[], text, text, text, uuid) from public, anon, authenticated;
grant execute on function milepost.job_history_stats(timestamptz, timestamptz, text[], text[], text, text, text, uuid) to authenticated, service_role;
