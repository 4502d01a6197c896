-- progress_fields: the part of a job that a progress event carries.
create or replace function milepost_private.progress_fields(job milepost.jobs, f milepost_private.figures)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'job', job.key, 'kind', job.kind, 'name', job.name, 'unit', job.unit,
    'state', job.state, 'attempt', job.attempt, 'liveness', f.liveness, 'health', f.health,
    'percent_complete', f.percent_complete, 'items_total', f.items_total, 'items_completed', job.items_completed,
    'items_failed', job.items_failed, 'items_skipped', job.items_skipped, 'items_canceled', job.items_canceled,
    'items_pending', f.items_pending, 'bytes_processed', job.bytes_processed,
    'rate_per_s', f.rate_per_s, 'bytes_per_s', f.bytes_per_s,
    'eta_ms', f.eta_ms, 'eta_low_ms', f.eta_low_ms, 'eta_high_ms', f.eta_high_ms,
    'estimated_completion_at', milepost_private.iso(f.estimated_completion_at), 'eta_reason', f.eta_reason,
    'time_processing_ms', f.time_processing_ms, 'rate_limited', f.rate_limited, 'message', job.message,
    'last_checkpoint_at', milepost_private.iso(job.last_checkpoint_at));
end;
$$;
comment on function milepost_private.progress_fields(milepost.jobs, milepost_private.figures) is
'A job''s progress as job.progress and the terminal events carry it.';
revoke execute on function milepost_private.progress_fields(milepost.jobs, milepost_private.figures) from public, anon, authenticated;
grant execute on function milepost_private.progress_fields(milepost.jobs, milepost_private.figures) to service_role;
