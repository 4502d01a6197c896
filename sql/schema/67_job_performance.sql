-- job_performance: what runs of each kind took.
create or replace view milepost.job_performance with (security_invoker = true) as
select j.tenant_id, j.kind, count(*) as runs,
       count(*) filter (where j.state = 'completed') as completed,
       count(*) filter (where j.state = 'failed') as failed,
       count(*) filter (where j.state = 'canceled') as canceled,
       percentile_cont(0.5) within group (order by p.active_s * 1000) filter (where j.state = 'completed') as median_duration_ms,
       percentile_cont(0.95) within group (order by p.active_s * 1000) filter (where j.state = 'completed') as p95_duration_ms,
       percentile_cont(0.5) within group (order by w.work / p.active_s) filter (where j.state = 'completed' and w.work > 0 and p.active_s > 0)
         as median_rate_per_s,
       sum(j.items_completed) as items_completed, sum(j.items_failed) as items_failed, sum(j.bytes_processed) as bytes_processed,
       max(j.finished_at) as last_finished_at
from milepost.jobs j
left join milepost_private.pulses p on p.job_id = j.job_id
cross join lateral (select j.items_completed::double precision + j.items_failed + j.items_canceled as work) w
where j.finished_at is not null
group by j.tenant_id, j.kind;
comment on view milepost.job_performance is 'Per kind: finished runs, their outcome, duration on the active clock and speed.';
comment on column milepost.job_performance.completed is 'Runs that completed.';
comment on column milepost.job_performance.failed is 'Runs that failed.';
comment on column milepost.job_performance.canceled is 'Runs that were canceled.';
comment on column milepost.job_performance.median_duration_ms is 'Half of the completed runs took no longer on the active clock.';
comment on column milepost.job_performance.p95_duration_ms is 'Nineteen of twenty took no longer.';
comment on column milepost.job_performance.median_rate_per_s is 'Half of the completed runs were no faster, in items a second.';
comment on column milepost.job_performance.last_finished_at is 'When the latest run ended.';
revoke all on milepost.job_performance from public, anon, authenticated;
grant select on milepost.job_performance to authenticated, service_role;
