-- explain_job: why a job is stalled, slow, waiting or without an ETA, in words and fields.
create or replace function milepost_private.seconds_in_words(s double precision)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when s is null then 'an unknown time'
    when s < 120 then round(s) || ' s'
    when s < 7200 then round(s / 60) || ' min'
    when s < 172800 then round(s / 3600) || ' h'
    else round(s / 86400) || ' days' end;
end;
$$;
comment on function milepost_private.seconds_in_words(double precision) is 'A duration as a person says it.';
revoke execute on function milepost_private.seconds_in_words(double precision) from public, anon, authenticated;
grant execute on function milepost_private.seconds_in_words(double precision) to authenticated, service_role;

create or replace function milepost_private.explain(job_id uuid, at timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job     milepost.jobs;
  v_pulse   milepost_private.pulses;
  v_kind    milepost_private.kinds;
  f         milepost_private.figures;
  v_slowest record;
  v_reasons jsonb := '[]';
  v_silent  text;
  v_queue   text;
  v_usual   double precision;
  v_summary text;
  v_trend   milepost_private.trend;
begin
  select * into v_job from milepost.jobs j where j.job_id = explain.job_id;
  select * into v_pulse from milepost_private.pulses p where p.job_id = explain.job_id;
  select * into v_kind from milepost_private.kinds k where k.tenant_id = v_job.tenant_id and k.kind = v_job.kind;
  f := milepost_private.figures(v_job, v_pulse, v_kind, at);
  v_silent := milepost_private.seconds_in_words(extract(epoch from at - coalesce(v_job.last_progress_at, v_job.attempt_started_at, v_job.created_at)));

  select l.worker, l.rate into v_slowest from (
    select x.worker, (milepost_private.lane_json(x) ->> 'rate_per_s')::double precision as rate, count(*) over () as lanes
    from milepost.lanes x where x.job_id = explain.job_id and x.attempt = v_job.attempt and x.state in ('running', 'completing')
  ) l where l.lanes > 1 and l.rate is not null order by l.rate limit 1;

  if v_job.state in ('pending', 'retrying') then
    select format(', for %s now; %s of its kind %s before it',
             milepost_private.seconds_in_words(greatest(extract(epoch from at - greatest(v_job.state_changed_at, v_job.run_after)), 0)),
             case when q.ahead = 1000 then 'at least 1000' else q.ahead::text end, case when q.ahead = 1 then 'is' else 'are' end)
    into v_queue
    from (
      select count(*) as ahead from (
        select from milepost.jobs j
        where j.tenant_id = v_job.tenant_id and j.kind = v_job.kind and j.state in ('pending', 'retrying')
          and (j.priority > v_job.priority or j.priority = v_job.priority and j.created_at < v_job.created_at)
          and (j.run_after is null or j.run_after <= explain.at)
        limit 1000) a) q;
  end if;

  v_summary := case
    when v_job.state = 'completed' then format('Completed after %s of work.', milepost_private.seconds_in_words(f.time_processing_ms / 1000.0))
    when v_job.state = 'failed' then format('Failed in attempt %s of %s: %s', v_job.attempt, v_job.max_attempts, coalesce(v_job.error, 'no reason was given'))
    when v_job.state = 'canceled' then format('Canceled%s.', ' by ' || milepost_private.actor_in_words(v_job.state_actor))
    when v_job.state = 'pending' and v_job.run_after > at then
      format('Waiting for its time, in %s.', milepost_private.seconds_in_words(extract(epoch from v_job.run_after - at)))
    when v_job.state = 'pending' then format('Waiting for a worker to claim it%s.', v_queue)
    when v_job.state = 'retrying' then format('Waiting for attempt %s of %s%s: %s', v_job.attempt, v_job.max_attempts,
      case when v_job.run_after > at then ', in ' || milepost_private.seconds_in_words(extract(epoch from v_job.run_after - at)) else v_queue end,
      coalesce(v_job.state_reason, 'the last attempt ended'))
    when v_job.state = 'paused' then format('Paused by %s%s.', milepost_private.actor_in_words(v_job.state_actor), coalesce(': ' || v_job.state_reason, ''))
    when v_job.state = 'pausing' then format('Asked to pause by %s; its workers have not acknowledged yet.', milepost_private.actor_in_words(v_job.state_actor))
    when v_job.state = 'canceling' then format('Asked to cancel by %s; its workers have not acknowledged yet.', milepost_private.actor_in_words(v_job.state_actor))
    when f.rate_limited then format('Rate limited for another %s.', milepost_private.seconds_in_words(extract(epoch from v_job.rate_limited_until - at)))
    when f.liveness = 'lost' then format('Lost: nothing was heard for %s.', milepost_private.seconds_in_words(extract(epoch from at - coalesce(v_job.last_checkpoint_at, v_job.attempt_started_at))))
    when f.liveness_reason = 'no_net_progress' then 'Stalled: its count falls and climbs without a new high.'
    when f.liveness = 'stalled' then format('Stalled: its worker reports, but made no progress for %s; more than %s is unusual for it.', v_silent, milepost_private.seconds_in_words(f.threshold_s))
    when f.liveness_reason = 'past_deadline' then format('Late: it has taken %s of its %s.',
      milepost_private.seconds_in_words(f.time_processing_ms / 1000.0), milepost_private.seconds_in_words(v_job.processing_deadline_ms / 1000.0))
    when f.liveness = 'late' then format('Late: no progress for %s; it counts as stalled after %s.', v_silent, milepost_private.seconds_in_words(f.threshold_s))
    when f.eta_ms is not null then format('On time; about %s left.', milepost_private.seconds_in_words(f.eta_ms / 1000.0))
    when f.eta_reason = 'no_total' then 'On time; no finish time, since the total is unknown.'
    when f.eta_reason = 'no_progress' then 'Running; no finish time before the first progress.'
    else 'On time.' end;

  if f.liveness <> 'on_time' then
    v_reasons := v_reasons || jsonb_build_object('code', f.liveness_reason, 'message', v_summary);
  end if;
  if f.rate_limited then
    v_reasons := v_reasons || jsonb_build_object('code', 'rate_limited', 'message',
      format('A worker said that it may not go on before %s.', milepost_private.iso(v_job.rate_limited_until)));
  end if;
  if v_job.attempt > 1 then
    v_reasons := v_reasons || jsonb_build_object('code', 'retried', 'message',
      format('This is attempt %s of %s.', v_job.attempt, v_job.max_attempts));
  end if;
  if v_job.processing_deadline_ms is not null and f.time_processing_ms + coalesce(f.eta_ms, 0) > v_job.processing_deadline_ms and v_job.finished_at is null
    and f.liveness_reason is distinct from 'past_deadline' then
    v_reasons := v_reasons || jsonb_build_object('code', 'past_deadline', 'message',
      format('It will have taken %s of its %s.', milepost_private.seconds_in_words((f.time_processing_ms + coalesce(f.eta_ms, 0)) / 1000.0),
             milepost_private.seconds_in_words(v_job.processing_deadline_ms / 1000.0)));
  end if;
  v_usual := coalesce(exp(-(v_kind.pace).ln_cost), 1000 / nullif(f.average_duration_ms_per_item, 0));
  if v_job.state in ('running', 'completing') and f.rate_per_s < 0.5 * v_usual then
    v_reasons := v_reasons || jsonb_build_object('code', 'slow', 'message',
      format('It does %s a second now; %s is usual for %s.', round(f.rate_per_s::numeric, 3), round(v_usual::numeric, 3),
             case when (v_kind.pace).ln_cost is null then 'it' else 'its kind' end));
  end if;
  v_trend := milepost_private.trend_of(v_job, v_pulse, v_kind, milepost_private.tally_of(v_job));
  if v_trend.slower is not null then
    v_reasons := v_reasons || jsonb_build_object('code', 'slower_than_usual', 'message',
      format('It took %s to get this far; %s is usual for %s after %s runs: %s times as long.',
             milepost_private.seconds_in_words(v_trend.spent_s), milepost_private.seconds_in_words(v_trend.usual_s), v_job.kind,
             v_trend.runs, round(v_trend.slower::numeric, 1)));
  end if;
  if v_trend.failed_share is not null then
    v_reasons := v_reasons || jsonb_build_object('code', 'more_errors_than_usual', 'message',
      format('%s %% of its items failed; %s %% is usual for %s.', round((100 * v_trend.failed_share)::numeric, 1),
             round((100 * v_trend.usual_failed)::numeric, 1), v_job.kind));
  end if;
  if v_trend.larger is not null then
    v_reasons := v_reasons || jsonb_build_object('code', 'larger_than_usual', 'message',
      format('It has %s %s; %s is usual for %s.', f.items_total, v_job.unit, round(v_trend.usual_items::numeric), v_job.kind));
  end if;
  if v_slowest.worker is not null then
    v_reasons := v_reasons || jsonb_build_object('code', 'slowest_worker', 'message',
      format('Its slowest worker is %s with %s a second.', v_slowest.worker, round(v_slowest.rate::numeric, 3)));
  end if;
  if f.eta_reason is not null then
    v_reasons := v_reasons || jsonb_build_object('code', f.eta_reason, 'message', 'There is no finish time: ' || case f.eta_reason
      when 'no_total' then 'the total is unknown.' when 'no_progress' then 'there was no progress yet.'
      when 'paused' then 'the job is paused.' when 'rate_limited' then 'the job is rate limited.'
      when 'finished' then 'nothing is left to do.' when 'not_started' then 'the job is not running.'
      else 'the job is stalled.' end);
  end if;

  return jsonb_build_object(
    'summary', v_summary, 'liveness', f.liveness, 'threshold_s', f.threshold_s, 'reasons', v_reasons,
    'last_checkpoint_at', milepost_private.iso(v_job.last_checkpoint_at),
    'last_progress_at', milepost_private.iso(v_job.last_progress_at), 'attempt', v_job.attempt,
    'paused_by', case when v_job.state in ('pausing', 'paused') then v_job.state_actor end,
    'slowest_worker', v_slowest.worker, 'rate_limited_until', case when f.rate_limited then milepost_private.iso(v_job.rate_limited_until) end,
    'eta_reason', f.eta_reason);
end;
$$;
comment on function milepost_private.explain(uuid, timestamptz) is 'Why a job is as it is at the given time: a sentence, and reasons with codes.';
revoke execute on function milepost_private.explain(uuid, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.explain(uuid, timestamptz) to authenticated, service_role;

create or replace function milepost.explain_job(job_id text)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select milepost_private.explain((milepost_private.visible_job(job_id)).job_id, now());
$$;
comment on function milepost.explain_job(text) is
'Why a job is stalled, slow, waiting or without an ETA: {"summary", "liveness", "threshold_s", "reasons", ...}.';
revoke execute on function milepost.explain_job(text) from public, anon, authenticated;
grant execute on function milepost.explain_job(text) to authenticated, service_role;
