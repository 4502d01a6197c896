-- rhythm_silence_s: for how many active seconds a job has made no progress.
-- Once the count has fallen so often without a new high, climbing is no progress: silence is then counted from that
-- high.
create or replace function milepost_private.rhythm_silence_s(
  rhythm   milepost_private.rhythm,        -- null = never heard from
  active_s float8,
  history  milepost_private.kind_rhythm    -- null = no earlier run
)
returns float8
language plpgsql
immutable
set search_path = ''
as $$
begin
  return greatest(
    active_s - case
      when rhythm.falls + rhythm.retries >= greatest(4, 1 + history.falls) then rhythm.high_s
      else coalesce(rhythm.risen_s, 0)
    end,
    0
  );
end;
$$;

comment on function milepost_private.rhythm_silence_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm) is
'Active seconds since the job''s last counted rise, or since its last new high where it only falls and climbs.';

revoke execute on function milepost_private.rhythm_silence_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm)
  from public, anon, authenticated;
grant execute on function milepost_private.rhythm_silence_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm)
  to authenticated, service_role;
