-- shared_job: what a share link shows. Only what is said here goes out: a stranger reads it, and what the view learns later
-- must not reach them by itself. Nothing that names people, tenants, machines or data: no owner, worker, cursor, metadata,
-- and no free text of a worker's (message, error, reason), which may hold paths, hosts or rows.
create or replace function milepost.shared_job(token_hash text, job text default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_share milepost_private.shares;
  v_shown jsonb;
begin
  select s.* into v_share from milepost_private.shares s
  where s.token_hash = shared_job.token_hash and s.expires_at > now();

  select jsonb_build_object(
    'job', v.job, 'name', v.name, 'kind', v.kind, 'unit', v.unit, 'state', v.state, 'liveness', v.liveness, 'health', v.health,
    'attempt', v.attempt, 'version', v.version, 'percent_complete', v.percent_complete, 'items_total', v.items_total,
    'items_completed', v.items_completed, 'items_failed', v.items_failed, 'items_skipped', v.items_skipped,
    'items_canceled', v.items_canceled, 'items_pending', v.items_pending, 'bytes_processed', v.bytes_processed, 'rate_per_s', v.rate_per_s,
    'eta_ms', v.eta_ms, 'eta_low_ms', v.eta_low_ms, 'eta_high_ms', v.eta_high_ms,
    'estimated_completion_at', milepost_private.iso(v.estimated_completion_at), 'eta_reason', v.eta_reason,
    'time_processing_ms', v.time_processing_ms, 'rate_limited', v.rate_limited, 'current_stage', v.current_stage,
    'stages', v.stages, 'created_at', milepost_private.iso(v.created_at), 'started_at', milepost_private.iso(v.started_at),
    'last_checkpoint_at', milepost_private.iso(v.last_checkpoint_at), 'finished_at', milepost_private.iso(v.finished_at),
    'expires_at', milepost_private.iso(v_share.expires_at),
    -- Short while the end is near, long where nothing moves; an ended job may still begin another attempt.
    'next_poll_ms', case
      when v.finished_at is not null then 60000
      when v.state in ('pending', 'retrying', 'paused') then 10000
      else greatest(2000, least(coalesce(v.eta_ms, 500000) / 100, 10000)) end)
  into v_shown
  from milepost.job_progress v
  where v.job_id = v_share.job_id
    and (shared_job.job is null or shared_job.job in (v.job, v.job_id::text));

  -- GUARD: absent, expired, revoked, or of another job; not told apart
  if v_shown is null then
    perform milepost_private.refuse(404, 'share_not_found',
      'Expected the token of a share link that holds; this one is unknown, has expired, or was revoked.',
      'Ask whoever gave it to you for a new link.');
  end if;
  return v_shown;
end;
$$;
comment on function milepost.shared_job(text, text) is
'The job of the share link whose token has this sha256, as a stranger may see it; with a job named, only if it is that one. Refuses with share_not_found.';
revoke execute on function milepost.shared_job(text, text) from public, anon, authenticated;
grant execute on function milepost.shared_job(text, text) to service_role;
