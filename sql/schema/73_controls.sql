-- control: what a person asks of a job. Allowed to operators, admins, operator keys and the job's owner.
create or replace function milepost_private.control(job_id uuid, verb text, reason text)
returns void
language plpgsql
volatile
security definer                -- callers may not write jobs; may_control decides
set search_path = ''
as $$
declare
  v_job milepost.jobs;
begin
  perform milepost_private.check_reason(reason);
  select * into v_job from milepost.jobs j where j.job_id = control.job_id for no key update;
  -- GUARD: not the caller's to see (not told apart from absent)
  if v_job.job_id is null or not (v_job.tenant_id = any (array(select milepost_private.my_tenants()))) then
    perform milepost_private.refuse(404, 'job_not_found', 'Expected the id or key of a job that you can see.',
      'Check the id, or list your jobs with GET /v1/jobs.');
  end if;
  -- GUARD: sees it, but may not control it
  if not milepost_private.may_control(v_job.tenant_id, v_job.owner_id, v_job.kind) then
    perform milepost_private.refuse(403, 'not_allowed',
      format('Expected an operator, an admin, an operator key or the owner of %s.', v_job.key),
      'Ask an admin of the tenant for the role operator, or use an operator key.');
  end if;
  -- A request that is already met is no conflict: asking twice is harmless.
  if verb = 'pause' and v_job.state in ('pausing', 'paused') or verb = 'cancel' and v_job.state in ('canceling', 'canceled') then
    return;
  end if;
  perform milepost_private.transition(control.job_id,
    case verb
      when 'pause' then case when v_job.state in ('pending', 'retrying') then 'paused' else 'pausing' end
      when 'resume' then case when v_job.state = 'pausing' or v_job.attempt_started_at is not null then 'running'
                              when v_job.attempt = 1 then 'pending' else 'retrying' end
      when 'cancel' then case when v_job.state in ('pending', 'retrying')
                                or v_job.state = 'paused' and v_job.attempt_started_at is null then 'canceled' else 'canceling' end
      when 'retry' then 'retrying' end,
    verb, reason, milepost_private.actor(), clock_timestamp());
end;
$$;
comment on function milepost_private.control(uuid, text, text) is
'Pauses, resumes, cancels or retries a job for the caller. Refuses with 404, 403, or 409 and the allowed verbs.';
revoke execute on function milepost_private.control(uuid, text, text) from public, anon, authenticated;
grant execute on function milepost_private.control(uuid, text, text) to authenticated, service_role;

create or replace function milepost.pause_job(job_id text, reason text default null)
returns jsonb language plpgsql volatile set search_path = ''
as $$
declare v_job uuid := (milepost_private.visible_job(job_id)).job_id;
begin
  perform milepost_private.control(v_job, 'pause', reason);
  return milepost_private.job_json(v_job);
end;
$$;
create or replace function milepost.resume_job(job_id text, reason text default null)
returns jsonb language plpgsql volatile set search_path = ''
as $$
declare v_job uuid := (milepost_private.visible_job(job_id)).job_id;
begin
  perform milepost_private.control(v_job, 'resume', reason);
  return milepost_private.job_json(v_job);
end;
$$;
create or replace function milepost.cancel_job(job_id text, reason text default null)
returns jsonb language plpgsql volatile set search_path = ''
as $$
declare v_job uuid := (milepost_private.visible_job(job_id)).job_id;
begin
  perform milepost_private.control(v_job, 'cancel', reason);
  return milepost_private.job_json(v_job);
end;
$$;
create or replace function milepost.retry_job(job_id text, reason text default null)
returns jsonb language plpgsql volatile set search_path = ''
as $$
declare v_job uuid := (milepost_private.visible_job(job_id)).job_id;
begin
  perform milepost_private.control(v_job, 'retry', reason);
  return milepost_private.job_json(v_job);
end;
$$;
comment on function milepost.pause_job(text, text) is 'Asks a job to pause: pausing until its workers say paused. Returns the job.';
comment on function milepost.resume_job(text, text) is 'Lets a paused job go on. Returns the job.';
comment on function milepost.cancel_job(text, text) is 'Asks a job to cancel: canceling until its workers say canceled. Returns the job.';
comment on function milepost.retry_job(text, text) is 'Begins a job''s next attempt at once; its old workers are fenced. Returns the job.';
revoke execute on function milepost.pause_job(text, text), milepost.resume_job(text, text), milepost.cancel_job(text, text),
  milepost.retry_job(text, text) from public, anon, authenticated;
grant execute on function milepost.pause_job(text, text), milepost.resume_job(text, text), milepost.cancel_job(text, text),
  milepost.retry_job(text, text) to authenticated, service_role;

-- set_job_priority: moves a job forward or back in the queue.
create or replace function milepost_private.set_priority(job_id uuid, priority int, reason text)
returns void
language plpgsql
volatile
security definer                -- callers may not write jobs; may_control decides
set search_path = ''
as $$
declare
  v_job milepost.jobs;
begin
  perform milepost_private.check_reason(reason);
  -- GUARD: no number that a priority can be
  if priority is null or priority not between -32768 and 32767 then
    perform milepost_private.refuse(422, 'out_of_range',
      format('priority: expected a whole number from -32768 to 32767, found %s.', coalesce(priority::text, 'null')), 'Send a value within the limit.');
  end if;
  select * into v_job from milepost.jobs j
  where j.job_id = set_priority.job_id and j.tenant_id = any (array(select milepost_private.my_tenants())) for no key update;
  if v_job.job_id is null or not milepost_private.may_control(v_job.tenant_id, v_job.owner_id, v_job.kind) then
    perform milepost_private.refuse(403, 'not_allowed', 'Expected an operator, an admin, an operator key or the owner of the job.',
      'Ask an admin of the tenant for the role operator, or use an operator key.');
  end if;
  update milepost.jobs j set priority = set_priority.priority where j.job_id = set_priority.job_id;
  perform milepost_private.write_audit(v_job.tenant_id, milepost_private.actor(), 'set_priority', v_job.key,
    jsonb_build_object('prior_priority', v_job.priority, 'priority', priority), reason, v_job.job_id);
  perform milepost_private.emit(array[row(v_job.job_id, 'job.priority_changed', jsonb_build_object(
    'prior_priority', v_job.priority, 'priority', priority, 'reason', reason, 'actor', milepost_private.actor()
  ))::milepost_private.event_draft], clock_timestamp());
end;
$$;
comment on function milepost_private.set_priority(uuid, int, text) is 'Sets a job''s priority for the caller. Refuses with 403.';
revoke execute on function milepost_private.set_priority(uuid, int, text) from public, anon, authenticated;
grant execute on function milepost_private.set_priority(uuid, int, text) to authenticated, service_role;

create or replace function milepost.set_job_priority(job_id text, priority int, reason text default null)
returns jsonb language plpgsql volatile set search_path = ''
as $$
declare v_job uuid := (milepost_private.visible_job(job_id)).job_id;
begin
  perform milepost_private.set_priority(v_job, priority, reason);
  return milepost_private.job_json(v_job);
end;
$$;
comment on function milepost.set_job_priority(text, int, text) is 'Sets a job''s priority: greater is claimed first. Returns the job.';
revoke execute on function milepost.set_job_priority(text, int, text) from public, anon, authenticated;
grant execute on function milepost.set_job_priority(text, int, text) to authenticated, service_role;
