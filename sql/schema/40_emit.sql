-- emit: append events to jobs. The only place that raises a version.
do $$ begin
  if to_regtype('milepost_private.event_draft') is null then
    create type milepost_private.event_draft as (job_id uuid, type text, data jsonb);
  end if;
end $$;
comment on type milepost_private.event_draft is 'An event before it has its version.';

create or replace function milepost_private.emit(drafts milepost_private.event_draft[], at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- Before an id is drawn: see stream_events.
  perform pg_advisory_xact_lock_shared(milepost_private.stream_lock_base()
    + coalesce(pg_catalog.pg_sequence_last_value('milepost.events_event_id_seq'::regclass), 0));
  with drafted as (
    select d.job_id, d.type, d.data, row_number() over (partition by d.job_id order by d.n) as nth
    from unnest(drafts) with ordinality as d (job_id, type, data, n)
  ), raised as (
    -- The job's row lock makes versions gapless: whoever raises it holds it until the end of the transaction.
    update milepost.jobs j set version = j.version + c.events
    from (select job_id, count(*) as events from drafted group by job_id) c
    where j.job_id = c.job_id
    returning j.job_id, j.tenant_id, j.version - c.events as before
  )
  insert into milepost.events (tenant_id, job_id, version, type, ts, correlation_id, data)
  select r.tenant_id, d.job_id, r.before + d.nth, d.type, at, milepost_private.correlation_id(), d.data
  from drafted d join raised r on r.job_id = d.job_id
  order by d.job_id, d.nth;
end;
$$;
comment on function milepost_private.emit(milepost_private.event_draft[], timestamptz) is
'Appends events; each raises its job''s version by one. The caller holds the jobs'' row locks.';
revoke execute on function milepost_private.emit(milepost_private.event_draft[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.emit(milepost_private.event_draft[], timestamptz) to service_role;
