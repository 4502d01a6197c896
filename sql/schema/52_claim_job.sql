-- claim_job: POST /v1/jobs/claim. The next runnable job by priority, then age; nobody waits for another's row.
create or replace function milepost.claim_job(caller jsonb, kinds text[] default null, worker text default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_caller milepost_private.caller := milepost_private.resolve_caller(caller, array['worker', 'operator']);
  v_now    timestamptz := coalesce((caller ->> 'received_at')::timestamptz, clock_timestamp());
  v_job    milepost.jobs;
begin
  select j.* into v_job from milepost.jobs j
  where j.tenant_id = v_caller.tenant_id and j.state in ('pending', 'retrying')
    and (kinds is null or j.kind = any (kinds))
    and (v_caller.kinds is null or j.kind = any (v_caller.kinds))
    and (j.run_after is null or j.run_after <= v_now)
  order by j.priority desc, j.created_at
  limit 1 for no key update skip locked;
  -- GUARD: nothing to do
  if v_job.job_id is null then
    return null;
  end if;
  perform milepost_private.transition(v_job.job_id, 'running', 'claim', null, coalesce('worker:' || worker, v_caller.actor), v_now);
  if worker is not null then
    insert into milepost.lanes as l (tenant_id, job_id, worker, attempt, first_checkpoint_at, last_checkpoint_at)
    values (v_job.tenant_id, v_job.job_id, claim_job.worker, v_job.attempt, v_now, v_now)
    on conflict on constraint lanes_pkey do update set
      attempt = excluded.attempt, first_checkpoint_at = excluded.first_checkpoint_at,
      first_work = milepost_private.lane_work(l),
      last_checkpoint_at = excluded.last_checkpoint_at;
    update milepost.jobs j set last_checkpoint_at = v_now where j.job_id = v_job.job_id;
  end if;
  return milepost_private.resume_json(v_job.job_id);
end;
$$;
comment on function milepost.claim_job(jsonb, text[], text) is
'Takes the next runnable job of these kinds (any, if null): it is running now. Returns the job with attempt and cursors, or null.';
revoke execute on function milepost.claim_job(jsonb, text[], text) from public, anon, authenticated;
grant execute on function milepost.claim_job(jsonb, text[], text) to service_role;
