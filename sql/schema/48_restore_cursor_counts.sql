-- restore_cursor_counts: what a lane had counted at its cursor, from its history. For what arrives out of order.
create or replace function milepost_private.restore_cursor_counts(job_id uuid, worker text)
returns void
language sql
volatile
set search_path = ''
as $$
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
    where c.job_id = m.job_id and c.worker = m.worker and c.attempt = m.attempt and c.seq <= m.cursor_seq
  ) h
  where m.job_id = restore_cursor_counts.job_id and m.worker = restore_cursor_counts.worker
    and l.job_id = m.job_id and l.worker = m.worker;
$$;
comment on function milepost_private.restore_cursor_counts(uuid, text) is
'Sets a lane''s counts at its cursor from its checkpoints of this attempt.';
revoke execute on function milepost_private.restore_cursor_counts(uuid, text) from public, anon, authenticated;
grant execute on function milepost_private.restore_cursor_counts(uuid, text) to service_role;
