-- stream_events: events in an order in which nothing can appear behind a reader's back.
-- An event's id is drawn before its transaction commits, so a reader that only remembers the greatest id it saw could miss one.
-- Every writer therefore holds, until it commits, a shared advisory lock that names the last id drawn before its own
-- (emit); what is at or below the least of these names is complete.

create or replace function milepost.stream_events(tenant_ids uuid[], after bigint default null, "limit" int default 1000)
returns jsonb
language plpgsql
volatile                          -- each statement needs a snapshot of its own: first the horizon, then what is below it
set search_path = ''
as $$
declare
  v_drawn   bigint := coalesce(pg_catalog.pg_sequence_last_value('milepost.events_event_id_seq'::regclass), 0);
  v_writing bigint;
  v_horizon bigint;
  v_events  jsonb;
  v_last    bigint;
begin
  select min((l.classid::bigint << 32 | l.objid::bigint) - milepost_private.stream_lock_base()) into v_writing
  from pg_catalog.pg_locks l
  where l.locktype = 'advisory' and l.objsubid = 1
    and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
    and l.classid::bigint >> 16 = milepost_private.stream_lock_base() >> 48;
  -- A lock may name an id that was the last one a while ago, so the horizon can fall; a reader's place never does.
  v_horizon := greatest(after, least(v_drawn, v_writing));
  -- GUARD: only where the stream is now
  if after is null then
    return jsonb_build_object('after', v_horizon, 'events', '[]'::jsonb);
  end if;
  -- Who is far behind catches up in parts, and none of them sorts more than this.
  v_horizon := least(v_horizon, after + 50000);
  select coalesce(jsonb_agg(e.event order by e.event_id), '[]'), max(e.event_id) filter (where e.place = stream_events."limit")
  into v_events, v_last
  from (
    select x.event_id, row_number() over (order by x.event_id) as place,
           jsonb_build_object('id', x.event_id, 'tenant_id', x.tenant_id, 'job_id', x.job_id, 'version', x.version, 'type', x.type,
             'ts', milepost_private.iso(x.ts), 'correlation_id', x.correlation_id, 'data', x.data) as event
    from milepost.events x
    where x.tenant_id = any (stream_events.tenant_ids) and x.event_id > stream_events.after and x.event_id <= v_horizon
      and x.ts > now() - interval '1 day'
    order by x.event_id
    limit stream_events."limit"
  ) e;
  return jsonb_build_object('after', coalesce(v_last, v_horizon), 'events', v_events);
end;
$$;
comment on function milepost.stream_events(uuid[], bigint, int) is
'Events of these tenants after the given id, of the last day, in an order that loses none: {"after", "events"}. Without an id: where to begin.';
revoke execute on function milepost.stream_events(uuid[], bigint, int) from public, anon, authenticated;
grant execute on function milepost.stream_events(uuid[], bigint, int) to service_role;
