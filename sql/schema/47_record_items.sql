-- record_items: what entries say of items. Of each lane its greatest (attempt, seq) counts; between lanes a settled state
-- beats an unsettled one, then the later receipt wins. The words of lanes that lost are kept beside the item (others),
-- so that what arrives late is compared with its own lane's word.
create or replace function milepost_private.record_items(entries milepost_private.entry[], at timestamptz)
returns milepost_private.event_draft[]
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_drafts milepost_private.event_draft[];
begin
  with said as (
    select distinct on (m.job_id, m.stage, m.key, m.worker) m.*
    from (
      select e.job_id, e.worker, e.attempt, e.seq, e.n, r.key, r.state, r.percent, r.duration_ms,
             nullif(r.payload, 'null') as payload, r.error,
             coalesce(r.stage, case when jsonb_array_length(e.stages) = 1 then e.stages -> 0 ->> 'name' end, '') as stage, i.k
      from unnest(entries) e, jsonb_array_elements(e.items) with ordinality as i (value, k),
      lateral jsonb_to_record(i.value) as r (key text, stage text, state text, percent double precision,
        duration_ms double precision, payload jsonb, error text)
    ) m
    order by m.job_id, m.stage, m.key, m.worker, m.attempt desc, m.seq desc, m.n desc, m.k desc
  ), touched as (
    select distinct s.job_id, s.stage, s.key from said s
  ), known as (
    select i.* from milepost.items i join touched t on (t.job_id, t.stage, t.key) = (i.job_id, i.stage, i.key)
  ), words as (
    -- Each lane's last word: what was kept, and what was said now.
    select distinct on (w.job_id, w.stage, w.key, w.worker) w.*
    from (
      select s.job_id, s.stage, s.key, s.worker, s.attempt, s.seq, s.state, s.percent, s.duration_ms, s.payload, s.error,
             record_items.at as received_at, s.n, false as was_kept
      from said s
      union all
      select k.job_id, k.stage, k.key, k.worker, k.attempt, k.seq, k.state, k.percent, k.duration_ms, k.payload, k.error,
             k.received_at, 0, true
      from known k
      union all
      select k.job_id, k.stage, k.key, o.key, r.attempt, r.seq, r.state, r.percent, r.duration_ms, r.payload, r.error,
             r.received_at, 0, true
      from known k, jsonb_each(k.others) o,
      lateral jsonb_to_record(o.value) as r (attempt int, seq bigint, state text, percent double precision,
        duration_ms double precision, payload jsonb, error text, received_at timestamptz)
    ) w
    order by w.job_id, w.stage, w.key, w.worker, w.attempt desc, w.seq desc, w.was_kept desc
  ), ranked as (
    select w.*, row_number() over (
             partition by w.job_id, w.stage, w.key
             order by w.state in ('completed', 'failed', 'skipped', 'canceled') desc, w.received_at desc, w.n desc, w.worker
           ) as place
    from words w
  ), won as (
    select r.*, (
      select jsonb_object_agg(l.worker, jsonb_build_object('attempt', l.attempt, 'seq', l.seq, 'state', l.state,
               'percent', l.percent, 'duration_ms', l.duration_ms, 'payload', l.payload, 'error', l.error,
               'received_at', l.received_at))
      from ranked l where (l.job_id, l.stage, l.key) = (r.job_id, r.stage, r.key) and l.place > 1
    ) as others
    from ranked r where r.place = 1
  ), kept as (
    insert into milepost.items as i (tenant_id, job_id, stage, key, state, percent, duration_ms, payload, error, worker,
                                     attempt, seq, received_at, others)
    select j.tenant_id, w.job_id, w.stage, w.key, w.state,
           case when w.state = 'completed' then 100 else w.percent end, w.duration_ms, w.payload, w.error, w.worker,
           w.attempt, w.seq, w.received_at, w.others
    from won w join milepost.jobs j on j.job_id = w.job_id
    order by w.job_id, w.stage, w.key
    on conflict on constraint items_pkey do update set
      state = excluded.state, percent = excluded.percent, duration_ms = excluded.duration_ms, payload = excluded.payload,
      error = excluded.error, worker = excluded.worker, attempt = excluded.attempt, seq = excluded.seq,
      received_at = excluded.received_at, others = excluded.others
  ), tally as (
    insert into milepost_private.item_tallies as t (job_id, stage, completed, failed, skipped, canceled)
    select w.job_id, w.stage,
           count(*) filter (where w.state = 'completed') - count(*) filter (where k.state = 'completed'),
           count(*) filter (where w.state = 'failed')    - count(*) filter (where k.state = 'failed'),
           count(*) filter (where w.state = 'skipped')   - count(*) filter (where k.state = 'skipped'),
           count(*) filter (where w.state = 'canceled')  - count(*) filter (where k.state = 'canceled')
    from won w left join known k on (k.job_id, k.stage, k.key) = (w.job_id, w.stage, w.key)
    group by w.job_id, w.stage
    order by w.job_id, w.stage
    on conflict on constraint item_tallies_pkey do update set
      completed = t.completed + excluded.completed, failed = t.failed + excluded.failed,
      skipped = t.skipped + excluded.skipped, canceled = t.canceled + excluded.canceled
  )
  select array_agg(row(w.job_id, 'item.changed', jsonb_build_object(
      'key', w.key, 'stage', nullif(w.stage, ''), 'state', w.state, 'prior_state', k.state, 'percent', w.percent,
      'duration_ms', w.duration_ms, 'payload', w.payload, 'error', w.error, 'worker', w.worker
    ))::milepost_private.event_draft order by w.job_id, w.n, w.stage, w.key) into v_drafts
  from won w left join known k on (k.job_id, k.stage, k.key) = (w.job_id, w.stage, w.key)
  where w.state <> coalesce(k.state, 'pending');
  return v_drafts;
end;
$$;
comment on function milepost_private.record_items(milepost_private.entry[], timestamptz) is
'Records what checkpoints say of items, keeps the tallies and returns the item.changed events.';
revoke execute on function milepost_private.record_items(milepost_private.entry[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.record_items(milepost_private.entry[], timestamptz) to service_role;
