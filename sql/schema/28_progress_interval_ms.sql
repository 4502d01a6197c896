-- progress_interval_ms: how far apart a job's progress events are, so that all jobs at work together keep within the budget.
create or replace function milepost_private.progress_interval_ms(messages_per_s double precision, jobs_at_work int, topics int)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
begin
  return 1000.0 * greatest(jobs_at_work, 1) * topics / messages_per_s;
end;
$$;
comment on function milepost_private.progress_interval_ms(double precision, int, int) is
'Least time between two progress events of a job, in ms: each is one message on each topic, and the jobs at work share the budget.';
revoke execute on function milepost_private.progress_interval_ms(double precision, int, int) from public, anon, authenticated;
grant execute on function milepost_private.progress_interval_ms(double precision, int, int) to authenticated, service_role;
