-- get_job_progress: one job, whole.
create or replace function milepost.get_job_progress(job_id text)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select milepost_private.job_json((milepost_private.visible_job(job_id)).job_id);
$$;
comment on function milepost.get_job_progress(text) is 'A job by its id or key, with stages, workers, cursor and every computed figure. Refuses with job_not_found.';
revoke execute on function milepost.get_job_progress(text) from public, anon, authenticated;
grant execute on function milepost.get_job_progress(text) to authenticated, service_role;
