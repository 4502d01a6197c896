-- The estimator's types: what a job remembers of its own pace, what a kind remembers of its runs, and an answer.
-- The model is told in docs/eta.md. All state is of fixed size; clocks are active seconds, which stand still while a job is paused.
do $$
begin
  if to_regtype('milepost_private.pace') is null then
    create type milepost_private.pace as (
      done           float8,  -- settled items at the last checkpoint
      total          float8,  -- settled and remaining items at the last advance; null while unknown
      moved_s        float8,  -- active clock at the last advance
      moves          int,     -- advances
      gap_s          float8,  -- running mean of the time between advances
      work           float8,  -- items settled, those of a repeated attempt included
      spent_s        float8,  -- seconds they took
      growth         float8,  -- by how much the total grew (fell, where negative) meanwhile
      recent_work    float8,  -- the same three for about the last sixteenth of the run
      recent_s       float8,
      recent_growth  float8,
      check_s        float8,  -- the last self-check: active clock, work, and both costs as they were
      check_work     float8,
      check_mean     float8,
      check_recent   float8,
      error_mean     float8,  -- fading sum of ln(cost found / mean cost)^2 over the self-checks
      error_recent   float8,  -- the same for the recent cost
      error_weight   float8   -- fading count of self-checks
    );
  end if;

  if to_regtype('milepost_private.kind_pace') is null then
    create type milepost_private.kind_pace as (
      runs             int,       -- completed runs learnt from
      ln_duration      float8,    -- mean of ln(active seconds), and its variance
      ln_duration_var  float8,
      costed_runs      int,       -- those of them that counted items
      ln_cost          float8,    -- mean of ln(active seconds per item), and its variance
      ln_cost_var      float8,
      shape            float8[],  -- share of the run's time at which 10 %, 20 % .. 90 % were reached
      residuals        float8[],  -- ln(true / predicted) of the last 20 runs, ten a run: predicted at 0 %, 10 % .. 90 %
      residual_low     float8[],  -- their tenth and ninetieth percentiles for each tenth of progress
      residual_high    float8[],
      stages           jsonb      -- share of a run's time that each stage took, by its name
    );
  end if;

  if to_regtype('milepost_private.last_lane') is null then
    create type milepost_private.last_lane as (
      worker  text,    -- the lane that is expected to finish last
      ends_s  float8,  -- the active clock at which it will
      spread  float8,  -- half width of the range of what it has left, as a logarithm
      cost    float8   -- seconds per item of all lanes, each weighing a tenth as it reports
    );
  end if;

  if to_regtype('milepost_private.estimate') is null then
    create type milepost_private.estimate as (
      remaining_s  float8,
      low_s        float8,  -- low_s to high_s is the central 80 % interval
      high_s       float8
    );
  end if;
end;
$$;

comment on type milepost_private.pace is
'How fast a job is, in fixed size; advanced by pace_step, read by pace_estimate and pace_rate.';
comment on type milepost_private.kind_pace is
'What completed runs of a kind taught about duration, cost, shape and errors of prediction, in fixed size; advanced by kind_pace_learn.';
comment on type milepost_private.last_lane is
'Of a job whose lanes have shares of their own: the one that will finish last; advanced by pace_last_lane.';
comment on type milepost_private.estimate is
'Active seconds that remain and the range that holds them in 80 % of cases; all null where that cannot be known.';
