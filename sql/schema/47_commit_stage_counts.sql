-- commit_stage_counts: a cursor commits what the lane's stages had counted when it was said.
create or replace function milepost_private.commit_stage_counts(entries milepost_private.entry[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update milepost_private.stage_lanes l set
    cursor_seq = c.seq,
    -- A cursor that was said to be null commits nothing: work would begin anew.
    cursor_completed = case when c.commits then l.items_completed else 0 end, cursor_failed = case when c.commits then l.items_failed else 0 end,
    cursor_skipped = case when c.commits then l.items_skipped else 0 end, cursor_canceled = case when c.commits then l.items_canceled else 0 end,
    cursor_bytes = case when c.commits then l.bytes_processed else 0 end
  from (select e.job_id, e.worker, max(e.seq) as seq, (array_agg(e.cursor order by e.seq desc))[1] is not null as commits
        from unnest(entries) e where e.names_cursor group by e.job_id, e.worker) c
  -- What the lane has said of the stage since is not in this cursor.
  where l.job_id = c.job_id and l.worker = c.worker and c.seq > l.cursor_seq and l.seq <= c.seq;
end;
$$;
comment on function milepost_private.commit_stage_counts(milepost_private.entry[]) is
'Keeps, for each lane that says a cursor, its stages'' counts as they are at it.';
revoke execute on function milepost_private.commit_stage_counts(milepost_private.entry[]) from public, anon, authenticated;
grant execute on function milepost_private.commit_stage_counts(milepost_private.entry[]) to service_role;
