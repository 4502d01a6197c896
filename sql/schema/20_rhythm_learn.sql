-- kind_rhythm_learn: what a kind's history is after one more completed run.
-- Only for runs that completed: the silence that ended in a reset or a cancel is not how long a gap of this kind is.
create or replace function milepost_private.kind_rhythm_learn(
  history milepost_private.kind_rhythm,   -- null = the first run
  rhythm  milepost_private.rhythm         -- as the run's last checkpoint left it
)
returns milepost_private.kind_rhythm
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_first_s float8;
begin
  -- GUARD: the run was never heard from
  if rhythm is null then
    return history;
  end if;

  history.runs := coalesce(history.runs, 0) + 1;

  if rhythm.gaps >= 3 then
    history.gap_ln := round(1e6 * coalesce(
      history.gap_ln + greatest(0.05, 1.0 / history.runs) * (rhythm.gap_ln - history.gap_ln),
      rhythm.gap_ln
    )) / 1e6;
    -- Completing is progress too: the gap before it may be the longest.
    history.spread_ln := greatest(
      history.spread_ln - 0.1,
      ln(greatest(rhythm.longest_s, least(rhythm.seen_s - rhythm.risen_s, 1e9))) - rhythm.gap_ln,
      0
    );
  end if;

  -- A run that never counted anything teaches how long a whole run is silent.
  v_first_s := case when rhythm.high = 0 then least(greatest(rhythm.seen_s, 0.001), 1e9) else rhythm.first_s end;
  if v_first_s is not null then
    history.first_s := greatest(0.9 * history.first_s, v_first_s);
  end if;

  history.falls := greatest(history.falls - 1, rhythm.falls_most);
  return history;
end;
$$;

comment on function milepost_private.kind_rhythm_learn(milepost_private.kind_rhythm, milepost_private.rhythm) is
'The history of a kind after one more completed run of this rhythm.';

revoke execute on function milepost_private.kind_rhythm_learn(milepost_private.kind_rhythm, milepost_private.rhythm)
  from public, anon, authenticated;
grant execute on function milepost_private.kind_rhythm_learn(milepost_private.kind_rhythm, milepost_private.rhythm)
  to service_role;
