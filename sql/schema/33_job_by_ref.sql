-- job_by_ref: a job by what a client calls it: its uuid, else its key.
create or replace function milepost_private.job_by_ref(tenant_id uuid, job text)
returns setof milepost.jobs
language plpgsql
stable
rows 1
set search_path = ''
as $$
begin
  return query
  select j.* from milepost.jobs j
  where j.tenant_id = job_by_ref.tenant_id and j.key = job_by_ref.job and not pg_input_is_valid(job_by_ref.job, 'uuid')
  union all
  select j.* from milepost.jobs j
  where pg_input_is_valid(job_by_ref.job, 'uuid') and j.tenant_id = job_by_ref.tenant_id
    and j.job_id = (case when pg_input_is_valid(job_by_ref.job, 'uuid') then job_by_ref.job end)::uuid;
end;
$$;
comment on function milepost_private.job_by_ref(uuid, text) is
'The tenant''s job with this uuid, or, if the text is no uuid, with this key.';
revoke execute on function milepost_private.job_by_ref(uuid, text) from public, anon, authenticated;
grant execute on function milepost_private.job_by_ref(uuid, text) to authenticated, service_role;
