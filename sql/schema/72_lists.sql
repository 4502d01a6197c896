-- list_items, list_checkpoints, list_events: what belongs to one job, keyset paged.
create or replace function milepost.list_items(
  job_id text, state text[] default null, stage text default null, q text default null, "limit" int default 50, after text default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job   uuid := (milepost_private.visible_job(job_id)).job_id;
  v_size  int := milepost_private.page_size("limit");
  v_after jsonb := milepost_private.page_after(after, '{bigint}');
begin
  return (
    with page as (
      select i.*, row_number() over (order by i.item_id) as place
      from milepost.items i
      where i.job_id = v_job
        and (list_items.state is null or i.state = any (list_items.state))
        and (list_items.stage is null or i.stage = list_items.stage)
        and (list_items.q is null or strpos(lower(i.key || ' ' || coalesce(i.error, '')), lower(list_items.q)) > 0)
        and (v_after is null or i.item_id > (v_after ->> 0)::bigint)
      order by i.item_id
      limit v_size + 1
    )
    select jsonb_build_object(
      'items', coalesce(jsonb_agg(jsonb_build_object(
        'key', p.key, 'stage', nullif(p.stage, ''), 'state', p.state, 'percent', p.percent, 'duration_ms', p.duration_ms,
        'payload', p.payload, 'error', p.error, 'worker', p.worker, 'attempt', p.attempt,
        'updated_at', milepost_private.iso(p.received_at)) order by p.place) filter (where p.place <= v_size), '[]'),
      'next', case when count(*) > v_size then milepost_private.page_cursor(
        jsonb_build_array(max(p.item_id) filter (where p.place = v_size))) end)
    from page p);
end;
$$;
comment on function milepost.list_items(text, text[], text, text, int, text) is
'A job''s items in the order of their first appearance: {"items", "next"}.';
revoke execute on function milepost.list_items(text, text[], text, text, int, text) from public, anon, authenticated;
grant execute on function milepost.list_items(text, text[], text, text, int, text) to authenticated, service_role;

create or replace function milepost.list_checkpoints(job_id text, "limit" int default 50, after text default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job   milepost.jobs := milepost_private.visible_job(job_id);
  v_size  int := milepost_private.page_size("limit");
  v_after jsonb := milepost_private.page_after(after, '{bigint}');
begin
  return (
    with page as (
      select c.*, row_number() over (order by c.checkpoint_id desc) as place
      from milepost.checkpoints c
      -- The job's first day on: older partitions are not looked at.
      where c.job_id = v_job.job_id and c.received_at >= v_job.created_at - interval '1 second'
        and (v_after is null or c.checkpoint_id < (v_after ->> 0)::bigint)
      order by c.checkpoint_id desc
      limit v_size + 1
    )
    select jsonb_build_object(
      'checkpoints', coalesce(jsonb_agg(jsonb_build_object(
        'worker', p.worker, 'attempt', p.attempt, 'seq', p.seq, 'at', milepost_private.iso(p.at),
        'received_at', milepost_private.iso(p.received_at), 'state', p.state, 'items_total', p.items_total,
        'items_completed', p.items_completed, 'items_failed', p.items_failed, 'items_skipped', p.items_skipped,
        'items_canceled', p.items_canceled, 'bytes_processed', p.bytes_processed,
        'batch', case when p.batch_items is not null or p.batch_duration_ms is not null or p.batch_bytes is not null then
          jsonb_build_object('items', p.batch_items, 'duration_ms', p.batch_duration_ms, 'bytes', p.batch_bytes) end,
        'stages', p.stages, 'message', p.message, 'has_cursor', p.has_cursor,
        'job_done', p.job_done, 'job_total', p.job_total, 'traceparent', p.traceparent) order by p.place) filter (where p.place <= v_size), '[]'),
      'next', case when count(*) > v_size then milepost_private.page_cursor(
        jsonb_build_array(max(p.checkpoint_id) filter (where p.place = v_size))) end)
    from page p);
end;
$$;
comment on function milepost.list_checkpoints(text, int, text) is 'A job''s checkpoints, newest first: {"checkpoints", "next"}.';
revoke execute on function milepost.list_checkpoints(text, int, text) from public, anon, authenticated;
grant execute on function milepost.list_checkpoints(text, int, text) to authenticated, service_role;

create or replace function milepost.list_events(job_id text, type text[] default null, "limit" int default 50, after text default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job   milepost.jobs := milepost_private.visible_job(job_id);
  v_size  int := milepost_private.page_size("limit");
  v_after jsonb := milepost_private.page_after(after, '{bigint}');
begin
  return (
    with page as (
      select e.*, row_number() over (order by e.version desc) as place
      from milepost.events e
      where e.job_id = v_job.job_id and e.ts >= v_job.created_at - interval '1 second'
        and (list_events.type is null or e.type = any (list_events.type))
        and (v_after is null or e.version < (v_after ->> 0)::bigint)
      order by e.version desc
      limit v_size + 1
    )
    select jsonb_build_object(
      'events', coalesce(jsonb_agg(jsonb_build_object(
        'id', p.event_id, 'version', p.version, 'type', p.type, 'ts', milepost_private.iso(p.ts),
        'correlation_id', p.correlation_id, 'data', p.data) order by p.place) filter (where p.place <= v_size), '[]'),
      'next', case when count(*) > v_size then milepost_private.page_cursor(
        jsonb_build_array(max(p.version) filter (where p.place = v_size))) end)
    from page p);
end;
$$;
comment on function milepost.list_events(text, text[], int, text) is 'A job''s events, newest first: {"events", "next"}.';
revoke execute on function milepost.list_events(text, text[], int, text) from public, anon, authenticated;
grant execute on function milepost.list_events(text, text[], int, text) to authenticated, service_role;
