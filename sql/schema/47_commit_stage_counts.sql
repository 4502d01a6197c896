-- commit_stage_counts: a cursor commits what the lane's stages had counted when it was said.
create or replace function milepost_private.commit_stage_counts(entries milepost_private.entry[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update milepost_private.stage_lanes l set
    cursor_seq = c.seq, cursor_completed = l.items_completed, cursor_failed = l.items_failed,
    cursor_skipped = l.items_skipped, cursor_canceled = l.items_canceled, cursor_bytes = l.bytes_processed
  from (select e.job_id, e.worker, max(e.seq) as seq from unnest(entries) e where e.names_cursor group by e.job_id, e.worker) c
  -- What the lane has said of the stage since is not in this cursor.
  where l.job_id = c.job_id and l.worker = c.worker and c.seq >= l.cursor_seq and l.seq <= c.seq;
end;
$$;
comment on function milepost_private.commit_stage_counts(milepost_private.entry[]) is
'Keeps, for each lane that says a cursor, its stages'' counts as they are at it.';
revoke execute on function milepost_private.commit_stage_counts(milepost_private.entry[]) from public, anon, authenticated;
grant execute on function milepost_private.commit_stage_counts(milepost_private.entry[]) to service_role;
