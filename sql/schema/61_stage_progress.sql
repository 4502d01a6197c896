-- stage_progress: stages with their percent.
create or replace view milepost.stage_progress with (security_invoker = true) as
select s.job_id, j.key as job, j.kind, s.tenant_id, s.name as stage, s.position, s.state, s.weight,
       milepost_private.stage_percent(s) as percent_complete,
       s.items_total, s.items_completed, s.items_failed, s.items_skipped, s.items_canceled, s.bytes_processed,
       s.started_at, s.finished_at
from milepost.stages s
join milepost.jobs j on j.job_id = s.job_id;
comment on view milepost.stage_progress is 'Stages of jobs with their percent.';
revoke all on milepost.stage_progress from public, anon, authenticated;
grant select on milepost.stage_progress to authenticated, service_role;
