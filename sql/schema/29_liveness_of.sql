-- liveness_of: is the job on time, late, stalled or lost? Only a job that is at work can be anything but on time.
create or replace function milepost_private.liveness_of(
  job   milepost.jobs,
  pulse milepost_private.pulses,
  kind  milepost_private.kinds,
  at    timestamptz
)
returns milepost_private.liveness_verdict
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_on_time  milepost_private.liveness_verdict;
  v_verdict  milepost_private.liveness_verdict;
  v_active_s double precision := milepost_private.active_clock(pulse.active_s, pulse.active_at, pulse.running, at);
  v_free_s   double precision;
begin
  -- GUARD: not at work, or waiting for a rate limit to end
  if job.state not in ('running', 'completing', 'pausing', 'canceling') or job.rate_limited_until > at then
    v_on_time.liveness := 'on_time';
    return v_on_time;
  end if;
  -- Silence during a rate limit was no fault of the worker's: it counts from the limit's end.
  if job.rate_limited_until is not null and not pulse.rhythm is null then
    v_free_s := v_active_s - extract(epoch from at - job.rate_limited_until);
    pulse.rhythm.risen_s := greatest((pulse.rhythm).risen_s, v_free_s);
    pulse.rhythm.high_s := greatest((pulse.rhythm).high_s, v_free_s);
  end if;
  v_verdict := milepost_private.rhythm_liveness(
    pulse.rhythm,
    v_active_s,
    extract(epoch from at - greatest(
      coalesce(job.last_checkpoint_at, job.attempt_started_at, job.created_at), job.rate_limited_until))::double precision,
    job.stall_after_ms / 1000.0,
    kind.rhythm);
  -- The deadline is a clock of its own: what passes it is late, however lively, and never reset for it.
  if v_verdict.liveness = 'on_time' and v_active_s * 1000 > job.processing_deadline_ms then
    v_verdict.liveness := 'late';
    v_verdict.reason := 'past_deadline';
  end if;
  return v_verdict;
end;
$$;
comment on function milepost_private.liveness_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) is
'The job''s liveness at the given time, with the threshold used and the reason.';
revoke execute on function milepost_private.liveness_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.liveness_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) to authenticated, service_role;
