-- kind_pace_learn: what a kind's history is after one more completed run. Later runs weigh more: twenty runs are its memory.
create or replace function milepost_private.kind_pace_learn(
  history     milepost_private.kind_pace,  -- null = the kind's first run
  active_s    float8,                      -- the run's active clock at its end
  work        float8,                      -- items it settled by work; null or 0 where it counted none
  reached_s   float8[],                    -- active clock when 0 %, 10 % .. 90 % were first reached: ten values; null where unknown
  predicted_s float8[],                    -- remaining_s as it was predicted then: ten values; null where there was none
  stages_s    jsonb default null           -- seconds that each of its stages took, by name; null where that is not known
)
returns milepost_private.kind_pace
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_gain  float8;
  v_apart float8;
  v_share float8;
  v_shares float8[];
  v_known int := 0;
  v_begun float8 := 0;
  v_rank  float8;
  v_low   float8[];
  v_high  float8[];
begin
  -- GUARD: a run without duration teaches nothing
  if active_s is null or active_s <= 0 then
    return history;
  end if;
  if history is null then
    history := row(0, ln(active_s), 0.3, 0, null, 0.3, null, null, null, null, null);
  end if;

  -- A first guess of the variances (0.3: a factor of 1.7 either way) counts as two runs.
  history.runs := history.runs + 1;
  v_gain := greatest(1.0::float8 / history.runs, 0.05);
  v_apart := ln(active_s) - history.ln_duration;
  history.ln_duration := history.ln_duration + v_gain * v_apart;
  if history.runs > 1 then
    history.ln_duration_var := history.ln_duration_var
      + greatest(1.0::float8 / (history.runs + 1), 0.05) * (v_apart ^ 2 - history.ln_duration_var);
  end if;

  if work > 0 then
    history.costed_runs := history.costed_runs + 1;
    v_apart := ln(active_s / work) - coalesce(history.ln_cost, ln(active_s / work));
    history.ln_cost := coalesce(history.ln_cost + greatest(1.0::float8 / history.costed_runs, 0.05) * v_apart, ln(active_s / work));
    if history.costed_runs > 1 then
      history.ln_cost_var := history.ln_cost_var
        + greatest(1.0::float8 / (history.costed_runs + 1), 0.05) * (v_apart ^ 2 - history.ln_cost_var);
    end if;
  end if;

  if array_remove(reached_s, null) <> '{}' then
    -- Before the first run every kind is taken to be even, and that counts as one run.
    history.shape := coalesce(history.shape, array[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
    v_gain := greatest(1.0::float8 / (history.runs + 1), 0.05);
    -- What was there at second 0 took time of its own before: taken to be even, it leaves the shape to the rest. How much it
    -- was, the first tenth that took time tells.
    for tenth in 1 .. 9 loop
      if reached_s[tenth + 1] <= 0 then
        v_begun := tenth / 10.0 + 0.05;
        v_known := tenth;
      elsif reached_s[tenth + 1] < active_s and v_known > 0 then
        v_share := reached_s[tenth + 1] / active_s;
        v_begun := least(greatest((tenth / 10.0 - v_share) / (1 - v_share), v_known / 10.0), v_known / 10.0 + 0.099);
        exit;
      end if;
    end loop;
    v_known := 0;
    v_shares[0] := 0;
    for tenth in 1 .. 10 loop
      v_share := case when tenth <= 10 * v_begun then tenth / 10.0 when tenth = 10 then 1
                      else v_begun + (1 - v_begun) * reached_s[tenth + 1] / active_s end;
      if v_share is not null then
        -- Tenths that no checkpoint showed were passed evenly on the way to the next one shown, or to the end.
        for passed in v_known + 1 .. tenth loop
          v_shares[passed] := v_shares[v_known] + (v_share - v_shares[v_known]) * (passed - v_known) / (tenth - v_known);
        end loop;
        v_known := tenth;
      end if;
    end loop;
    for tenth in 1 .. 9 loop
      history.shape[tenth] := history.shape[tenth]
        + v_gain * (least(greatest(v_shares[tenth], 0.001), 0.999) - history.shape[tenth]);
    end loop;
  end if;

  if reached_s is not null and predicted_s is not null then
    for tenth in 1 .. 10 loop
      history.residuals[10 * ((history.runs - 1) % 20) + tenth] := case
        when predicted_s[tenth] > 0 and reached_s[tenth] < active_s then ln((active_s - reached_s[tenth]) / predicted_s[tenth])
      end;
    end loop;
    -- A tenth and its neighbours count together: n residuals. The next one falls below the k-th lowest of them in k of
    -- n + 1 cases, so that of few the tenth percentile is taken to be the lowest.
    v_rank := 3.0::float8 * least(history.runs, 20);
    v_rank := greatest((0.1 * (v_rank + 1) - 1) / (v_rank - 1), 0);
    select array_agg(q.low order by q.tenth), array_agg(q.high order by q.tenth)
      into v_low, v_high
      from (
        select t.tenth,
               percentile_cont(v_rank) within group (order by r.residual) as low,
               percentile_cont(1 - v_rank) within group (order by r.residual) as high
          from generate_series(1, 10) as t (tenth)
          left join unnest(history.residuals) with ordinality as r (residual, place)
            on (r.place - 1) % 10 + 1 between t.tenth - 1 and t.tenth + 1
         group by t.tenth
      ) as q;
    history.residual_low := v_low;
    history.residual_high := v_high;
  end if;

  if stages_s is not null then
    v_gain := case when history.stages is null then 1 else greatest(1.0::float8 / history.runs, 0.05) end;
    -- A stage that this run did not have fades away, so that there are never more than a thousand.
    select jsonb_object_agg(s.name, s.share) into history.stages
      from (
        select coalesce(o.key, n.key) as name,
               coalesce(o.value::float8, 0) * (1 - v_gain)
                 + v_gain * coalesce(n.value::float8 / sum(n.value::float8) over (), 0) as share
          from jsonb_each_text(coalesce(history.stages, '{}')) as o
          full join jsonb_each_text(stages_s) as n on n.key = o.key
      ) as s
     where s.share > 0.001;
  end if;
  return history;
end;
$$;

comment on function milepost_private.kind_pace_learn(milepost_private.kind_pace, float8, float8, float8[], float8[], jsonb) is
'A kind''s history after one more completed run; reached_s and predicted_s hold ten values, for 0 %, 10 % .. 90 %; stages_s seconds by stage.';

revoke execute on function milepost_private.kind_pace_learn(milepost_private.kind_pace, float8, float8, float8[], float8[], jsonb)
  from public, anon, authenticated;
grant execute on function milepost_private.kind_pace_learn(milepost_private.kind_pace, float8, float8, float8[], float8[], jsonb)
  to service_role;
