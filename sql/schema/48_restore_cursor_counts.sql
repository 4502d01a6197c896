-- restore_cursor_counts: what a lane and its stages had counted at its cursor, from its history. For what arrives out of order.
create or replace function milepost_private.restore_cursor_counts(job_id uuid, worker text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update milepost.lanes l set
    cursor_completed = coalesce(h.completed, 0), cursor_failed = coalesce(h.failed, 0),
    cursor_skipped = coalesce(h.skipped, 0), cursor_canceled = coalesce(h.canceled, 0), cursor_bytes = coalesce(h.bytes, 0)
  from milepost.lanes m
  cross join lateral (
    select max(c.items_completed) as completed, max(c.bytes_processed) as bytes,
           (array_agg(c.items_failed order by c.seq desc) filter (where c.items_failed is not null))[1] as failed,
           (array_agg(c.items_skipped order by c.seq desc) filter (where c.items_skipped is not null))[1] as skipped,
           (array_agg(c.items_canceled order by c.seq desc) filter (where c.items_canceled is not null))[1] as canceled
    from milepost.checkpoints c
    where c.job_id = m.job_id and c.worker = m.worker and c.attempt = m.attempt and c.seq <= m.cursor_seq and m.cursor is not null
  ) h
  where m.job_id = restore_cursor_counts.job_id and m.worker = restore_cursor_counts.worker
    and l.job_id = m.job_id and l.worker = m.worker;

  update milepost_private.stage_lanes s set
    cursor_seq = m.cursor_seq,
    cursor_completed = coalesce(h.completed, 0), cursor_failed = coalesce(h.failed, 0),
    cursor_skipped = coalesce(h.skipped, 0), cursor_canceled = coalesce(h.canceled, 0), cursor_bytes = coalesce(h.bytes, 0)
  from milepost.lanes m
  join milepost_private.stage_lanes n on n.job_id = m.job_id and n.worker = m.worker
  cross join lateral (
    select max(r.items_completed) as completed, max(r.bytes_processed) as bytes,
           (array_agg(r.items_failed order by c.seq desc) filter (where r.items_failed is not null))[1] as failed,
           (array_agg(r.items_skipped order by c.seq desc) filter (where r.items_skipped is not null))[1] as skipped,
           (array_agg(r.items_canceled order by c.seq desc) filter (where r.items_canceled is not null))[1] as canceled
    from milepost.checkpoints c,
    lateral jsonb_to_recordset(c.stages) as r (name text, items_completed bigint, items_failed bigint, items_skipped bigint,
      items_canceled bigint, bytes_processed bigint)
    where c.job_id = m.job_id and c.worker = m.worker and c.attempt = m.attempt and c.seq <= m.cursor_seq
      and m.cursor is not null and r.name = n.stage
  ) h
  where m.job_id = restore_cursor_counts.job_id and m.worker = restore_cursor_counts.worker
    and s.job_id = n.job_id and s.stage = n.stage and s.worker = n.worker;
end;
$$;
comment on function milepost_private.restore_cursor_counts(uuid, text) is
'Sets a lane''s counts at its cursor, and those of its stages, from its checkpoints of this attempt.';
revoke execute on function milepost_private.restore_cursor_counts(uuid, text) from public, anon, authenticated;
grant execute on function milepost_private.restore_cursor_counts(uuid, text) to service_role;
