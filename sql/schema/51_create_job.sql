-- create_job: POST /v1/jobs. The job with that key if there is one, else a new one.
create or replace function milepost.create_job(caller jsonb, job jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_caller milepost_private.caller := milepost_private.resolve_caller(caller, array['worker', 'operator']);
  v_now    timestamptz := coalesce((caller ->> 'received_at')::timestamptz, clock_timestamp());
  v_start  boolean := coalesce((job ->> 'start')::boolean, true);
  v_most   int;
  v_job_id uuid;
  v_new    boolean;
begin
  -- GUARD: a kind that the key is not for
  if coalesce(job ->> 'kind', 'default') <> all (v_caller.kinds) then
    perform milepost_private.refuse(403, 'not_allowed',
      format('Expected a kind that the key is for (%s), found %s.', array_to_string(v_caller.kinds, ', '), coalesce(job ->> 'kind', 'default')),
      'Use a key for this kind, or one without kinds.');
  end if;
  -- GUARD: the queue is full. Those in it are claimed by priority and age as ever.
  if not v_start then
    select t.waiting_jobs_most into v_most from milepost.tenants t where t.tenant_id = v_caller.tenant_id;
    if (select count(*) from (
          select from milepost.jobs j where j.tenant_id = v_caller.tenant_id and j.state in ('pending', 'retrying') limit v_most) w) >= v_most
       and not exists (select from milepost.jobs j where j.tenant_id = v_caller.tenant_id and j.key = create_job.job ->> 'job') then
      perform milepost_private.refuse(429, 'too_many_waiting_jobs',
        format('Expected at most %s jobs that wait to be claimed; there are as many already.', v_most),
        'Start more workers, or create the job once some are done. An admin may raise the limit.', headers => '{"Retry-After": "60"}');
    end if;
  end if;
  v_job_id := milepost_private.add_job(v_caller.tenant_id, job, v_now);
  v_new := v_job_id is not null;
  if v_new then
    perform milepost_private.sum_job(v_job_id);
    if v_start then
      perform milepost_private.transition(v_job_id, 'running', 'claim', null, v_caller.actor, v_now);
    end if;
  else
    select j.job_id into v_job_id from milepost.jobs j
    where j.tenant_id = v_caller.tenant_id and j.key = create_job.job ->> 'job';
  end if;
  return jsonb_build_object('created', v_new, 'job', milepost_private.resume_json(v_job_id));
end;
$$;
comment on function milepost.create_job(jsonb, jsonb) is
'Creates a job for the caller''s tenant, running unless start is false; returns {"created", "job"}. With a key that exists, that job as it is.';
revoke execute on function milepost.create_job(jsonb, jsonb) from public, anon, authenticated;
grant execute on function milepost.create_job(jsonb, jsonb) to service_role;
