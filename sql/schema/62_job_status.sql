-- job_status: what a dashboard shows first.
create or replace view milepost.job_status with (security_invoker = true) as
select v.job_id, v.job, v.kind, v.name, v.tenant_id, v.state, v.liveness, v.health, v.percent_complete, v.rate_per_s, v.eta_ms,
       v.eta_low_ms, v.eta_high_ms, v.estimated_completion_at, v.eta_reason, v.current_stage, v.message, v.error,
       v.attempt, v.last_checkpoint_at, v.last_progress_at, v.created_at
from milepost.job_progress v
where v.finished_at is null or v.finished_at > now() - interval '1 day';
comment on view milepost.job_status is 'Jobs that are active or ended within a day, with the figures of a dashboard.';
comment on column milepost.job_status.estimated_completion_at is 'When it is expected to be done.';
comment on column milepost.job_status.current_stage is 'The last of its stages that is running.';
revoke all on milepost.job_status from public, anon, authenticated;
grant select on milepost.job_status to authenticated, service_role;
