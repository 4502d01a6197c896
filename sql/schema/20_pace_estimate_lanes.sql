-- pace_estimate_lanes: a job's estimate, held against the lane that will finish last: before that the job cannot end.
create or replace function milepost_private.pace_estimate_lanes(
  estimate  milepost_private.estimate,   -- of the job as a whole
  last_lane milepost_private.last_lane,  -- null where lanes have no shares of their own
  active_s  float8                       -- the job's active clock now
)
returns milepost_private.estimate
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_last_s float8 := last_lane.ends_s - active_s;
begin
  if v_last_s > estimate.remaining_s then
    estimate.remaining_s := v_last_s;
    estimate.low_s := least(greatest(estimate.low_s, v_last_s * exp(-last_lane.spread)), v_last_s);
    estimate.high_s := v_last_s * exp(last_lane.spread);
  end if;
  return estimate;
end;
$$;

comment on function milepost_private.pace_estimate_lanes(milepost_private.estimate, milepost_private.last_lane, float8) is
'The estimate of a job whose lanes have shares of their own: not before its last lane is done.';

revoke execute on function milepost_private.pace_estimate_lanes(milepost_private.estimate, milepost_private.last_lane, float8)
  from public, anon, authenticated;
grant execute on function milepost_private.pace_estimate_lanes(milepost_private.estimate, milepost_private.last_lane, float8)
  to authenticated, service_role;
