-- begin_attempt: the next attempt of a job. Raising the attempt fences every worker of the old one at once.
-- Each lane goes back to its counts at its last cursor, since what came after was not committed.
create or replace function milepost_private.begin_attempt(job_id uuid, at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update milepost.jobs j set
    attempt = j.attempt + 1, max_attempts = greatest(j.max_attempts, j.attempt + 1), attempt_started_at = null,
    error = null, rate_limited_until = null
  where j.job_id = begin_attempt.job_id;

  update milepost.lanes l set
    items_completed = l.cursor_completed, items_failed = l.cursor_failed, items_skipped = l.cursor_skipped,
    items_canceled = l.cursor_canceled, bytes_processed = l.cursor_bytes,
    seq = -1, seen = '{}', state = 'running', state_seq = -1, failed_seq = -1, skipped_seq = -1, canceled_seq = -1,
    total_seq = -1, worker_total_seq = -1, message_seq = -1, rate_limited_seq = -1, deadline_seq = -1,
    metadata_seq = -1, kind_seq = -1, name_seq = -1, unit_seq = -1, cursor_seq = -1
  where l.job_id = begin_attempt.job_id;

  update milepost_private.stage_lanes l set
    items_completed = l.cursor_completed, items_failed = l.cursor_failed, items_skipped = l.cursor_skipped,
    items_canceled = l.cursor_canceled, bytes_processed = l.cursor_bytes,
    seq = -1, state = case when l.state in ('completed', 'skipped') then l.state end, state_seq = -1,
    failed_seq = -1, skipped_seq = -1, canceled_seq = -1, total_seq = -1, weight_seq = -1, cursor_seq = -1
  where l.job_id = begin_attempt.job_id;

  update milepost.lanes l set first_work = milepost_private.lane_work(l) where l.job_id = begin_attempt.job_id;

  -- What each lane begins with is part of its history: a cursor that arrives late is counted from here.
  insert into milepost.checkpoints (tenant_id, job_id, attempt, worker, seq, at, received_at, items_completed,
                                    items_failed, items_skipped, items_canceled, bytes_processed, has_cursor, stages)
  select l.tenant_id, l.job_id, j.attempt, l.worker, -1, begin_attempt.at, begin_attempt.at, l.items_completed,
         l.items_failed, l.items_skipped, l.items_canceled, l.bytes_processed, l.cursor is not null,
         (select jsonb_agg(jsonb_build_object('name', s.stage, 'items_completed', s.items_completed, 'items_failed', s.items_failed,
            'items_skipped', s.items_skipped, 'items_canceled', s.items_canceled, 'bytes_processed', s.bytes_processed))
          from milepost_private.stage_lanes s where s.job_id = l.job_id and s.worker = l.worker)
  from milepost.lanes l join milepost.jobs j on j.job_id = l.job_id
  where l.job_id = begin_attempt.job_id;

  update milepost.items i set state = 'pending', percent = null, others = null
  where i.job_id = begin_attempt.job_id and i.state = 'processing';

  update milepost.stages s set state = 'pending', finished_at = null
  where s.job_id = begin_attempt.job_id and s.state in ('running', 'failed', 'canceled');

  perform milepost_private.sum_job(begin_attempt.job_id);

  update milepost_private.pulses p set
    rhythm = milepost_private.rhythm_step(p.rhythm, milepost_private.active_clock(p.active_s, p.active_at, p.running, begin_attempt.at),
                                          f.work_done + j.items_skipped, 'retry'),
    pace = milepost_private.pace_step(p.pace, milepost_private.active_clock(p.active_s, p.active_at, p.running, begin_attempt.at),
                                      f.work_done, f.items_pending),
    settled = f.work_done + j.items_skipped,
    effort = case when not p.effort is null then milepost_private.pace_step(
      p.effort, milepost_private.active_clock(p.active_s, p.active_at, p.running, begin_attempt.at), s.effort, 100 - s.effort) end,
    -- Its lanes may be others from now on.
    last_lane = null
  from milepost.jobs j,
  lateral milepost_private.figures(j, null, null, begin_attempt.at) f,
  lateral milepost_private.effort(j, (select (k.pace).stages from milepost_private.kinds k
                                      where k.tenant_id = j.tenant_id and k.kind = j.kind)) s (effort)
  -- A composite `is not null` only where all of its fields are.
  where j.job_id = begin_attempt.job_id and p.job_id = j.job_id and not p.pace is null;
end;
$$;
comment on function milepost_private.begin_attempt(uuid, timestamptz) is
'Begins the next attempt: fences the old one, puts lanes back to their counts at their last cursor and items in processing back to pending.';
revoke execute on function milepost_private.begin_attempt(uuid, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.begin_attempt(uuid, timestamptz) to service_role;
