-- trend_of: is this run slower, more erroneous or larger than its kind's runs were at the same progress? docs/health.md tells the rule.
do $$ begin
  if to_regtype('milepost_private.trend') is null then
    create type milepost_private.trend as (
      slower       float8,  -- how many times as long as usual it took to get this far; null where that is usual or unknown
      spent_s      float8,  -- active seconds it took
      usual_s      float8,  -- active seconds that are usual
      failed_share float8,  -- share of its settled items that failed; null where that is usual or unknown
      usual_failed float8,  -- share that is usual
      larger       float8,  -- how many times as many items as usual; null where that is usual or unknown
      usual_items  float8,
      runs         int      -- runs that this was learnt from
    );
  end if;
end $$;
comment on type milepost_private.trend is 'In what a run is out of the ordinary of its kind, with both figures; null where it is not, or nothing is known.';

create or replace function milepost_private.trend_of(
  job   milepost.jobs,
  pulse milepost_private.pulses,
  kind  milepost_private.kinds,
  tally milepost_private.tally
)
returns milepost_private.trend
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_trend     milepost_private.trend;
  v_by_stages boolean := job.has_stages and (not job.counts_reported or tally.total is null) and (pulse.effort).done is not null;
  v_reached   float8;
  v_begun     float8;
  v_expected  float8;
  v_usual     float8;
begin
  -- GUARD: no history to speak of, or no progress
  if coalesce((kind.pace).runs, 0) < 3 then
    return v_trend;
  end if;
  v_trend.runs := (kind.pace).runs;

  -- SLOWER: the time of its last advance, since silence after it is liveness' business, beside what was usual for the way there.
  if v_by_stages then
    v_reached := (pulse.effort).done / 100;
    v_trend.spent_s := case when job.finished_at is null then (pulse.effort).moved_s else pulse.active_s end;
    v_trend.usual_s := exp((kind.pace).ln_duration) * v_reached;
    v_usual := (kind.pace).ln_duration_var;
  elsif tally.total > 0 and (kind.pace).ln_cost is not null then
    v_reached := tally.settled / tally.total;
    v_trend.spent_s := case when job.finished_at is null then (pulse.pace).moved_s else pulse.active_s end;
    -- What was done before it was tracked took no time here; what a retry did twice took it twice.
    v_begun := greatest(v_reached - (pulse.pace).work / tally.total, 0);
    v_trend.usual_s := exp((kind.pace).ln_cost) * (greatest((pulse.pace).work - tally.settled, 0)
      + tally.total * (milepost_private.pace_share((kind.pace).shape, v_reached) - milepost_private.pace_share((kind.pace).shape, v_begun)));
    v_usual := (kind.pace).ln_cost_var;
  end if;
  if v_reached >= 0.05 and v_trend.usual_s > 0 and v_trend.spent_s > 0
    and ln(v_trend.spent_s / v_trend.usual_s) > greatest(ln(1.5::float8), 2 * sqrt(v_usual + 0.02 / v_reached)) then
    v_trend.slower := v_trend.spent_s / v_trend.usual_s;
  end if;

  if (kind.trend).runs >= 3 then
    -- MORE ERRORS than twice what is usual, and than chance would have three times in a thousand.
    v_expected := greatest((kind.trend).failed_share, 0.001) * tally.settled;
    if job.items_failed >= 3 and job.items_failed > 2 * v_expected + 3 * sqrt(v_expected) then
      v_trend.failed_share := job.items_failed / tally.settled;
      v_trend.usual_failed := (kind.trend).failed_share;
    end if;
    if tally.total > 0 and ln(tally.total) - (kind.trend).ln_items > greatest(ln(1.5::float8), 2 * sqrt((kind.trend).ln_items_var)) then
      v_trend.usual_items := exp((kind.trend).ln_items);
      v_trend.larger := tally.total / v_trend.usual_items;
    end if;
  end if;
  return v_trend;
end;
$$;
comment on function milepost_private.trend_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, milepost_private.tally) is
'In what a run is out of the ordinary of its kind at the same progress. Null where it is not, or the kind has fewer than three completed runs.';
revoke execute on function milepost_private.trend_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, milepost_private.tally) from public, anon, authenticated;
grant execute on function milepost_private.trend_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, milepost_private.tally) to authenticated, service_role;
