-- reset_stuck_jobs: take stuck jobs away from their workers: a new attempt (which fences the old one), or failed once
-- the attempts are used up. Also ends what waits for a worker that is gone. Safe to run twice at once.
create or replace function milepost.reset_stuck_jobs(at timestamptz default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
set plan_cache_mode = 'force_generic_plan'  -- planning each job's statements anew takes longer than running them
as $$
declare
  v_now     timestamptz := coalesce(at, clock_timestamp());
  v_grace   constant interval := '1 minute';
  v_pause   constant interval := '2 minutes';
  v_hold    boolean;
  v_stuck   milepost_private.stuck_job;
  v_job     milepost.jobs;
  v_found   int := 0;
  v_reset   int := 0;
  v_failed  int := 0;
  v_ended   int := 0;
begin
  -- HOLD: several jobs that all fell silent together say that Milepost was not reached, not that they all died; unless
  -- another worker reached it since (operators' keys read from elsewhere). And where nobody swept for a while, Milepost was away itself; unless its scheduler
  -- comes no more often than that, which leaves the same gap before the next sweep, too.
  update milepost_private.sweeps s set
    hold_until = case
      when q.are_silent and not exists (select from milepost_private.keys k where k.scope <> 'operator' and k.last_used_at > q.heard_at + interval '1 minute')
        or v_now - s.swept_at > v_pause and s.hold_until is distinct from s.swept_at + v_pause then v_now + v_pause
      else s.hold_until end,
    swept_at = v_now
  from (
    select max(h.heard_at) as heard_at,
           count(*) filter (where h.heard_at > h.last_at - interval '1 minute') >= 3 and v_now - max(h.heard_at) > interval '30 seconds' as are_silent
    from (
      select j.last_checkpoint_at as heard_at, max(j.last_checkpoint_at) over () as last_at
      from milepost.jobs j
      where j.finished_at is null and j.state in ('running', 'completing') and j.last_checkpoint_at > v_now - interval '1 hour'
    ) h
  ) q
  where s.only_row
  returning s.hold_until > v_now into v_hold;

  for v_stuck in select * from milepost_private.stuck_jobs(v_now) order by job_id loop
    -- Another sweep has it, or its worker is just reporting: leave it alone.
    select j.* into v_job from milepost.jobs j where j.job_id = v_stuck.job_id for no key update skip locked;
    continue when v_job.job_id is null or v_job.state not in ('running', 'completing', 'pausing', 'canceling');
    -- It was heard while this sweep was at the others: the next one judges it.
    continue when extract(epoch from v_now - v_job.last_checkpoint_at) < v_stuck.contact_age_s;
    v_found := v_found + 1;
    update milepost_private.pulses p set stalled_at = v_now where p.job_id = v_job.job_id and p.stalled_at is null;
    if found then
      perform milepost_private.emit(array[row(v_job.job_id, 'job.stalled', jsonb_build_object(
        'liveness', v_stuck.liveness, 'reason', v_stuck.reason, 'silence_s', v_stuck.silence_s, 'threshold_s', v_stuck.threshold_s
      ))::milepost_private.event_draft], v_now);
    end if;
    continue when not coalesce(v_stuck.is_sure, false) or coalesce(v_hold, false) and v_stuck.contact_age_s > 20 and v_job.stall_after_ms is null;
    -- Its heartbeat goes on, so that no grace ends, but the loop that should acknowledge hangs.
    if v_job.state = 'canceling' then
      perform milepost_private.transition(v_job.job_id, 'canceled', 'reset', v_job.state_reason, v_job.state_actor, v_now);
      v_ended := v_ended + 1;
      continue;
    end if;
    perform milepost_private.transition(v_job.job_id,
      case when v_job.attempt < v_job.max_attempts then 'retrying' else 'failed' end, 'reset',
      format('%s for %s; more than %s is unusual for it', milepost_private.silence_in_words(v_stuck.reason),
             milepost_private.seconds_in_words(v_stuck.silence_s), milepost_private.seconds_in_words(v_stuck.threshold_s)),
      'system', v_now);
    if v_job.attempt < v_job.max_attempts then v_reset := v_reset + 1; else v_failed := v_failed + 1; end if;
  end loop;

  -- A cancel or a pause that nobody is there to acknowledge: who has not, was not heard for the grace time.
  for v_job in
    select j.* from milepost.jobs j
    where j.finished_at is null and j.state in ('canceling', 'pausing')
      and v_now - j.state_changed_at > v_grace
      and not exists (
        select from milepost.lanes l
        where l.job_id = j.job_id and l.attempt = j.attempt and v_now - l.last_checkpoint_at <= v_grace
          and l.state not in ('completed', 'canceled', 'failed') and not (j.state = 'pausing' and l.state = 'paused'))
    order by j.job_id for no key update skip locked
  loop
    perform milepost_private.transition(v_job.job_id, case v_job.state when 'canceling' then 'canceled' else 'paused' end, 'reset',
      v_job.state_reason, v_job.state_actor, v_now);
    v_ended := v_ended + 1;
  end loop;
  return jsonb_build_object('stuck', v_found, 'reset', v_reset, 'failed', v_failed, 'ended', v_ended, 'held', coalesce(v_hold, false));
end;
$$;
comment on function milepost.reset_stuck_jobs(timestamptz) is
'Begins a new attempt of each stuck job, or fails it once its attempts are used up; ends cancels and pauses that nobody acknowledges. Returns counts.';
revoke execute on function milepost.reset_stuck_jobs(timestamptz) from public, anon, authenticated;
grant execute on function milepost.reset_stuck_jobs(timestamptz) to service_role;
