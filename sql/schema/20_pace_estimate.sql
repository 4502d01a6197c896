-- pace_estimate: how long a job still takes, from its own pace and from earlier runs of its kind.
create or replace function milepost_private.pace_estimate(
  pace      milepost_private.pace,       -- null = no checkpoint yet
  active_s  float8,                      -- the job's active clock now
  remaining float8,                      -- items pending; null while the total is unknown
  history   milepost_private.kind_pace,  -- null = no earlier run
  fraction  float8                       -- share of the job that is settled, 0 to 1; null while unknown
)
returns milepost_private.estimate
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_said      milepost_private.estimate;
  v_low       float8;  -- the range is kept as ln(remaining_s / low_s) and ln(high_s / remaining_s)
  v_high      float8;
  v_silence   float8;
  v_errors    float8;
  v_recent    float8;
  v_trust     float8;
  v_growth    float8;
  v_share     float8;
  v_so_far    float8;
  v_lately    float8;
  v_prior     milepost_private.estimate;
  v_prior_var float8;
  v_weight    float8;
  v_tenth     int;
begin
  -- Its own evidence.
  if remaining is not null and pace.work > 0 and pace.spent_s > 0 then
    -- Nothing pending and not yet over: half an item is the least that can remain.
    remaining := greatest(remaining, 0.5);
    v_silence := greatest(active_s - pace.moved_s, 0);
    v_errors := greatest(pace.error_weight, 1);

    v_recent := ln(greatest(pace.recent_s / pace.recent_work * pace.work / pace.spent_s, 1e-6));
    v_trust := 1 / (1 + 100 * ((pace.error_recent / v_errors + 0.004) / (pace.error_mean / v_errors + 0.004)) ^ 5);
    -- A total is expected to go on growing or shrinking only as far as it does so now and did so all along.
    v_growth := case sign(pace.growth) * sign(pace.recent_growth)
      when 1 then sign(pace.growth) * least(abs(pace.growth / pace.work), abs(pace.recent_growth / pace.recent_work))
      else 0
    end;
    v_said.remaining_s := remaining * pace.spent_s / pace.work * exp(v_trust * v_recent)
      / (1 - v_growth * case when v_growth > 0 then 0.3 else 1 end);

    v_low := 0.5 * remaining / (pace.work + remaining) + 0.25 * sqrt(pace.error_mean / v_errors)
      + 0.12 * abs(v_recent) + 0.38 / sqrt(pace.moves);
    v_high := 0.15 + 0.52 * abs(v_recent) + 0.86 / sqrt(pace.moves);

    -- Where runs of this kind spend their time unevenly, neither cost so far is the cost to come.
    if history.shape is not null and fraction > 1e-9 and fraction < 1 then
      v_share := milepost_private.pace_share(history.shape, fraction);
      v_so_far := v_share / fraction;
      v_lately := case
        when fraction > 0.1 then 10 * (v_share - milepost_private.pace_share(history.shape, fraction - 0.1))
        else v_so_far
      end;
      v_said.remaining_s := v_said.remaining_s * (1 - v_share) / (1 - fraction)
        / (least(greatest(v_so_far, 0.1), 10) ^ (1 - v_trust) * least(greatest(v_lately, 0.1), 10) ^ v_trust);
    end if;

    -- Counted down for the usual gap; beyond it a silence is expected to last on.
    v_said.remaining_s := greatest(
      v_said.remaining_s - least(v_silence, pace.gap_s) + 0.7 * greatest(v_silence - pace.gap_s, 0),
      0.3 * v_said.remaining_s,
      0.001
    );
    v_high := v_high + 1.5 * least(pace.gap_s / v_said.remaining_s, 2);
  end if;

  if history.runs > 0 then
    -- Items of the whole run, those included that were settled before it was tracked, or skipped.
    v_prior := milepost_private.pace_prior(history, active_s,
      case when fraction < 1 then remaining / (1 - fraction) else coalesce(pace.work, 0) + remaining end, fraction);
    -- 2.56 standard deviations lie between the tenth and the ninetieth percentile.
    v_prior_var := (ln(v_prior.high_s / v_prior.low_s) / 2.56) ^ 2;
    if v_said.remaining_s is null then
      v_said := v_prior;
      v_low := ln(v_said.remaining_s / v_said.low_s);
      v_high := ln(v_said.high_s / v_said.remaining_s);
    else
      v_weight := v_prior_var / (v_prior_var + ((v_low + v_high) / 2.56) ^ 2);
      v_said.remaining_s := exp(v_weight * ln(v_said.remaining_s) + (1 - v_weight) * ln(v_prior.remaining_s));
      v_low := v_low * sqrt(v_weight);
      v_high := v_high * sqrt(v_weight);
    end if;
  end if;

  -- Split-conformal: how wrong the kind's earlier predictions were at this tenth of progress.
  v_tenth := case when fraction is not null then 1 + floor(10 * least(greatest(fraction, 0), 0.99)) end;
  if history.residual_low[v_tenth] is not null then
    v_weight := least(history.runs, 20) / (least(history.runs, 20) + 10.0);
    v_low := v_low + v_weight * (greatest(-history.residual_low[v_tenth], 0) - v_low);
    v_high := v_high + v_weight * (greatest(history.residual_high[v_tenth], 0) - v_high);
  end if;

  v_said.low_s := v_said.remaining_s * exp(-v_low);
  v_said.high_s := v_said.remaining_s * exp(v_high);
  return v_said;
end;
$$;

comment on function milepost_private.pace_estimate(
  milepost_private.pace, float8, float8, milepost_private.kind_pace, float8
) is
'Active seconds that remain at active_s with their 80 % range; all null where neither the job nor its kind''s history tells.';

revoke execute on function milepost_private.pace_estimate(
  milepost_private.pace, float8, float8, milepost_private.kind_pace, float8
) from public, anon, authenticated;
grant execute on function milepost_private.pace_estimate(
  milepost_private.pace, float8, float8, milepost_private.kind_pace, float8
) to authenticated, service_role;
