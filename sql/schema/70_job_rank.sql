-- job_rank: where an active job belongs in a list that is sorted otherwise than by age.
create or replace function milepost_private.job_rank(
  job   milepost.jobs,
  pulse milepost_private.pulses,
  kind  milepost_private.kinds,
  sort  text,
  at    timestamptz
)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
declare
  f milepost_private.figures;
begin
  -- GUARD: nobody works on it, so it has no finish time
  if sort = 'finishing' and job.state in ('pending', 'retrying', 'paused') then
    return 'Infinity';
  end if;
  f := milepost_private.figures(job, pulse, kind, at);
  if sort = 'finishing' then
    -- A job that has no finish time comes after all that have one.
    return coalesce(f.eta_ms::double precision, 'Infinity');
  end if;
  return case
    when f.liveness in ('lost', 'stalled') then 0
    when f.liveness = 'late' then 1
    when f.rate_limited or f.health in ('fair', 'poor') then 2
    when job.state = 'retrying' then 3
    when job.state in ('paused', 'pausing', 'canceling') then 4
    else 5 end;
end;
$$;
comment on function milepost_private.job_rank(milepost.jobs, milepost_private.pulses, milepost_private.kinds, text, timestamptz) is
'The place of an active job, smaller first: for sort finishing its remaining ms, for attention 0 (lost or stalled), 1 (late), 2 (rate limited or failing), 3 (retrying), 4 (held by somebody), 5 (as it should be).';
revoke execute on function milepost_private.job_rank(milepost.jobs, milepost_private.pulses, milepost_private.kinds, text, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.job_rank(milepost.jobs, milepost_private.pulses, milepost_private.kinds, text, timestamptz) to authenticated, service_role;
