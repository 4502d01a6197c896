-- kind_trend: how large runs of a kind usually are and how many of their items fail; beside kind_pace, which knows their time.
do $$ begin
  if to_regtype('milepost_private.kind_trend') is null then
    create type milepost_private.kind_trend as (
      runs         int,     -- completed runs learnt from
      ln_items     float8,  -- mean of ln(settled items), and its variance
      ln_items_var float8,
      failed_share float8   -- mean share of items that failed
    );
  end if;
end $$;
comment on type milepost_private.kind_trend is
'How large completed runs of a kind were and how many of their items failed, in fixed size; advanced by kind_trend_learn.';

create or replace function milepost_private.kind_trend_learn(
  history milepost_private.kind_trend,  -- null = the kind's first run
  items   float8,                       -- settled items of the run; null or 0 where it counted none
  failed  float8
)
returns milepost_private.kind_trend
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_gain  float8;
  v_apart float8;
begin
  -- GUARD: a run that counted nothing teaches nothing
  if items is null or items <= 0 then
    return history;
  end if;
  if history is null then
    history := row(0, ln(items), 0.3, failed / items);
  end if;
  -- As kind_pace_learn: twenty runs are its memory, and a first guess of the variance counts as two of them.
  history.runs := history.runs + 1;
  v_gain := greatest(1.0::float8 / history.runs, 0.05);
  v_apart := ln(items) - history.ln_items;
  history.ln_items := history.ln_items + v_gain * v_apart;
  if history.runs > 1 then
    history.ln_items_var := history.ln_items_var
      + greatest(1.0::float8 / (history.runs + 1), 0.05) * (v_apart ^ 2 - history.ln_items_var);
  end if;
  history.failed_share := history.failed_share + v_gain * (failed / items - history.failed_share);
  return history;
end;
$$;
comment on function milepost_private.kind_trend_learn(milepost_private.kind_trend, float8, float8) is
'What a kind''s history of sizes and failures is after one more completed run.';
revoke execute on function milepost_private.kind_trend_learn(milepost_private.kind_trend, float8, float8) from public, anon, authenticated;
grant execute on function milepost_private.kind_trend_learn(milepost_private.kind_trend, float8, float8) to authenticated, service_role;
