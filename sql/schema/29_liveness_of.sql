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
  v_on_time milepost_private.liveness_verdict;
begin
  -- GUARD: not at work, or waiting for a rate limit to end
  if job.state not in ('running', 'completing', 'pausing', 'canceling') or job.rate_limited_until > at then
    v_on_time.liveness := 'on_time';
    return v_on_time;
  end if;
  return milepost_private.rhythm_liveness(
    pulse.rhythm,
    milepost_private.active_clock(pulse.active_s, pulse.active_at, pulse.running, at),
    extract(epoch from at - coalesce(job.last_checkpoint_at, job.attempt_started_at, job.created_at))::double precision,
    job.stall_after_ms / 1000.0,
    kind.rhythm);
end;
$$;
comment on function milepost_private.liveness_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) is
'The job''s liveness at the given time, with the threshold used and the reason.';
revoke execute on function milepost_private.liveness_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.liveness_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) to authenticated, service_role;
