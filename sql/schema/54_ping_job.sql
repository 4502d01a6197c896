-- ping_job: one address for shell and cron: start, done, fail.
create or replace function milepost.ping_job(
  caller jsonb, job text, signal text, exit_status int default null, message text default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_caller milepost_private.caller := milepost_private.resolve_caller(caller, array['ping', 'worker', 'operator']);
  v_now    timestamptz := coalesce((caller ->> 'received_at')::timestamptz, clock_timestamp());
  v_run    milepost.jobs;
  v_kind   text;
  v_answer jsonb;
begin
  -- A ping names a recurring job, not one run of it: what has ended is a new run, under a key of its own.
  select j.* into v_run from milepost.jobs j
  where j.tenant_id = v_caller.tenant_id
    and (j.key = ping_job.job or j.kind = ping_job.job and j.metadata ->> 'pinged' = ping_job.job)
  order by j.created_at desc limit 1;
  -- A new run is of the kind that the ping names.
  v_kind := case when v_run.job_id is null or milepost_private.is_terminal(v_run.state) then ping_job.job else v_run.kind end;
  -- GUARD: a kind that the key is not for
  if v_kind <> all (v_caller.kinds) then
    perform milepost_private.refuse(403, 'not_allowed',
      format('Expected a job of a kind that the key is for (%s), found %s.', array_to_string(v_caller.kinds, ', '), v_kind),
      'Use a key for this kind, or one without kinds.');
  end if;
  if v_run.job_id is null or milepost_private.is_terminal(v_run.state) then
    perform milepost_private.add_job(v_caller.tenant_id, jsonb_build_object(
      'job', case when v_run.job_id is null then ping_job.job
                  else left(ping_job.job, 170) || ' ' || milepost_private.iso(v_now) end,
      'kind', ping_job.job, 'name', ping_job.job, 'max_attempts', 1, 'metadata', jsonb_build_object('pinged', ping_job.job)), v_now);
    select j.* into v_run from milepost.jobs j
    where j.tenant_id = v_caller.tenant_id and j.kind = ping_job.job and j.metadata ->> 'pinged' = ping_job.job
    order by j.created_at desc limit 1;
  end if;
  v_answer := milepost.record_checkpoints(jsonb_build_object(
    'caller', jsonb_build_object('tenant_id', v_caller.tenant_id), 'received_at', v_now,
    'checkpoints', jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
      'job', v_run.job_id, 'message', message,
      'state', case signal when 'start' then 'running' when 'done' then 'completed' else 'failed' end,
      'reason', case when signal = 'fail' then coalesce(message, 'exit status ' || exit_status, 'fail was pinged') end)))));
  return milepost_private.job_json(v_run.job_id);
end;
$$;
comment on function milepost.ping_job(jsonb, text, text, int, text) is
'Records start, done or fail of a recurring job; what comes after its end is a new run of that kind. Returns the job.';
revoke execute on function milepost.ping_job(jsonb, text, text, int, text) from public, anon, authenticated;
grant execute on function milepost.ping_job(jsonb, text, text, int, text) to service_role;
