-- job_summaries: a job as lists show it. Times are written as JSON wants them.
create or replace view milepost_private.job_summaries with (security_invoker = true) as
select
  v.job_id, v.job, v.kind, v.name, v.unit, v.tenant_id, v.owner_id, v.state, v.state_reason, v.liveness, v.health,
  v.attempt, v.max_attempts, v.priority, v.version, v.percent_complete, v.items_total, v.items_completed,
  v.items_failed, v.items_skipped, v.items_canceled, v.items_pending, v.bytes_processed, v.rate_per_s, v.bytes_per_s,
  v.average_duration_ms_per_item, v.eta_ms, v.eta_low_ms, v.eta_high_ms,
  milepost_private.iso(v.estimated_completion_at) as estimated_completion_at, v.eta_reason, v.time_to_start_ms,
  v.time_processing_ms, v.rate_limited, milepost_private.iso(v.rate_limited_until) as rate_limited_until,
  v.processing_deadline_ms, v.current_stage, v.message, v.error,
  milepost_private.iso(v.created_at) as created_at, milepost_private.iso(v.started_at) as started_at,
  milepost_private.iso(v.last_checkpoint_at) as last_checkpoint_at,
  milepost_private.iso(v.last_progress_at) as last_progress_at, milepost_private.iso(v.finished_at) as finished_at,
  milepost_private.iso(v.run_after) as run_after
from milepost.job_progress v;
comment on view milepost_private.job_summaries is 'Jobs as lists show them.';
revoke all on milepost_private.job_summaries from public, anon, authenticated;
grant select on milepost_private.job_summaries to authenticated, service_role;

-- job_json: a job as GET /v1/jobs/{job} shows it: the summary with its stages, workers, cursor and metadata.
create or replace function milepost_private.job_json(job_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select to_jsonb(s) || jsonb_build_object(
      'stages', v.stages, 'workers', v.workers, 'cursor', v.cursor, 'metadata', v.metadata,
      'cursors', (select coalesce(jsonb_object_agg(l.worker, l.cursor), '{}')
                  from milepost.lanes l where l.job_id = v.job_id and l.cursor is not null))
    from milepost_private.job_summaries s
    join (select p.job_id, p.stages, p.workers, p.cursor, p.metadata from milepost.job_progress p) v on v.job_id = s.job_id
    where s.job_id = job_json.job_id);
end;
$$;
comment on function milepost_private.job_json(uuid) is 'A job as the API shows it: the summary with its stages, workers, cursor and metadata.';
revoke execute on function milepost_private.job_json(uuid) from public, anon, authenticated;
grant execute on function milepost_private.job_json(uuid) to authenticated, service_role;
