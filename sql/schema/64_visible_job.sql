-- visible_job: the job that a caller means, if the caller may see it. Absent and foreign are one answer.
create or replace function milepost_private.visible_job(job_id text)
returns milepost.jobs
language plpgsql
stable
set search_path = ''
as $$
declare
  v_jobs milepost.jobs[];
begin
  select array_agg(j) into v_jobs
  from unnest(array(select milepost_private.my_tenants())) as t (tenant_id)
  cross join lateral milepost_private.job_by_ref(t.tenant_id, visible_job.job_id) j;
  -- GUARD: absent, or not the caller's
  if v_jobs is null then
    perform milepost_private.refuse(404, 'job_not_found',
      format('Expected the id or key of a job; %s is none that you can see.', visible_job.job_id),
      'Check the id, or list your jobs with GET /v1/jobs.');
  end if;
  -- GUARD: the same key in several of the caller's tenants
  if cardinality(v_jobs) > 1 then
    perform milepost_private.refuse(422, 'ambiguous_job',
      format('Expected one job; %s is a key in several of your tenants.', visible_job.job_id), 'Use the job''s id.');
  end if;
  return v_jobs[1];
end;
$$;
comment on function milepost_private.visible_job(text) is 'The job with this id or key among those the caller may see. Refuses with job_not_found.';
revoke execute on function milepost_private.visible_job(text) from public, anon, authenticated;
grant execute on function milepost_private.visible_job(text) to authenticated, service_role;
