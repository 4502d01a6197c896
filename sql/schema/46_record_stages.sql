-- record_stage_lanes: what each lane says of each stage, by the lanes' rules.
create or replace function milepost_private.record_stage_lanes(entries milepost_private.entry[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  with said as (
    select e.job_id, r.name as stage, e.worker, e.attempt, e.seq, r.state, r.items_total,
           s.value ? 'items_total' as names_total, r.items_completed, r.items_failed, r.items_skipped, r.items_canceled,
           r.bytes_processed, r.weight
    from unnest(entries) e, jsonb_array_elements(e.stages) as s (value),
    lateral jsonb_to_record(s.value) as r (name text, state text, items_total bigint, items_completed bigint,
      items_failed bigint, items_skipped bigint, items_canceled bigint, bytes_processed bigint, weight double precision)
  ), folded as (
    select d.job_id, d.stage, d.worker, max(d.attempt) as attempt, max(d.seq) as seq,
           (array_agg(d.state order by d.seq desc) filter (where d.state is not null))[1] as state,
           max(d.seq) filter (where d.state is not null) as state_seq,
           bool_or(coalesce(d.items_completed, d.items_failed, d.items_skipped, d.items_canceled) is not null) as reported,
           max(d.items_completed) as completed, max(d.bytes_processed) as bytes,
           (array_agg(d.items_failed order by d.seq desc) filter (where d.items_failed is not null))[1] as failed,
           max(d.seq) filter (where d.items_failed is not null) as failed_seq,
           (array_agg(d.items_skipped order by d.seq desc) filter (where d.items_skipped is not null))[1] as skipped,
           max(d.seq) filter (where d.items_skipped is not null) as skipped_seq,
           (array_agg(d.items_canceled order by d.seq desc) filter (where d.items_canceled is not null))[1] as canceled,
           max(d.seq) filter (where d.items_canceled is not null) as canceled_seq,
           (array_agg(d.items_total order by d.seq desc) filter (where d.names_total))[1] as total,
           max(d.seq) filter (where d.names_total) as total_seq,
           (array_agg(d.weight order by d.seq desc) filter (where d.weight is not null))[1] as weight,
           max(d.seq) filter (where d.weight is not null) as weight_seq
    from said d group by d.job_id, d.stage, d.worker
  )
  insert into milepost_private.stage_lanes as l (job_id, stage, worker, attempt, seq, state, state_seq, counts_reported,
    items_completed, bytes_processed, items_failed, failed_seq, items_skipped, skipped_seq, items_canceled, canceled_seq,
    items_total, total_seq, weight, weight_seq)
  select f.job_id, f.stage, f.worker, f.attempt, f.seq, f.state, coalesce(f.state_seq, -1), f.reported,
         coalesce(f.completed, 0), coalesce(f.bytes, 0), coalesce(f.failed, 0), coalesce(f.failed_seq, -1),
         coalesce(f.skipped, 0), coalesce(f.skipped_seq, -1), coalesce(f.canceled, 0), coalesce(f.canceled_seq, -1),
         f.total, coalesce(f.total_seq, -1), f.weight, coalesce(f.weight_seq, -1)
  from folded f
  order by f.job_id, f.stage, f.worker
  on conflict on constraint stage_lanes_pkey do update set
    attempt = excluded.attempt,
    seq = greatest(l.seq, excluded.seq),
    counts_reported = l.counts_reported or excluded.counts_reported,
    items_completed = greatest(l.items_completed, excluded.items_completed),
    bytes_processed = greatest(l.bytes_processed, excluded.bytes_processed),
    state = case when excluded.state_seq > l.state_seq then excluded.state else l.state end,
    state_seq = greatest(l.state_seq, excluded.state_seq),
    items_failed = case when excluded.failed_seq > l.failed_seq then excluded.items_failed else l.items_failed end,
    failed_seq = greatest(l.failed_seq, excluded.failed_seq),
    items_skipped = case when excluded.skipped_seq > l.skipped_seq then excluded.items_skipped else l.items_skipped end,
    skipped_seq = greatest(l.skipped_seq, excluded.skipped_seq),
    items_canceled = case when excluded.canceled_seq > l.canceled_seq then excluded.items_canceled else l.items_canceled end,
    canceled_seq = greatest(l.canceled_seq, excluded.canceled_seq),
    items_total = case when excluded.total_seq > l.total_seq then excluded.items_total else l.items_total end,
    total_seq = greatest(l.total_seq, excluded.total_seq),
    weight = case when excluded.weight_seq > l.weight_seq then excluded.weight else l.weight end,
    weight_seq = greatest(l.weight_seq, excluded.weight_seq);
end;
$$;
comment on function milepost_private.record_stage_lanes(milepost_private.entry[]) is
'Records what checkpoints say of stages, for each lane and stage.';
revoke execute on function milepost_private.record_stage_lanes(milepost_private.entry[]) from public, anon, authenticated;
grant execute on function milepost_private.record_stage_lanes(milepost_private.entry[]) to service_role;

-- record_stages: what entries say of stages. Counts follow the lanes' rules, for each lane and stage.
create or replace function milepost_private.record_stages(entries milepost_private.entry[], at timestamptz)
returns milepost_private.event_draft[]
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_jobs   uuid[];
  v_before jsonb;
  v_committed milepost_private.entry[];
  v_open   milepost_private.entry[];
  v_drafts milepost_private.event_draft[];
  v_job_id uuid;
begin
  select array_agg(distinct e.job_id) into v_jobs from unnest(entries) e where e.stages is not null or e.items is not null;

  select jsonb_object_agg(s.job_id || ' ' || s.name, s.state) into v_before
  from milepost.stages s where s.job_id = any (v_jobs);

  -- New stages, in the order in which they are named. An item may name one that no checkpoint has described.
  insert into milepost.stages (tenant_id, job_id, name, position)
  select j.tenant_id, n.job_id, n.name,
         (select coalesce(max(s.position), 0) from milepost.stages s where s.job_id = n.job_id)
         + row_number() over (partition by n.job_id order by n.first)
  from (
    select m.job_id, m.name, min(m.first) as first
    from (
      select e.job_id, s.value ->> 'name' as name, e.n * 1000.0 + s.k as first
      from unnest(entries) e, jsonb_array_elements(e.stages) with ordinality as s (value, k)
      union all
      select e.job_id, i.value ->> 'stage', e.n * 1000.0 + 999
      from unnest(entries) e, jsonb_array_elements(e.items) as i (value)
      where i.value ->> 'stage' is not null
    ) m group by m.job_id, m.name
  ) n
  join milepost.jobs j on j.job_id = n.job_id
  on conflict do nothing;

  -- A cursor commits what the lane's stages had counted when it was said, so what precedes it is recorded first.
  select array_agg(e) filter (where e.seq <= m.seq), array_agg(e) filter (where m.seq is null or e.seq > m.seq)
  into v_committed, v_open
  from unnest(entries) e
  left join (select c.job_id, c.worker, max(c.seq) as seq from unnest(entries) c where c.names_cursor group by c.job_id, c.worker) m
    on m.job_id = e.job_id and m.worker = e.worker;
  perform milepost_private.record_stage_lanes(v_committed);
  perform milepost_private.commit_stage_counts(v_committed);
  perform milepost_private.record_stage_lanes(v_open);

  -- Of a lane that counts by stage, what it had done at first contact.
  update milepost.lanes l set first_work = milepost_private.lane_work(l)
  where l.job_id = any (v_jobs) and l.first_checkpoint_at = record_stages.at;

  -- Weights, and states from what the lanes say: failed if one failed, completed once all that spoke of it have.
  update milepost.stages s set
    weight = coalesce(w.weight, s.weight),
    state = d.state,
    started_at = coalesce(s.started_at, case when d.state <> 'pending' then at end),
    finished_at = case when d.state in ('completed', 'failed', 'skipped', 'canceled') then coalesce(s.finished_at, at) end
  from milepost.stages m
  cross join lateral (
    select max(l.weight) as weight from milepost_private.stage_lanes l where l.job_id = m.job_id and l.stage = m.name
  ) w
  cross join lateral (
    select case
      -- The job has ended: what arrives later still counts, but changes no state.
      when (select j.finished_at is not null from milepost.jobs j where j.job_id = m.job_id) then m.state
      when bool_or(w.state = 'failed') then 'failed'
      when bool_and(w.state = 'skipped') then 'skipped'
      when bool_and(w.state in ('completed', 'skipped')) then 'completed'
      when bool_and(w.state in ('completed', 'skipped', 'canceled')) then 'canceled'
      when bool_and(w.state = 'pending') then 'pending'
      when count(*) > 0 then 'running'
      when exists (select from unnest(entries) e, jsonb_array_elements(e.items) i
                   where e.job_id = m.job_id and i ->> 'stage' = m.name) and m.state = 'pending' then 'running'
      else m.state end as state
    from (select coalesce(l.state, 'running') as state
          from milepost_private.stage_lanes l
          where l.job_id = m.job_id and l.stage = m.name
            -- A lane of an older attempt that left the stage unfinished is gone: it no longer holds the stage open.
            and (l.state is not null or l.attempt = (select j.attempt from milepost.jobs j where j.job_id = m.job_id))
         ) w
  ) d
  where m.job_id = any (v_jobs) and s.job_id = m.job_id and s.name = m.name
    and (d.state <> s.state or w.weight is distinct from s.weight and w.weight is not null);

  foreach v_job_id in array coalesce(v_jobs, '{}') loop
    perform milepost_private.sum_job(v_job_id);
  end loop;

  select array_agg(row(s.job_id, 'stage.changed', milepost_private.stage_json(s))::milepost_private.event_draft order by s.job_id, s.position) into v_drafts
  from milepost.stages s
  where s.job_id = any (v_jobs) and s.state is distinct from coalesce(v_before ->> (s.job_id || ' ' || s.name), 'pending');
  return v_drafts;
end;
$$;
comment on function milepost_private.record_stages(milepost_private.entry[], timestamptz) is
'Records what checkpoints say of stages, sums the jobs anew and returns the stage.changed events.';
revoke execute on function milepost_private.record_stages(milepost_private.entry[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.record_stages(milepost_private.entry[], timestamptz) to service_role;
