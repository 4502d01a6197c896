-- resume_json: a job as create and claim answer it: each lane with its counts at its last cursor, from which a worker counts on.
create or replace function milepost_private.resume_json(job_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return milepost_private.job_json(resume_json.job_id) || jsonb_build_object('workers', (
    select coalesce(jsonb_agg(milepost_private.lane_json(l) || jsonb_build_object(
        'items_completed', l.cursor_completed, 'items_failed', l.cursor_failed, 'items_skipped', l.cursor_skipped,
        'items_canceled', l.cursor_canceled, 'bytes_processed', l.cursor_bytes,
        'stages', (select coalesce(jsonb_agg(jsonb_build_object('name', s.stage, 'items_completed', s.cursor_completed,
            'items_failed', s.cursor_failed, 'items_skipped', s.cursor_skipped, 'items_canceled', s.cursor_canceled,
            'bytes_processed', s.cursor_bytes) order by s.stage), '[]')
          from milepost_private.stage_lanes s where s.job_id = l.job_id and s.worker = l.worker)
      ) order by l.worker), '[]')
    from milepost.lanes l where l.job_id = resume_json.job_id));
end;
$$;
comment on function milepost_private.resume_json(uuid) is
'A job with its lanes'' counts, and their stages'' counts, at their last cursors.';
revoke execute on function milepost_private.resume_json(uuid) from public, anon, authenticated;
grant execute on function milepost_private.resume_json(uuid) to service_role;
