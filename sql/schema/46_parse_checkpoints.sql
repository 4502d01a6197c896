-- parse_checkpoints: a request's checkpoints, each with its job, attempt and seq found, and the reason if it is refused.
-- Call it with the jobs' rows locked: an entry without seq takes its lane's next one.
create or replace function milepost_private.parse_checkpoints(
  caller milepost_private.caller, body jsonb, refs text[], job_ids uuid[], at timestamptz,
  out entries milepost_private.entry[], out some_refused boolean, out some_stages boolean, out some_items boolean, out some_cursors boolean,
  out some_facts boolean
)
returns record
language plpgsql
stable
set search_path = ''
as $$
begin
  with said as materialized (
    select * from milepost_private.said(body)
  ), known as materialized (
    select d.lane, j.job_id, j.attempt, j.kind, l.seq, l.seen
    from (select distinct s.lane, s.job, s.worker from said s) d
    left join unnest(refs, job_ids) as r (job, job_id) on r.job = d.job
    left join milepost.jobs j on j.job_id = r.job_id
    left join milepost.lanes l on l.job_id = j.job_id and l.worker = d.worker
  ), places as materialized (
    -- Apart from all else that was said: a window keeps and copies whole rows.
    select g.*, max(g.seq) over (partition by g.lane) as last_seq,
           max(g.at) filter (where g.refusal is null) over (partition by g.lane) as last_at,
           row_number() over (partition by g.lane, g.attempt, g.seq order by g.n) as nth
    from (
      select s.n, s.lane, s.attempt, s.seq, s.at, k.job_id, k.attempt as current_attempt, k.seq as lane_seq, k.seen,
             case when coalesce(k.kind, s.kind, 'default') <> all (caller.kinds) or s.kind <> all (caller.kinds) then 'not_allowed'
                  when k.job_id is null then case when s.attempt > 1 then 'unknown_attempt' else 'job_not_found' end
                  when s.attempt < k.attempt then 'stale_attempt'
                  when s.attempt > k.attempt then 'unknown_attempt' end as refusal
      from said s join known k on k.lane = s.lane
    ) g
  )
  select array_agg(row(
      s.n, s.job, p.job_id, s.worker, coalesce(s.attempt, p.current_attempt),
      -- Without seq, nth counts the lane's entries without one.
      coalesce(s.seq, least(greatest(p.lane_seq, p.last_seq, -1)::numeric + p.nth, 9223372036854775806)::bigint),
      s.seq is not null and (p.nth > 1 or coalesce(p.seen @> s.seq, false)),
      p.refusal, p.current_attempt, coalesce(parse_checkpoints.at - (p.last_at - s.at), parse_checkpoints.at), s.state, s.reason,
      s.message, s.names_message, s.items_total, s.names_total, s.worker_items_total, s.names_worker_total,
      s.items_completed, s.items_failed, s.items_skipped, s.items_canceled, s.bytes_processed,
      s.batch, s.stages, s.items, s.cursor, s.names_cursor, s.rate_limited_until, s.names_rate_limit,
      s.processing_deadline_ms, s.names_deadline, s.metadata, s.kind, s.name, s.unit, s.traceparent
    )::milepost_private.entry),
    bool_or(p.refusal is not null), bool_or(s.stages is not null), bool_or(s.items is not null), bool_or(s.names_cursor),
    bool_or(s.names_rate_limit or s.names_deadline or coalesce(s.kind, s.name, s.unit) is not null or s.metadata is not null)
  into entries, some_refused, some_stages, some_items, some_cursors, some_facts
  from said s join places p on p.n = s.n;
end;
$$;
comment on function milepost_private.parse_checkpoints(milepost_private.caller, jsonb, text[], uuid[], timestamptz) is
'A request''s checkpoints as entries in no order, and whether some are refused, have stages, items, cursors or facts. refs and job_ids say which job is meant by which name.';
revoke execute on function milepost_private.parse_checkpoints(milepost_private.caller, jsonb, text[], uuid[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.parse_checkpoints(milepost_private.caller, jsonb, text[], uuid[], timestamptz) to service_role;
