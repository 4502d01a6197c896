-- rhythm_liveness: whether a running job is on time, late, stalled or lost, and why.
-- Asked of running jobs only: one that is paused, waiting or finished is on time whatever its rhythm says.
create or replace function milepost_private.rhythm_liveness(
  rhythm        milepost_private.rhythm,        -- null = never heard from
  active_s      float8,
  contact_age_s float8,                         -- wall clock seconds since the last contact; null = there was none
  stall_after_s float8,                         -- declared by the author; null = learn it
  history       milepost_private.kind_rhythm    -- null = no earlier run
)
returns milepost_private.liveness_verdict
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_verdict   milepost_private.liveness_verdict;
  v_contact_s float8;
  v_unheard   boolean;
begin
  v_verdict.threshold_s := milepost_private.rhythm_threshold_s(rhythm, stall_after_s, history);
  v_verdict.silence_s := milepost_private.rhythm_silence_s(rhythm, active_s, history);

  -- Neither clock counts a pause, so that a job is not missed for the hours it was told to wait.
  v_contact_s := least(contact_age_s, active_s - rhythm.seen_s);
  v_unheard := coalesce(v_contact_s > greatest(5 * rhythm.contact_gap_s, 60), true);

  v_verdict.liveness := case
    when v_verdict.silence_s > v_verdict.threshold_s then
      -- Nothing heard since the last progress is no contact either, however short the silence.
      case when v_unheard or v_contact_s > v_verdict.silence_s - 1 then 'lost' else 'stalled' end
    when v_verdict.silence_s > 0.5 * v_verdict.threshold_s or v_unheard and rhythm.gaps >= 3 then 'late'
    else 'on_time'
  end;

  v_verdict.reason := case
    when v_verdict.liveness = 'on_time' then null
    when coalesce(rhythm.high, 0) = 0 then 'never_started'
    when v_verdict.liveness = 'lost' or v_verdict.silence_s <= 0.5 * v_verdict.threshold_s then 'no_contact'
    when v_verdict.silence_s > active_s - rhythm.risen_s then 'no_net_progress'
    else 'no_progress'
  end;

  return v_verdict;
end;
$$;

comment on function milepost_private.rhythm_liveness(
  milepost_private.rhythm, float8, float8, float8, milepost_private.kind_rhythm
) is
'Liveness of a running job at active_s: on_time, late, stalled or lost, with silence, threshold and reason.';

revoke execute on function milepost_private.rhythm_liveness(
  milepost_private.rhythm, float8, float8, float8, milepost_private.kind_rhythm
) from public, anon, authenticated;
grant execute on function milepost_private.rhythm_liveness(
  milepost_private.rhythm, float8, float8, float8, milepost_private.kind_rhythm
) to authenticated, service_role;
