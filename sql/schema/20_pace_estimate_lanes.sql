-- pace_estimate_lanes: a job's estimate, held against lanes that have work of their own: the last one to finish decides.
create or replace function milepost_private.pace_estimate_lanes(
  estimate  milepost_private.estimate,  -- of the job as a whole
  worked_s  float8[],                   -- for each lane with a total of its own: active seconds since it was first seen,
  done      float8[],                   --   items it settled by work,
  remaining float8[]                    --   and items pending
)
returns milepost_private.estimate
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_last_s float8;
  v_spread float8;
begin
  -- A lane with few items yet is judged by what an item costs the others: that counts as two items of its own.
  select l.remaining * (l.worked_s + 2 * o.cost) / (l.done + 2), 0.15 + 1 / sqrt(l.done + 2)
    into v_last_s, v_spread
    from unnest(worked_s, done, remaining) as l (worked_s, done, remaining),
         (select sum(c.worked_s) / sum(c.done) as cost
            from unnest(worked_s, done) as c (worked_s, done)
          having sum(c.done) > 0) as o
   order by 1 desc nulls last
   limit 1;

  if v_last_s > estimate.remaining_s then
    estimate.remaining_s := v_last_s;
    estimate.low_s := least(greatest(estimate.low_s, v_last_s * exp(-v_spread)), v_last_s);
    estimate.high_s := v_last_s * exp(v_spread);
  end if;
  return estimate;
end;
$$;

comment on function milepost_private.pace_estimate_lanes(milepost_private.estimate, float8[], float8[], float8[]) is
'The estimate of a job whose lanes have shares of their own: not before its slowest lane is done.';

revoke execute on function milepost_private.pace_estimate_lanes(milepost_private.estimate, float8[], float8[], float8[])
  from public, anon, authenticated;
grant execute on function milepost_private.pace_estimate_lanes(milepost_private.estimate, float8[], float8[], float8[])
  to authenticated, service_role;
