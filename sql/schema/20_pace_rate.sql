-- pace_rate: how many items a second a job settles now.
-- Silence beyond the usual gap is time without work, so the rate of a job that hangs sinks towards 0.
create or replace function milepost_private.pace_rate(pace milepost_private.pace, active_s float8)
returns float8
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case when (pace).work > 0 then
    (pace).recent_work / greatest((pace).recent_s + greatest(active_s - (pace).moved_s - (pace).gap_s, 0), 0.001)
  end;
end;
$$;

comment on function milepost_private.pace_rate(milepost_private.pace, float8) is
'Items a second at active_s, over about the last sixteenth of the run; null before any progress.';

revoke execute on function milepost_private.pace_rate(milepost_private.pace, float8) from public, anon, authenticated;
grant execute on function milepost_private.pace_rate(milepost_private.pace, float8) to authenticated, service_role;
