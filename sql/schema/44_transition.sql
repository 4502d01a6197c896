-- transition: change a job's state. The only place that does; what the state machine does not list is refused.
create or replace function milepost_private.transition(
  job_id    uuid,
  new_state text,
  verb      text,
  reason    text,
  actor     text,
  at        timestamptz
)
returns void
language plpgsql
volatile
set search_path = ''
set plan_cache_mode = 'force_generic_plan'  -- planning these statements anew takes longer than running them
as $$
declare
  v_job     milepost.jobs;
  v_prior   text;
  v_allowed text;
  v_drafts  milepost_private.event_draft[];
  v_fields  jsonb;
  v_load    int;
begin
  select * into v_job from milepost.jobs j where j.job_id = transition.job_id for no key update;
  v_prior := v_job.state;

  -- GUARD: not permitted
  if not exists (select from milepost_private.transitions t
                 where (t.prior_state, t.new_state, t.verb) = (v_prior, transition.new_state, transition.verb)) then
    select string_agg(distinct t.verb, ', ') into v_allowed from milepost_private.transitions t
    where t.prior_state = v_prior and t.verb in ('pause', 'resume', 'cancel', 'retry');
    perform milepost_private.refuse(409, 'invalid_transition',
      format('Expected a job that permits %s; %s is %s.', transition.verb, v_job.key, v_prior),
      case when v_allowed is null then 'A job that is ' || v_prior || ' permits none of pause, resume, cancel, retry.'
           else 'A job that is ' || v_prior || ' permits: ' || v_allowed || '.' end,
      coalesce(v_allowed, ''));
  end if;

  -- A job that was paused while it waited goes on waiting: no new attempt.
  if new_state = 'retrying' and verb <> 'resume' then
    perform milepost_private.begin_attempt(transition.job_id, transition.at);
  end if;

  update milepost.jobs j set
    state = transition.new_state, state_reason = transition.reason, state_actor = transition.actor,
    state_changed_at = transition.at,
    started_at = coalesce(j.started_at, case when transition.new_state = 'running' then transition.at end),
    attempt_started_at = case when transition.new_state = 'running' then coalesce(j.attempt_started_at, transition.at)
                              else j.attempt_started_at end,
    finished_at = case when milepost_private.is_terminal(transition.new_state) then transition.at end,
    error = case when transition.new_state = 'failed' then coalesce(transition.reason, 'failed') else j.error end,
    run_after = case
      when transition.new_state <> 'retrying' then j.run_after
      when transition.verb in ('retry', 'resume') then transition.at
      else transition.at + milepost_private.backoff_ms(j.retry_backoff_ms, j.attempt) * interval '1 millisecond' end
  where j.job_id = transition.job_id;

  -- What people do, and the sweep in their place; not that it ends what they asked for.
  if verb in ('pause', 'resume', 'cancel', 'retry') or verb = 'reset' and new_state in ('retrying', 'failed') then
    perform milepost_private.write_audit(v_job.tenant_id, transition.actor, verb, v_job.key,
      jsonb_build_object('prior_state', v_prior, 'new_state', new_state, 'attempt', v_job.attempt), reason, v_job.job_id, at);
  end if;

  if milepost_private.is_terminal(new_state) then
    update milepost.stages s set state = transition.new_state, finished_at = coalesce(s.finished_at, transition.at)
    where s.job_id = transition.job_id and s.state = 'running';
    if found then
      perform milepost_private.sum_job(transition.job_id);
    end if;
  end if;

  insert into milepost_private.pulses (job_id, tenant_id, active_at)
  values (transition.job_id, v_job.tenant_id, transition.at) on conflict do nothing;
  update milepost_private.pulses p set
    active_s = milepost_private.active_clock(p.active_s, p.active_at, p.running, transition.at),
    active_at = greatest(p.active_at, transition.at),
    running = transition.new_state in ('running', 'completing', 'pausing', 'canceling')
  where p.job_id = transition.job_id;
  if new_state = 'running' and v_prior <> 'pausing' then
    update milepost_private.pulses p set rhythm = milepost_private.rhythm_step(p.rhythm, p.active_s,
      (select j.items_completed::double precision + j.items_failed + j.items_canceled + j.items_skipped
       from milepost.jobs j where j.job_id = p.job_id), 'resume')
    where p.job_id = transition.job_id and not p.rhythm is null;
  end if;
  v_load := (new_state in ('running', 'completing', 'pausing', 'canceling'))::int - (v_prior in ('running', 'completing', 'pausing', 'canceling'))::int;
  -- Also by 0 before a kind learns: whoever locks a kind's row holds its tenant's first, so that requests cannot deadlock.
  if v_load <> 0 or new_state = 'completed' then
    insert into milepost_private.tenant_loads as t (tenant_id, jobs_at_work)
    values (v_job.tenant_id, greatest(v_load, 0))
    on conflict on constraint tenant_loads_pkey do update set jobs_at_work = greatest(t.jobs_at_work + v_load, 0);
  end if;
  if new_state = 'completed' then
    perform milepost_private.learn_kind(transition.job_id);
  end if;

  v_fields := (
    select milepost_private.progress_fields(j, milepost_private.figures(j, p, k, transition.at))
    from milepost.jobs j
    left join milepost_private.pulses p on p.job_id = j.job_id
    left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
    where j.job_id = transition.job_id);
  if new_state = 'running' and v_job.started_at is null then
    v_drafts := v_drafts || row(job_id, 'job.started', v_fields)::milepost_private.event_draft;
  end if;
  v_drafts := v_drafts || row(job_id, 'job.state_changed', v_fields || jsonb_build_object(
    'prior_state', v_prior, 'new_state', new_state, 'reason', reason, 'actor', actor))::milepost_private.event_draft;
  if new_state in ('completed', 'failed') then
    v_drafts := v_drafts || row(job_id, 'job.' || new_state, v_fields || jsonb_build_object(
      'error', (select j.error from milepost.jobs j where j.job_id = transition.job_id)))::milepost_private.event_draft;
  end if;
  perform milepost_private.emit(v_drafts, at);
end;
$$;
comment on function milepost_private.transition(uuid, text, text, text, text, timestamptz) is
'Brings a job into a state: checks that the verb may, keeps the active clock, ends its stages, leaves the events. Refuses with 409 and what is allowed.';
revoke execute on function milepost_private.transition(uuid, text, text, text, text, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.transition(uuid, text, text, text, text, timestamptz) to service_role;

-- check_transition: what writes a state past transition() keeps to the state machine, too.
create or replace function milepost_private.check_transition()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
begin
  if not exists (select from milepost_private.transitions t
                 where t.prior_state = old.state and t.new_state = new.state) then
    perform milepost_private.refuse(409, 'invalid_transition',
      format('Expected a permitted change of state; %s is %s and cannot become %s.', old.key, old.state, new.state),
      'Use pause_job, resume_job, cancel_job, retry_job, or report as its worker.');
  end if;
  return new;
end;
$$;
comment on function milepost_private.check_transition() is 'Refuses a change of a job''s state that milepost_private.transitions does not list.';
revoke execute on function milepost_private.check_transition() from public, anon, authenticated;

create or replace trigger job_state_follows_the_state_machine before update of state on milepost.jobs
  for each row when (old.state is distinct from new.state) execute function milepost_private.check_transition();
