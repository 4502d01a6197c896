-- pace_prior: what earlier runs of a kind say of how long this one still takes.
create or replace function milepost_private.pace_prior(
  history  milepost_private.kind_pace,  -- of at least one run
  active_s float8,                      -- the job's active clock now
  items    float8,                      -- items of the whole run; null while unknown
  fraction float8                       -- share of the job that is settled, 0 to 1; null while unknown
)
returns milepost_private.estimate
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_ln_total float8 := history.ln_duration;
  v_var      float8 := history.ln_duration_var;
  v_slope    float8;
  v_lived    float8;
  v_median   float8;
  v_width    float8;
  v_left     float8;
begin
  -- Where both are as steady, as after one run or runs of one size, the cost: it tells a larger run from a smaller one.
  if items > 0 and history.costed_runs > 0 and history.ln_cost_var < 1.01 * v_var then
    v_ln_total := history.ln_cost + ln(items);
    v_var := history.ln_cost_var;
  end if;
  -- A new run is one more draw than those the variance was taken of; and no kind is ever known to better than a tenth.
  v_var := greatest(v_var * (1 + 1.0::float8 / history.runs), 0.01);
  active_s := greatest(active_s, 0);

  if fraction > 1e-9 and history.shape is not null then
    v_left := 1 - milepost_private.pace_share(history.shape, fraction);
    v_median := exp(v_ln_total) * v_left;
    -- Runs of a kind stray from its shape, by some 4 % of the run: nothing at first, all that is left towards the end.
    v_width := exp(1.28 * sqrt(v_var + (0.04 / v_left) ^ 2));
    return row(v_median, v_median / v_width, v_median * v_width);
  end if;

  -- Durations taken as log-logistic: like the log-normal in the middle, closed in form, and with a tail in which the longer
  -- a job has run, the longer it is expected to go on. So a late job is never "over", and an early one is never in debt.
  v_slope := pi() / sqrt(3 * v_var);
  v_lived := least(greatest(active_s / exp(v_ln_total), 1e-9), 1e9) ^ v_slope;
  return row(
    greatest(exp(v_ln_total) * ((1 + v_lived) / 0.5 - 1) ^ (1 / v_slope) - active_s, 0.003),
    greatest(exp(v_ln_total) * ((1 + v_lived) / 0.9 - 1) ^ (1 / v_slope) - active_s, 0.001),
    greatest(exp(v_ln_total) * ((1 + v_lived) / 0.1 - 1) ^ (1 / v_slope) - active_s, 0.009)
  );
end;
$$;

comment on function milepost_private.pace_prior(milepost_private.kind_pace, float8, float8, float8) is
'Active seconds that remain and their 80 % range by a kind''s earlier runs alone.';

revoke execute on function milepost_private.pace_prior(milepost_private.kind_pace, float8, float8, float8)
  from public, anon, authenticated;
grant execute on function milepost_private.pace_prior(milepost_private.kind_pace, float8, float8, float8)
  to authenticated, service_role;
