-- rhythm_threshold_s: the silence in active seconds after which a job is stalled.
create or replace function milepost_private.rhythm_threshold_s(
  rhythm        milepost_private.rhythm,        -- null = never heard from
  stall_after_s float8,                         -- declared by the author; null = learn it
  history       milepost_private.kind_rhythm    -- null = no earlier run
)
returns float8
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_gaps      int := coalesce(rhythm.gaps, 0);
  v_gap_ln    float8;
  v_typical   float8;
  v_longest   float8;
  v_threshold float8;
  v_first     float8;
begin
  -- GUARD: the author knows best
  if stall_after_s is not null then
    return stall_after_s;
  end if;

  -- An earlier run counts as four gaps. It only ever lengthens: this run may be of a slower input or stage.
  v_gap_ln := greatest(
    rhythm.gap_ln,
    (v_gaps * coalesce(rhythm.gap_ln, 0) + 4 * history.gap_ln) / (v_gaps + 4)
  );
  v_typical := exp(v_gap_ln);
  v_longest := greatest(rhythm.longest_s, v_typical * exp(history.spread_ln), v_typical);
  v_threshold := greatest(
    10 * v_typical * power(v_longest / v_typical, 0.7) * (1 + 1.0 / greatest(v_gaps, 1)),
    2 * v_longest,
    60
  );

  -- A first gap, and a rhythm of fewer than three gaps, is allowed what starting takes.
  if v_gaps < 3 or rhythm.fresh then
    v_first := greatest(rhythm.first_s, history.first_s);
    v_threshold := greatest(
      v_threshold,
      case
        when v_first is null then 900
        when history.first_s is null then greatest(3 * v_first, 300)
        else greatest(3 * v_first, 60)
      end
    );
  end if;

  return v_threshold;
end;
$$;

comment on function milepost_private.rhythm_threshold_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm) is
'Active seconds without progress after which a job of this rhythm is stalled: declared, learnt, or from earlier runs of its kind.';

revoke execute on function milepost_private.rhythm_threshold_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm)
  from public, anon, authenticated;
grant execute on function milepost_private.rhythm_threshold_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm)
  to authenticated, service_role;
