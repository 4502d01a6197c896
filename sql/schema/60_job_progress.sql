-- job_progress: every job with everything that is computed, at the moment of reading.
create or replace view milepost.job_progress with (security_invoker = true) as
select
  j.job_id, j.key as job, j.kind, j.name, j.unit, j.tenant_id, j.owner_id,
  j.state, j.state_reason, j.state_actor, f.liveness, f.liveness_reason, f.threshold_s, f.health,
  j.attempt, j.max_attempts, j.priority, j.version,
  f.percent_complete, f.items_total, j.items_completed, j.items_failed, j.items_skipped, j.items_canceled, f.items_pending,
  j.bytes_processed, f.rate_per_s, f.bytes_per_s, f.average_duration_ms_per_item,
  f.eta_ms, f.eta_low_ms, f.eta_high_ms, f.estimated_completion_at, f.eta_reason,
  f.time_to_start_ms, f.time_processing_ms, f.rate_limited, j.rate_limited_until, j.processing_deadline_ms,
  (select s.name from milepost.stages s where s.job_id = j.job_id and s.state = 'running'
   order by s.position desc limit 1) as current_stage,
  (select coalesce(jsonb_agg(milepost_private.stage_json(s) order by s.position), '[]')
   from milepost.stages s where s.job_id = j.job_id) as stages,
  (select coalesce(jsonb_agg(milepost_private.lane_json(l) order by l.worker), '[]')
   from milepost.lanes l where l.job_id = j.job_id) as workers,
  (select l.cursor from milepost.lanes l where l.job_id = j.job_id and l.cursor is not null
   order by l.cursor_at desc, l.worker limit 1) as cursor,
  j.message, j.error, j.metadata,
  j.created_at, j.started_at, j.last_checkpoint_at, j.last_progress_at, j.finished_at, j.run_after,
  j.attempt_started_at, j.state_changed_at, j.stall_after_ms, j.workers_expected
from milepost.jobs j
left join milepost_private.pulses p on p.job_id = j.job_id
left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
cross join lateral milepost_private.figures(j, p, k, now()) f;

comment on view milepost.job_progress is
'Jobs with percent, rate, ETA and its range, liveness and health as of now. One row a job; stages and workers as JSON.';
comment on column milepost.job_progress.job is 'The client''s key.';
comment on column milepost.job_progress.percent_complete is '100 * (completed + skipped) / total, or the weighted mean of the stages; null while unknown.';
comment on column milepost.job_progress.items_total is 'The total; null while unknown. At least what has been settled.';
comment on column milepost.job_progress.items_pending is 'total - completed - failed - skipped - canceled; null while the total is unknown.';
comment on column milepost.job_progress.rate_per_s is 'Items a second now; of a finished job, over its whole active time.';
comment on column milepost.job_progress.eta_ms is 'Milliseconds until it is done; null with a reason in eta_reason.';
comment on column milepost.job_progress.eta_low_ms is 'Lower end of the central 80 % interval.';
comment on column milepost.job_progress.eta_high_ms is 'Upper end of the central 80 % interval.';
comment on column milepost.job_progress.eta_reason is 'Why eta_ms is null: no_total, no_progress, paused, rate_limited, finished, not_started, stalled.';
comment on column milepost.job_progress.liveness is 'on_time, late, stalled or lost: computed when read, never stored.';
comment on column milepost.job_progress.liveness_reason is 'no_progress, no_contact, no_net_progress, never_started or past_deadline.';
comment on column milepost.job_progress.threshold_s is 'Seconds of silence after which it counts as stalled.';
comment on column milepost.job_progress.health is 'excellent, good, fair or poor, from errors, liveness and the runs of its kind: docs/health.md.';
comment on column milepost.job_progress.time_processing_ms is 'Its active clock: time spent running, pauses and waits excluded.';
comment on column milepost.job_progress.workers is 'Its lanes.';
comment on column milepost.job_progress.cursor is 'The newest cursor of its lanes.';
comment on column milepost.job_progress.bytes_per_s is 'Bytes a second over its whole active time.';
comment on column milepost.job_progress.average_duration_ms_per_item is 'Active time per item that was worked on, in ms.';
comment on column milepost.job_progress.estimated_completion_at is 'When it is expected to be done: now + eta_ms.';
comment on column milepost.job_progress.time_to_start_ms is 'Time from its creation to its first run, in ms.';
comment on column milepost.job_progress.rate_limited is 'Whether a worker waits for a rate limit to end.';
comment on column milepost.job_progress.current_stage is 'The last of its stages that is running.';

revoke all on milepost.job_progress from public, anon, authenticated;
grant select on milepost.job_progress to authenticated, service_role;
