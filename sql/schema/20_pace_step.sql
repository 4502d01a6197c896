-- pace_step: what a job's pace is after one more checkpoint.
create or replace function milepost_private.pace_step(
  pace      milepost_private.pace,  -- null = the job's start
  active_s  float8,                 -- the job's active clock; one that goes back is taken to stand still
  done      float8,                 -- settled by work: completed + failed + canceled; a fall is a retry
  remaining float8                  -- items pending; null while the total is unknown
)
returns milepost_private.pace
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_moved  float8;
  v_took   float8;
  v_keep   float8;
  v_cost   float8;
  v_growth float8;
begin
  if pace is null then
    -- What is done at second 0 was done before; what is done later was done since.
    pace := row(case when active_s > 0 then 0 else done end, done + remaining, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  end if;

  done := coalesce(done, pace.done);
  v_moved := done - pace.done;
  pace.done := done;

  -- GUARD: no advance. After a fall the same items are work again: their cost counts, their number does not go back.
  if v_moved <= 0 then
    pace.total := coalesce(pace.total, done + remaining);
    return pace;
  end if;

  -- Less than a microsecond is no time.
  active_s := case when active_s > pace.moved_s + 1e-6 then active_s else pace.moved_s end;
  v_took := active_s - pace.moved_s;
  v_cost := v_took / v_moved;

  -- A first advance that has nothing to do with the second was a jump over earlier work, or the start-up: it is no sample.
  if pace.moves = 1 and v_took > 0 and pace.spent_s not between pace.work * v_cost / 20 and pace.work * v_cost * 20 then
    pace := row(done, pace.total, pace.moved_s, 0, 0, 0, 0, 0, 0, 0, 0, pace.moved_s, 0, 0, 0, 0, 0, 0);
  end if;

  v_keep := case when pace.moved_s > 0.1 * active_s then (pace.moved_s / active_s) ^ 16 else 0 end;
  pace.moves := pace.moves + 1;
  pace.gap_s := pace.gap_s + greatest(0.05, 1.0::float8 / pace.moves) * (v_took - pace.gap_s);
  pace.moved_s := active_s;
  pace.work := pace.work + v_moved;
  pace.spent_s := pace.spent_s + v_took;
  pace.recent_work := pace.recent_work * v_keep + v_moved;
  pace.recent_s := pace.recent_s * v_keep + v_took;
  -- A total corrected all at once is no growth that goes on: it counts for no more than the items done meanwhile.
  v_growth := coalesce(done + remaining - pace.total, 0);
  v_growth := greatest(least(v_growth, v_moved), -2 * v_moved);
  pace.growth := pace.growth + v_growth;
  pace.recent_growth := pace.recent_growth * v_keep + v_growth;
  pace.total := coalesce(done + remaining, pace.total);

  -- Self-check, each time the work has grown by 3 %: what would either cost have predicted for this stretch?
  if pace.work >= 1.03 * pace.check_work and active_s > pace.check_s then
    if pace.check_mean > 0 and pace.check_recent > 0 then
      v_cost := (active_s - pace.check_s) / (pace.work - pace.check_work);
      pace.error_mean := 0.87 * pace.error_mean + least(ln(v_cost / pace.check_mean) ^ 2, 3);
      pace.error_recent := 0.87 * pace.error_recent + least(ln(v_cost / pace.check_recent) ^ 2, 3);
      pace.error_weight := 0.87 * pace.error_weight + 1;
    end if;
    pace.check_s := active_s;
    pace.check_work := pace.work;
    pace.check_mean := pace.spent_s / pace.work;
    pace.check_recent := pace.recent_s / pace.recent_work;
  end if;
  return pace;
end;
$$;

comment on function milepost_private.pace_step(milepost_private.pace, float8, float8, float8) is
'The pace after one more checkpoint at active_s, with done items settled by work and remaining ones pending (null = unknown).';

revoke execute on function milepost_private.pace_step(milepost_private.pace, float8, float8, float8)
  from public, anon, authenticated;
grant execute on function milepost_private.pace_step(milepost_private.pace, float8, float8, float8)
  to service_role;
