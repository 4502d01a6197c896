-- said: a request's checkpoints as they came, in either shape:
--   {"checkpoints": [{"job": ..., "seq": ...}, ...]}
--   {"columns": {"jobs": [...], "workers": [...], "lane": "{1,1,2}", "seq": "{7,8,1}", "message": ["...", null, null], ...}}
-- The functions have read the request anyway and send columns, which are read several times faster: jobs and workers name the
-- lanes, `lane` says which of them a checkpoint is of, numbers are arrays as Postgres writes them, all else is JSON's, and
-- `nulls` has, also as such arrays, the places (from 1) at which a field was said to be null.
create or replace function milepost_private.said(body jsonb)
returns table (
  n int, lane int, job text, worker text, attempt int, seq bigint, at timestamptz, state text, reason text,
  message text, names_message boolean, items_total bigint, names_total boolean, worker_items_total bigint, names_worker_total boolean,
  items_completed bigint, items_failed bigint, items_skipped bigint, items_canceled bigint, bytes_processed bigint,
  batch jsonb, stages jsonb, items jsonb, cursor jsonb, names_cursor boolean, rate_limited_until timestamptz, names_rate_limit boolean,
  processing_deadline_ms bigint, names_deadline boolean, metadata jsonb, kind text, name text, unit text, traceparent text
)
language plpgsql
stable
rows 100
set search_path = ''
as $$
declare
  c         jsonb := body -> 'columns';
  v_jobs    text[];
  v_workers text[];
  -- Arrays, and not JSON that each row would have to be made into JSON for.
  v_no_message    int[] := (c -> 'nulls' ->> 'message')::int[];
  v_no_total      int[] := (c -> 'nulls' ->> 'items_total')::int[];
  v_no_share      int[] := (c -> 'nulls' ->> 'worker_items_total')::int[];
  v_no_cursor     int[] := (c -> 'nulls' ->> 'cursor')::int[];
  v_no_rate_limit int[] := (c -> 'nulls' ->> 'rate_limited_until')::int[];
  v_no_deadline   int[] := (c -> 'nulls' ->> 'processing_deadline_ms')::int[];
begin
  if c is null then
    return query
    select t.n::int, dense_rank() over (order by r.job collate "C", coalesce(r.worker, 'main') collate "C")::int,
           r.job, coalesce(r.worker, 'main'), r.attempt, r.seq, r.at, r.state, r.reason, r.message, t.e ? 'message',
           r.items_total, t.e ? 'items_total', r.worker_items_total, t.e ? 'worker_items_total', r.items_completed, r.items_failed,
           r.items_skipped, r.items_canceled, r.bytes_processed, r.batch,
           case jsonb_typeof(r.stage) when 'object' then jsonb_build_array(r.stage) when 'array' then r.stage end,
           case when jsonb_typeof(r.items) = 'array' then r.items end,
           r.cursor, t.e ? 'cursor', r.rate_limited_until, t.e ? 'rate_limited_until', r.processing_deadline_ms,
           t.e ? 'processing_deadline_ms', r.metadata, r.kind, r.name, r.unit, r.traceparent
    from jsonb_array_elements(body -> 'checkpoints') with ordinality as t (e, n),
    lateral jsonb_to_record(t.e) as r (
      job text, worker text, attempt int, seq bigint, at timestamptz, state text, reason text, message text,
      items_total bigint, worker_items_total bigint, items_completed bigint, items_failed bigint, items_skipped bigint,
      items_canceled bigint, bytes_processed bigint, batch jsonb, stage jsonb, items jsonb, cursor jsonb,
      rate_limited_until timestamptz, processing_deadline_ms bigint, metadata jsonb, kind text, name text, unit text, traceparent text);
    return;
  end if;
  v_jobs := array(select jsonb_array_elements_text(c -> 'jobs'));
  v_workers := array(select jsonb_array_elements_text(c -> 'workers'));
  return query
  select t.n::int, t.lane, v_jobs[t.lane], v_workers[t.lane], t.attempt, t.seq, t.at::timestamptz, t.state, t.reason,
         t.message, t.message is not null or coalesce(t.n = any (v_no_message), false),
         t.items_total, t.items_total is not null or coalesce(t.n = any (v_no_total), false),
         t.worker_items_total, t.worker_items_total is not null or coalesce(t.n = any (v_no_share), false),
         t.items_completed, t.items_failed, t.items_skipped, t.items_canceled, t.bytes_processed, nullif(t.batch, 'null'),
         case jsonb_typeof(t.stage) when 'object' then jsonb_build_array(t.stage) when 'array' then t.stage end,
         nullif(t.items, 'null'), nullif(t.cursor, 'null'), nullif(t.cursor, 'null') is not null or coalesce(t.n = any (v_no_cursor), false),
         t.rate_limited_until::timestamptz, t.rate_limited_until is not null or coalesce(t.n = any (v_no_rate_limit), false),
         t.processing_deadline_ms, t.processing_deadline_ms is not null or coalesce(t.n = any (v_no_deadline), false),
         nullif(t.metadata, 'null'), t.kind, t.name, t.unit, t.traceparent
  from rows from (
    unnest((c ->> 'lane')::int[]), unnest((c ->> 'attempt')::int[]), unnest((c ->> 'seq')::bigint[]),
    jsonb_array_elements_text(c -> 'at'), jsonb_array_elements_text(c -> 'state'), jsonb_array_elements_text(c -> 'reason'),
    jsonb_array_elements_text(c -> 'message'), unnest((c ->> 'items_total')::bigint[]), unnest((c ->> 'worker_items_total')::bigint[]),
    unnest((c ->> 'items_completed')::bigint[]), unnest((c ->> 'items_failed')::bigint[]), unnest((c ->> 'items_skipped')::bigint[]),
    unnest((c ->> 'items_canceled')::bigint[]), unnest((c ->> 'bytes_processed')::bigint[]), jsonb_array_elements(c -> 'batch'),
    jsonb_array_elements(c -> 'stage'), jsonb_array_elements(c -> 'items'), jsonb_array_elements(c -> 'cursor'),
    jsonb_array_elements_text(c -> 'rate_limited_until'), unnest((c ->> 'processing_deadline_ms')::bigint[]),
    jsonb_array_elements(c -> 'metadata'), jsonb_array_elements_text(c -> 'kind'), jsonb_array_elements_text(c -> 'name'),
    jsonb_array_elements_text(c -> 'unit'), jsonb_array_elements_text(c -> 'traceparent')
  ) with ordinality as t (lane, attempt, seq, at, state, reason, message, items_total, worker_items_total, items_completed,
    items_failed, items_skipped, items_canceled, bytes_processed, batch, stage, items, cursor, rate_limited_until,
    processing_deadline_ms, metadata, kind, name, unit, traceparent, n);
end;
$$;
comment on function milepost_private.said(jsonb) is
'The checkpoints of a request, from objects or from columns, in their order; n counts from 1, lane numbers the pairs of job and worker.';
revoke execute on function milepost_private.said(jsonb) from public, anon, authenticated;
grant execute on function milepost_private.said(jsonb) to service_role;
