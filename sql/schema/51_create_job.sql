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
  v_job_id uuid;
  v_new    boolean;
begin
  v_job_id := milepost_private.add_job(v_caller.tenant_id, job, v_now);
  v_new := v_job_id is not null;
  if v_new then
    perform milepost_private.sum_job(v_job_id);
    if coalesce((job ->> 'start')::boolean, true) then
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
