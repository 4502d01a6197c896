-- alert_conditions: what is wrong at the given time, by every tenant's rules. Writes nothing; cost follows the jobs that are
-- active, those that ended within a window, and eight runs of each kind.
do $$ begin
  if to_regtype('milepost_private.alert_condition') is null then
    create type milepost_private.alert_condition as (
      tenant_id uuid, rule text, subject text, job_id uuid, job text, kind text, severity text, for_s int,
      message text, value double precision, threshold double precision
    );
  end if;
end $$;
comment on type milepost_private.alert_condition is 'Something that a rule finds wrong: for each rule and subject at most one.';

create or replace function milepost_private.alert_conditions(at timestamptz)
returns setof milepost_private.alert_condition
language plpgsql
stable
set search_path = ''
as $$
begin
  -- JOBS that are active: stuck, late, past their deadline.
  return query
  select j.tenant_id, r.rule, j.job_id::text, j.job_id, j.key, j.kind, r.severity, r.for_s,
         case r.rule
           when 'job_stuck' then format('%s is %s: %s for %s.', j.key,
             case when v.liveness in ('stalled', 'lost') then v.liveness else j.state || ' after a reset' end,
             milepost_private.silence_in_words(v.reason),
             milepost_private.seconds_in_words(extract(epoch from at - coalesce(j.last_progress_at, j.started_at, j.created_at))))
           when 'job_late' then format('%s is late: %s for %s; it counts as stalled after %s.', j.key, milepost_private.silence_in_words(v.reason),
             milepost_private.seconds_in_words(v.silence_s), milepost_private.seconds_in_words(v.threshold_s))
           else format('%s is expected to take %s of the %s it may.', j.key, milepost_private.seconds_in_words(n.needs_s),
             milepost_private.seconds_in_words(j.processing_deadline_ms / 1000.0)) end,
         case r.rule when 'past_deadline' then n.needs_s else v.silence_s end,
         case r.rule when 'past_deadline' then j.processing_deadline_ms / 1000.0 else v.threshold_s end
  from milepost.jobs j
  join milepost_private.pulses p on p.job_id = j.job_id
  left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  left join milepost_private.not_on_time(null, alert_conditions.at) v on v.job_id = j.job_id
  cross join lateral (
    -- Not as a condition of a join: that would have all jobs' figures computed.
    select case when j.processing_deadline_ms is not null then (
      select (f.time_processing_ms + coalesce(f.eta_ms, 0)) / 1000.0
      from milepost_private.figures(j, p, k, alert_conditions.at) f) end as needs_s
    offset 0  -- so that it is computed once, and not wherever it is named
  ) n
  join milepost_private.alert_rules_in_force r on r.tenant_id = j.tenant_id and r.is_on and (
    r.rule = 'job_stuck' and (v.liveness in ('stalled', 'lost') or p.stalled_at is not null and j.state not in ('pausing', 'paused'))
    or r.rule = 'job_late' and v.liveness = 'late' and v.reason <> 'past_deadline'
    or r.rule = 'past_deadline' and n.needs_s > j.processing_deadline_ms / 1000.0)
  where j.finished_at is null;

  return query
  select j.tenant_id, r.rule, j.job_id::text, j.job_id, j.key, j.kind, r.severity, r.for_s,
         format('%s failed in attempt %s of %s: %s', j.key, j.attempt, j.max_attempts, left(coalesce(j.error, 'no reason was given'), 500)),
         null::double precision, null::double precision
  from milepost_private.alert_rules_in_force r
  join milepost.jobs j on j.tenant_id = r.tenant_id
    and j.finished_at > alert_conditions.at - r.window_s * interval '1 second' and j.finished_at <= alert_conditions.at
  where r.rule = 'job_failed' and r.is_on and j.state = 'failed';

  -- KINDS: too many failures, a run that did not come.
  return query
  select r.tenant_id, r.rule, f.kind, null::uuid, null::text, f.kind, r.severity, r.for_s,
         format('%s of %s runs of %s failed within %s: %s %%, more than %s %%.', f.failed, f.ended, f.kind,
           milepost_private.seconds_in_words(r.window_s), round(f.percent), r.threshold),
         f.percent::double precision, r.threshold
  from milepost_private.alert_rules_in_force r
  cross join lateral (
    select j.kind, count(*) as ended, count(*) filter (where j.state = 'failed') as failed,
           100.0 * count(*) filter (where j.state = 'failed') / count(*) as percent
    from milepost.jobs j
    where j.tenant_id = r.tenant_id and j.state in ('completed', 'failed')
      and j.finished_at > alert_conditions.at - r.window_s * interval '1 second' and j.finished_at <= alert_conditions.at
    group by j.kind
    having count(*) >= 5
  ) f
  where r.rule = 'failure_rate' and r.is_on and f.percent > r.threshold;

  -- Only a kind whose last intervals are much alike is expected at a time. It is due an interval after its last run; what it
  -- is late by has to exceed what it was late by before, a share of the interval, and a minute.
  return query
  select k.tenant_id, r.rule, k.kind, null::uuid, null::text, k.kind, r.severity, r.for_s,
         format('%s runs about every %s, but did not since %s.', k.kind, milepost_private.seconds_in_words(g.usual_s),
           milepost_private.iso(g.last_at)),
         extract(epoch from alert_conditions.at - g.last_at)::double precision, g.usual_s * (1 + r.threshold / 100)
  from milepost_private.alert_rules_in_force r
  join milepost_private.kinds k on k.tenant_id = r.tenant_id
  cross join lateral (
    select max(s.created_at) as last_at, count(s.gap_s) as gaps, max(s.gap_s) as longest_s, min(s.gap_s) as shortest_s,
           percentile_cont(0.5) within group (order by s.gap_s) as usual_s
    from (
      select l.created_at, extract(epoch from l.created_at - lag(l.created_at) over (order by l.created_at))::double precision as gap_s
      from (
        select j.created_at from milepost.jobs j
        where j.tenant_id = k.tenant_id and j.kind = k.kind and j.created_at <= alert_conditions.at
        order by j.created_at desc limit 8
      ) l
    ) s
  ) g
  where r.rule = 'missed_run' and r.is_on and g.gaps >= 4 and g.longest_s <= 2 * g.usual_s and g.shortest_s >= 0.5 * g.usual_s
    and extract(epoch from alert_conditions.at - g.last_at) - g.usual_s
        > greatest(2 * (g.longest_s - g.usual_s), r.threshold / 100 * g.usual_s, 60)
    -- Who stopped running it for good need not be told for ever.
    and extract(epoch from alert_conditions.at - g.last_at) < 10 * g.usual_s
    -- The next one may wait for this one to end.
    and not exists (select from milepost.jobs j where j.tenant_id = k.tenant_id and j.kind = k.kind and j.finished_at is null);

  -- TENANTS: a queue that grows, a slow database.
  return query
  select r.tenant_id, r.rule, '', null::uuid, null::text, null::text, r.severity, r.for_s,
         format('%s jobs wait for a worker, more than %s.', w.waiting, r.threshold), w.waiting::double precision, r.threshold
  from milepost_private.alert_rules_in_force r
  cross join lateral (
    select count(*) as waiting from milepost.jobs j
    where j.tenant_id = r.tenant_id and j.state in ('pending', 'retrying')
      and (j.run_after is null or j.run_after <= alert_conditions.at)
  ) w
  where r.rule = 'queue_depth' and r.is_on and w.waiting > r.threshold;

  return query
  select r.tenant_id, r.rule, '', null::uuid, null::text, null::text, r.severity, r.for_s,
         format('One of twenty requests took %s ms or more to be recorded and sent on, more than %s ms.', round(d.p95_ms), r.threshold),
         d.p95_ms, r.threshold
  from milepost_private.alert_rules_in_force r
  cross join lateral milepost_private.ingest_latency(r.tenant_id, alert_conditions.at, r.window_s) d
  where r.rule = 'update_delay' and r.is_on and d.requests >= 20 and d.p95_ms > r.threshold;
end;
$$;
comment on function milepost_private.alert_conditions(timestamptz) is 'What is wrong at the given time, by the rules of each tenant. Reads only.';
revoke execute on function milepost_private.alert_conditions(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.alert_conditions(timestamptz) to service_role;
