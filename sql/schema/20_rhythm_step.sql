-- rhythm_step: what a job's rhythm is after one more contact.
-- A rise counts when it is at least 0.15 of a usual step; smaller ones add up, so that a crawl is silence and a
-- slow-down is not.
create or replace function milepost_private.rhythm_step(
  rhythm   milepost_private.rhythm,   -- null = the job's start
  active_s float8,                    -- the job's active clock; one that goes back is taken to stand still
  done     float8,                    -- settled items: completed + failed + canceled + skipped
  event    text                       -- checkpoint, retry, resume or stage
)
returns milepost_private.rhythm
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_gap  float8;
  v_step float8;
begin
  if event is null or event not in ('checkpoint', 'retry', 'resume', 'stage') then
    raise exception 'rhythm_step: event must be checkpoint, retry, resume or stage, found %', coalesce(event, 'null')
      using errcode = 'invalid_parameter_value', hint = 'Pass one of the four words.';
  end if;

  if rhythm is null then
    rhythm := row(null, null, 0, 0, 0, 0, 0, 0, 0, 0, null, null, null, null, true);
  end if;
  active_s := greatest(active_s, rhythm.seen_s, rhythm.risen_s);
  done := greatest(coalesce(done, rhythm.base), 0);

  -- A gap is taken as 1 ms to 1e9 s, since Postgres raises an error where float8 under- or overflows.
  if rhythm.seen_s is not null then
    v_gap := least(greatest(active_s - rhythm.seen_s, 0.001), 1e9);
    rhythm.contact_gap_s := greatest(rhythm.contact_gap_s - v_gap / 200, v_gap);
  end if;
  rhythm.seen_s := active_s;

  if done > rhythm.high then
    rhythm.falls_most := greatest(rhythm.falls_most, rhythm.falls + rhythm.retries);
    rhythm.falls := 0;
    rhythm.retries := 0;
    rhythm.high := done;
    rhythm.high_s := active_s;
  end if;

  v_step := done - rhythm.base;

  if event <> 'checkpoint' then
    if event = 'retry' then
      rhythm.retries := rhythm.retries + 1;
      rhythm.falls := 0;
    elsif event = 'stage' then
      -- The stage may count other units at another pace. The old pace stays in force until the first gap replaces it.
      rhythm.gaps := 0;
      rhythm.step_ln := null;
    end if;
    rhythm.risen_s := active_s;
    rhythm.base := done;
    rhythm.fresh := true;
    return rhythm;
  end if;

  -- GUARD: a contact without progress
  if v_step = 0 or abs(v_step) < 0.15 * exp(rhythm.step_ln) and rhythm.gaps >= 3 then
    return rhythm;
  end if;

  if v_step < 0 then
    rhythm.falls := rhythm.falls + 1;
    rhythm.risen_s := active_s;
    rhythm.base := done;
    rhythm.fresh := true;
    return rhythm;
  end if;

  v_gap := least(greatest(active_s - rhythm.risen_s, 0.001), 1e9);

  if rhythm.fresh then
    if active_s > rhythm.risen_s then
      rhythm.first_s := greatest(rhythm.first_s, v_gap);
    end if;
    rhythm.fresh := false;
  -- GUARD: rises in quick succession, such as entries that were held back and come at once, are one rise
  elsif active_s = rhythm.risen_s or rhythm.gaps >= 3 and v_gap < 0.1 * exp(rhythm.gap_ln) then
    return rhythm;
  else
    rhythm.gaps := rhythm.gaps + 1;
    -- The means are rounded, since one that decays towards ln 1 would underflow.
    if rhythm.gaps = 1 then
      rhythm.gap_ln := ln(v_gap);
      rhythm.longest_s := v_gap;
    else
      rhythm.gap_ln := round(1e6 * (
        rhythm.gap_ln + greatest(0.05, 0.7 / rhythm.gaps) * least(greatest(ln(v_gap) - rhythm.gap_ln, -1), 1)
      )) / 1e6;
      rhythm.longest_s := greatest(rhythm.longest_s - v_gap / 200, v_gap);
    end if;
    -- The first steps may hold work skipped at once: the smallest of them is the usual one.
    v_step := least(greatest(ln(v_step), -600), 600);
    rhythm.step_ln := case
      when rhythm.gaps <= 3 then least(rhythm.step_ln, v_step)
      else round(1e6 * (rhythm.step_ln + 0.1 * least(greatest(v_step - rhythm.step_ln, -1), 1))) / 1e6
    end;
  end if;

  rhythm.risen_s := active_s;
  rhythm.base := done;
  return rhythm;
end;
$$;

comment on function milepost_private.rhythm_step(milepost_private.rhythm, float8, float8, text) is
'The rhythm after one more contact at active_s with done settled items; event is checkpoint, retry, resume or stage.';

revoke execute on function milepost_private.rhythm_step(milepost_private.rhythm, float8, float8, text)
  from public, anon, authenticated;
grant execute on function milepost_private.rhythm_step(milepost_private.rhythm, float8, float8, text)
  to service_role;
