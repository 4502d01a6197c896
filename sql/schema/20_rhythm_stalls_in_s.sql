-- rhythm_stalls_in_s: when a running job will be stalled if it stays silent.
-- Stored as a time and indexed, it makes a sweep one range scan.
create or replace function milepost_private.rhythm_stalls_in_s(
  rhythm        milepost_private.rhythm,        -- null = never heard from
  active_s      float8,
  stall_after_s float8,                         -- declared by the author; null = learn it
  history       milepost_private.kind_rhythm    -- null = no earlier run
)
returns float8
language plpgsql
immutable
set search_path = ''
as $$
begin
  return greatest(
    milepost_private.rhythm_threshold_s(rhythm, stall_after_s, history)
      - milepost_private.rhythm_silence_s(rhythm, active_s, history),
    0
  );
end;
$$;

comment on function milepost_private.rhythm_stalls_in_s(
  milepost_private.rhythm, float8, float8, milepost_private.kind_rhythm
) is
'Active seconds from active_s until the job is stalled if it stays silent; 0 where it is.';

revoke execute on function milepost_private.rhythm_stalls_in_s(
  milepost_private.rhythm, float8, float8, milepost_private.kind_rhythm
) from public, anon, authenticated;
grant execute on function milepost_private.rhythm_stalls_in_s(
  milepost_private.rhythm, float8, float8, milepost_private.kind_rhythm
) to authenticated, service_role;
