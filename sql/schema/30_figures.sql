-- figures: everything about a job that is computed: a pure function of (its rows, at).
do $$ begin
  if to_regtype('milepost_private.figures') is null then
    create type milepost_private.figures as (
      percent_complete   double precision,
      items_total        bigint,
      items_pending      bigint,
      work_done          double precision,
      rate_per_s         double precision,
      bytes_per_s        double precision,
      average_duration_ms_per_item double precision,
      eta_ms             bigint,
      eta_low_ms         bigint,
      eta_high_ms        bigint,
      estimated_completion_at timestamptz,
      eta_reason         text,
      liveness           text,
      liveness_reason    text,
      threshold_s        double precision,
      health             text,
      time_to_start_ms   bigint,
      time_processing_ms bigint,
      rate_limited       boolean
    );
  end if;
end $$;
comment on type milepost_private.figures is 'What is computed of a job at one moment.';

create or replace function milepost_private.figures(
  job   milepost.jobs,
  pulse milepost_private.pulses,
  kind  milepost_private.kinds,
  at    timestamptz
)
returns milepost_private.figures
language plpgsql
immutable
set search_path = ''
as $$
declare
  f          milepost_private.figures;
  t          milepost_private.tally := milepost_private.tally_of(job);
  v_active_s double precision;
  v_pace     milepost_private.pace := pulse.pace;
  v_history  milepost_private.kind_pace := kind.pace;
  v_pending  double precision := t.pending;
  v_fraction double precision := t.settled / nullif(t.total, 0);
  v_estimate milepost_private.estimate;
  v_verdict  milepost_private.liveness_verdict;
  v_wait_s   double precision;
  v_pace_s   double precision;
  v_trend    milepost_private.trend;
begin
  f.percent_complete := t.percent;
  f.items_total := case when t.total is not null then least(t.total::numeric, 9223372036854775807) end;  -- least() skips nulls
  f.items_pending := case when t.pending is not null then least(t.pending::numeric, 9223372036854775807) end;
  f.work_done := t.work;

  v_active_s := coalesce(milepost_private.active_clock(pulse.active_s, pulse.active_at, pulse.running, at), 0);
  f.time_to_start_ms := extract(epoch from job.started_at - job.created_at) * 1000;
  f.time_processing_ms := case when job.started_at is not null then v_active_s * 1000 end;
  f.rate_limited := coalesce(job.rate_limited_until > at, false) and job.finished_at is null;
  v_wait_s := case when f.rate_limited then extract(epoch from job.rate_limited_until - at) else 0 end;
  f.rate_per_s := milepost_private.pace_rate(pulse.pace, v_active_s);
  -- What was done before it was tracked says nothing of its speed.
  if job.finished_at is not null then
    f.rate_per_s := case when (v_pace).work > 0 and v_active_s > 0 then (v_pace).work / v_active_s end;
  end if;
  f.bytes_per_s := case when job.bytes_processed > 0 and v_active_s > 0 then job.bytes_processed / v_active_s end;
  f.average_duration_ms_per_item := case when (v_pace).work > 0 and v_active_s > 0 then v_active_s * 1000 / (v_pace).work end;

  v_verdict := milepost_private.liveness_of(job, pulse, kind, at);
  f.liveness := v_verdict.liveness;
  f.liveness_reason := v_verdict.reason;
  f.threshold_s := v_verdict.threshold_s;

  -- A job that counts by stages is estimated by their percent. It has no shape beside what its stages' shares tell, and no cost
  -- per item, since an item of one stage is not one of another.
  if job.has_stages and (not job.counts_reported or t.total is null) and t.percent is not null and (pulse.effort).done is not null then
    v_pace := pulse.effort;
    v_pending := 100 - v_pace.done;
    v_fraction := v_pace.done / 100;
    v_history.shape := null;
    v_history.costed_runs := 0;
  end if;

  f.eta_reason := case
    when job.finished_at is not null or v_pending = 0 then 'finished'
    when job.state in ('pending', 'retrying') then 'not_started'
    when job.state = 'paused' then 'paused'
    when f.liveness in ('stalled', 'lost') then 'stalled' end;
  if f.eta_reason is null then
    -- The wait for a rate limit is added as a whole, so it is no silence as well.
    v_pace_s := v_active_s;
    if pulse.running and job.rate_limited_until > pulse.active_at then
      v_pace_s := v_pace_s - greatest(extract(epoch from least(at, job.rate_limited_until) - pulse.active_at), 0);
    end if;
    v_estimate := milepost_private.pace_estimate_lanes(
      milepost_private.pace_estimate(v_pace, v_pace_s, v_pending, v_history, v_fraction), pulse.last_lane, v_pace_s);
    if v_estimate.remaining_s is null then
      f.eta_reason := case when f.rate_limited then 'rate_limited'
                           when v_pending is null then 'no_total' else 'no_progress' end;
    else
      f.eta_ms := least((v_estimate.remaining_s + v_wait_s) * 1000, 1e15);
      f.eta_low_ms := least((v_estimate.low_s + v_wait_s) * 1000, 1e15);
      f.eta_high_ms := least((v_estimate.high_s + v_wait_s) * 1000, 1e15);
      f.estimated_completion_at := at + least(v_estimate.remaining_s + v_wait_s, 1e11) * interval '1 second';
    end if;
  end if;

  v_trend := milepost_private.trend_of(job, pulse, kind, t);
  f.health := case
    when job.state = 'failed' or f.liveness in ('stalled', 'lost') then 'poor'
    when job.items_failed > 0.2 * t.settled or v_trend.slower >= 4 then 'poor'
    when f.liveness = 'late' or job.items_failed > 0.05 * t.settled or v_trend.slower is not null or v_trend.failed_share is not null then 'fair'
    when job.items_failed > 0 or job.attempt > 1 then 'good'
    else 'excellent' end;
  return f;
end;
$$;
comment on function milepost_private.figures(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) is
'Percent, rate, ETA with its range, liveness and health of a job at the given time. Reads nothing but its arguments.';
revoke execute on function milepost_private.figures(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.figures(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) to authenticated, service_role;
