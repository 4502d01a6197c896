-- pace_last_lane: which lane will finish last, after some of them have reported. Lanes that did not report are not read:
-- one that takes over as the last is found when it reports.
create or replace function milepost_private.pace_last_lane(
  last_lane milepost_private.last_lane,  -- null = no lane yet
  active_s  float8,                      -- the job's active clock
  workers   text[],                      -- for each lane that reported and has a total of its own: its name,
  worked_s  float8[],                    --   active seconds since it was first seen,
  done      float8[],                    --   items it settled by work,
  remaining float8[]                     --   and items pending
)
returns milepost_private.last_lane
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_ends_s float8;
begin
  for lane in 1 .. coalesce(cardinality(workers), 0) loop
    continue when worked_s[lane] <= 0;
    if done[lane] > 0 then
      last_lane.cost := coalesce(0.9 * last_lane.cost, 0)
        + case when last_lane.cost is null then 1 else 0.1 end * worked_s[lane] / done[lane];
    end if;
    -- A lane with few items yet is judged by what an item costs the others: that counts as two items of its own.
    v_ends_s := active_s + remaining[lane] * (worked_s[lane] + 2 * last_lane.cost) / (done[lane] + 2);
    if v_ends_s is not null and (last_lane.worker is null or last_lane.worker = workers[lane] or v_ends_s > last_lane.ends_s) then
      last_lane.worker := workers[lane];
      last_lane.ends_s := v_ends_s;
      last_lane.spread := 0.15 + 1 / sqrt(done[lane] + 2);
    end if;
  end loop;
  return last_lane;
end;
$$;

comment on function milepost_private.pace_last_lane(milepost_private.last_lane, float8, text[], float8[], float8[], float8[]) is
'The lane that will finish last, once these lanes have reported what they did and have left.';

revoke execute on function milepost_private.pace_last_lane(milepost_private.last_lane, float8, text[], float8[], float8[], float8[])
  from public, anon, authenticated;
grant execute on function milepost_private.pace_last_lane(milepost_private.last_lane, float8, text[], float8[], float8[], float8[])
  to service_role;
