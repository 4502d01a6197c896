-- jobs_by_refs: jobs by what a client calls them: by uuid, else by key.
create or replace function milepost_private.jobs_by_refs(tenant_id uuid, refs text[])
returns uuid[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array(
    select case when pg_input_is_valid(r.job, 'uuid')
      then (select j.job_id from milepost.jobs j where j.job_id = r.job::uuid and j.tenant_id = jobs_by_refs.tenant_id)
      else (select j.job_id from milepost.jobs j where j.tenant_id = jobs_by_refs.tenant_id and j.key = r.job) end
    from unnest(refs) with ordinality as r (job, n) order by r.n);
end;
$$;
comment on function milepost_private.jobs_by_refs(uuid, text[]) is
'The tenant''s jobs with these uuids or, where a text is no uuid, these keys, in the same order; null where there is none.';
revoke execute on function milepost_private.jobs_by_refs(uuid, text[]) from public, anon, authenticated;
grant execute on function milepost_private.jobs_by_refs(uuid, text[]) to service_role;
