-- entry: one checkpoint of a request, parsed once.
do $$ begin
  if to_regtype('milepost_private.entry') is null then
    create type milepost_private.entry as (
      n                  int,
      job                text,
      job_id             uuid,
      worker             text,
      attempt            int,
      seq                bigint,
      is_duplicate       boolean,
      refusal            text,
      current_attempt    int,
      at                 timestamptz,
      state              text,
      reason             text,
      message            text,
      names_message      boolean,
      items_total        bigint,
      names_total        boolean,
      worker_items_total bigint,
      names_worker_total boolean,
      items_completed    bigint,
      items_failed       bigint,
      items_skipped      bigint,
      items_canceled     bigint,
      bytes_processed    bigint,
      batch              jsonb,
      stages             jsonb,
      items              jsonb,
      cursor             jsonb,
      names_cursor       boolean,
      rate_limited_until timestamptz,
      names_rate_limit   boolean,
      processing_deadline_ms bigint,
      names_deadline     boolean,
      metadata           jsonb,
      kind               text,
      name               text,
      unit               text,
      traceparent        text
    );
  end if;
end $$;
comment on type milepost_private.entry is
'One checkpoint as it was said. names_... tells a field that was said to be null from one that was left out.';

-- parse_checkpoints: a request's checkpoints, each with its job, attempt and seq found, and the reason if it is refused.
-- Call it with the jobs' rows locked: an entry without seq takes its lane's next one.

create or replace function milepost_private.parse_checkpoints(caller milepost_private.caller, checkpoints jsonb)
returns milepost_private.entry[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
  with said as materialized (
    select t.n, t.e, coalesce(r.worker, 'main') as lane, r.*
    from jsonb_array_elements(checkpoints) with ordinality as t (e, n),
    lateral jsonb_to_record(t.e) as r (
      job text, worker text, attempt int, seq bigint, at timestamptz, state text, reason text, message text,
      items_total bigint, worker_items_total bigint, items_completed bigint, items_failed bigint, items_skipped bigint,
      items_canceled bigint, bytes_processed bigint, batch jsonb, stage jsonb, items jsonb, cursor jsonb,
      rate_limited_until timestamptz, processing_deadline_ms bigint, metadata jsonb, kind text, name text, unit text, traceparent text)
  ), jobs as (
    select d.job, f.job_id, f.attempt, f.kind
    from (select distinct s.job from said s) d
    cross join lateral milepost_private.job_by_ref(caller.tenant_id, d.job) f
  ), numbered as (
    select s.*, max(s.seq) over (partition by s.job, s.lane) as last_seq,
           row_number() over (partition by s.job, s.lane, s.attempt, s.seq order by s.n) as nth
    from said s
  )
  select array_agg(row(
      s.n, s.job, j.job_id, s.lane, coalesce(s.attempt, j.attempt),
      -- Without seq, nth counts the lane's entries without one.
      coalesce(s.seq, least(greatest(l.seq, s.last_seq, -1)::numeric + s.nth, 9223372036854775806)::bigint),
      s.seq is not null and (s.nth > 1 or coalesce(l.seen @> s.seq, false)),
      case when coalesce(j.kind, s.kind, 'default') <> all (caller.kinds) or s.kind <> all (caller.kinds) then 'not_allowed'
           when j.job_id is null then case when s.attempt > 1 then 'unknown_attempt' else 'job_not_found' end
           when s.attempt < j.attempt then 'stale_attempt'
           when s.attempt > j.attempt then 'unknown_attempt' end,
      j.attempt, s.at, s.state, s.reason,
      s.message, s.e ? 'message', s.items_total, s.e ? 'items_total', s.worker_items_total, s.e ? 'worker_items_total',
      s.items_completed, s.items_failed, s.items_skipped, s.items_canceled, s.bytes_processed,
      s.batch, case jsonb_typeof(s.stage) when 'object' then jsonb_build_array(s.stage) when 'array' then s.stage end,
      case when jsonb_typeof(s.items) = 'array' then s.items end,
      nullif(s.cursor, 'null'), s.e ? 'cursor', s.rate_limited_until, s.e ? 'rate_limited_until',
      s.processing_deadline_ms, s.e ? 'processing_deadline_ms', nullif(s.metadata, 'null'), s.kind, s.name, s.unit, s.traceparent
    )::milepost_private.entry order by s.n)
  from numbered s
  left join jobs j on j.job = s.job
  left join milepost.lanes l on l.job_id = j.job_id and l.worker = s.lane);
end;
$$;
comment on function milepost_private.parse_checkpoints(milepost_private.caller, jsonb) is
'A request''s checkpoints as entries in their order; n counts from 1.';
revoke execute on function milepost_private.parse_checkpoints(milepost_private.caller, jsonb) from public, anon, authenticated;
grant execute on function milepost_private.parse_checkpoints(milepost_private.caller, jsonb) to service_role;
