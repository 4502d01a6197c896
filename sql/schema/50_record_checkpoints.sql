-- record_checkpoints: everything that workers say. A whole request in one transaction, whatever its order or repetition.
-- The one parameter has no name, so that PostgREST hands over the request's body in one piece:
--   {"caller": {...}, "checkpoints": [...], "indexes": [...], "received_at": "..."}
-- or, with the same checkpoints as columns (45_said.sql), {"caller": {...}, "columns": {...}, "indexes": [...]}.
-- indexes: the entries' places in the client's request, where others were refused before. received_at: for tests.
create or replace function milepost.record_checkpoints(jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
set lock_timeout = '5s'                     -- a job whose row is held for longer is answered 503, and sent again
set plan_cache_mode = 'force_generic_plan'  -- planning these statements anew takes longer than running them
as $$
declare
  v_caller  milepost_private.caller := milepost_private.resolve_caller($1 -> 'caller', array['worker', 'operator']);
  v_now     timestamptz;
  v_all     milepost_private.entry[];
  v_entries milepost_private.entry[];
  v_refs    text[];
  v_ids     uuid[];
  v_jobs    uuid[];
  v_has     record;
  v_settle  uuid[];
  v_sum     uuid[];
  v_late_jobs    uuid[];
  v_late_workers text[];
  v_drafts  milepost_private.event_draft[];
  v_due     uuid[];
  v_tenths  uuid[];
  v_staged  uuid[];
  v_shared  uuid[];
  v_has_stages boolean;
begin
  -- JOBS: the missing ones are made in the order of their keys, then all are locked in the order of their ids, so that
  -- requests cannot deadlock.
  if $1 ? 'columns' then
    v_refs := array(select distinct r.job from jsonb_array_elements_text($1 -> 'columns' -> 'jobs') as r (job));
  else
    v_refs := array(select distinct t.e ->> 'job' from jsonb_array_elements($1 -> 'checkpoints') as t (e));
  end if;
  v_ids := milepost_private.jobs_by_refs(v_caller.tenant_id, v_refs);
  if array_position(v_ids, null) is not null then
    perform milepost_private.add_job(v_caller.tenant_id, jsonb_build_object('job', c.job, 'kind', c.kind, 'name', c.name, 'unit', c.unit,
                                       'metadata', c.metadata, 'processing_deadline_ms', c.processing_deadline_ms),
                                     coalesce(($1 ->> 'received_at')::timestamptz, clock_timestamp()))
    from (
      select distinct on (s.job) s.*
      from unnest(v_refs, v_ids) as r (job, job_id)
      join milepost_private.said($1) s on s.job = r.job
      where r.job_id is null and not pg_input_is_valid(r.job, 'uuid') and coalesce(s.attempt, 1) = 1
        and (v_caller.kinds is null or coalesce(s.kind, 'default') = any (v_caller.kinds))
      order by s.job, s.n
    ) c;
    v_ids := milepost_private.jobs_by_refs(v_caller.tenant_id, v_refs);
  end if;
  v_jobs := array(select j.job_id from milepost.jobs j where j.job_id = any (v_ids) order by j.job_id for no key update);
  v_now := coalesce(($1 ->> 'received_at')::timestamptz, clock_timestamp());

  -- ENTRIES: each with its job, attempt and seq, or the reason why it is refused.
  v_has := milepost_private.parse_checkpoints(v_caller, $1, v_refs, v_ids, v_now);
  v_all := v_has.entries;
  if v_has.some_refused then
    select array_agg(e), array_agg(distinct e.job_id) into v_entries, v_jobs from unnest(v_all) e where e.refusal is null;
  else
    v_entries := v_all;
  end if;

  -- LANES and the jobs' sums. A lane's new values are the greatest (completed, bytes) or what its greatest seq said (all else).
  with folded as (
    select e.job_id, e.worker, max(e.attempt) as attempt, max(e.seq) as seq, min(e.seq) as first_seq, max(e.n) as n,
           range_agg(int8range(least(e.seq, 9223372036854775806), least(e.seq, 9223372036854775806), '[]')) as seen,
           max(e.items_completed) as completed, max(e.bytes_processed) as bytes,
           (array_agg(e.items_failed order by e.seq desc) filter (where e.items_failed is not null))[1] as failed,
           coalesce(max(e.seq) filter (where e.items_failed is not null), -1) as failed_seq,
           (array_agg(e.items_skipped order by e.seq desc) filter (where e.items_skipped is not null))[1] as skipped,
           coalesce(max(e.seq) filter (where e.items_skipped is not null), -1) as skipped_seq,
           (array_agg(e.items_canceled order by e.seq desc) filter (where e.items_canceled is not null))[1] as canceled,
           coalesce(max(e.seq) filter (where e.items_canceled is not null), -1) as canceled_seq,
           (array_agg(e.items_total order by e.seq desc) filter (where e.names_total))[1] as total,
           coalesce(max(e.seq) filter (where e.names_total), -1) as total_seq,
           (array_agg(e.worker_items_total order by e.seq desc) filter (where e.names_worker_total))[1] as worker_total,
           coalesce(max(e.seq) filter (where e.names_worker_total), -1) as worker_total_seq,
           (array_agg(e.state order by e.seq desc) filter (where e.state is not null))[1] as state,
           coalesce(max(e.seq) filter (where e.state is not null), -1) as state_seq,
           (array_agg(e.message order by e.seq desc) filter (where e.names_message))[1] as message,
           coalesce(max(e.seq) filter (where e.names_message), -1) as message_seq,
           (array_agg(e.cursor order by e.seq desc) filter (where e.names_cursor))[1] as cursor,
           coalesce(max(e.seq) filter (where e.names_cursor), -1) as cursor_seq,
           bool_or(coalesce(e.items_completed, e.items_failed, e.items_skipped, e.items_canceled) is not null) as reported
    from unnest(v_entries) e
    group by e.job_id, e.worker
  ), at_cursor as (
    -- Mostly the cursor came with the greatest seq, and all of it is folded already.
    select f.job_id, f.worker, f.completed, f.bytes, f.failed, f.skipped, f.canceled from folded f where f.cursor_seq = f.seq
    union all
    select e.job_id, e.worker, max(e.items_completed), max(e.bytes_processed),
           (array_agg(e.items_failed order by e.seq desc) filter (where e.items_failed is not null))[1],
           (array_agg(e.items_skipped order by e.seq desc) filter (where e.items_skipped is not null))[1],
           (array_agg(e.items_canceled order by e.seq desc) filter (where e.items_canceled is not null))[1]
    from folded f join unnest(v_entries) e on e.job_id = f.job_id and e.worker = f.worker
    where f.cursor_seq between 0 and f.seq - 1 and e.seq <= f.cursor_seq
    group by e.job_id, e.worker
  ), next as (
    select f.*, coalesce(f.first_seq <= l.seq, false) as is_late,
           coalesce(l.state, 'running') as prior_state, l.attempt is distinct from f.attempt as is_first_word,
           case when f.state_seq > coalesce(l.state_seq, -1) then f.state else coalesce(l.state, 'running') end as new_state,
           greatest(l.items_completed, f.completed, 0) as new_completed, coalesce(l.items_completed, 0) as old_completed,
           greatest(l.bytes_processed, f.bytes, 0) as new_bytes, coalesce(l.bytes_processed, 0) as old_bytes,
           case when f.failed_seq > coalesce(l.failed_seq, -1) then f.failed else coalesce(l.items_failed, 0) end as new_failed,
           coalesce(l.items_failed, 0) as old_failed,
           case when f.skipped_seq > coalesce(l.skipped_seq, -1) then f.skipped else coalesce(l.items_skipped, 0) end as new_skipped,
           coalesce(l.items_skipped, 0) as old_skipped,
           case when f.canceled_seq > coalesce(l.canceled_seq, -1) then f.canceled else coalesce(l.items_canceled, 0) end as new_canceled,
           coalesce(l.items_canceled, 0) as old_canceled,
           case when f.total_seq > coalesce(l.total_seq, -1) then f.total else l.items_total end as new_total, l.items_total as old_total,
           case when f.worker_total_seq > coalesce(l.worker_total_seq, -1) then f.worker_total else l.worker_items_total end as new_worker_total,
           l.worker_items_total as old_worker_total,
           f.message_seq > coalesce(l.message_seq, -1) as has_message,
           f.cursor_seq > coalesce(l.cursor_seq, -1) as has_cursor,
           -- A cursor that was said to be null commits nothing: work would begin anew.
           f.cursor_seq > coalesce(l.cursor_seq, -1) and f.cursor is not null as commits,
           greatest(case when f.first_seq > coalesce(l.seq, -1) then l.items_completed end, c.completed, 0) as cursor_completed,
           greatest(case when f.first_seq > coalesce(l.seq, -1) then l.bytes_processed end, c.bytes, 0) as cursor_bytes,
           coalesce(c.failed, l.items_failed, 0) as cursor_failed, coalesce(c.skipped, l.items_skipped, 0) as cursor_skipped,
           coalesce(c.canceled, l.items_canceled, 0) as cursor_canceled,
           coalesce(l.cursor_seq, -1) as old_cursor_seq
    from folded f
    left join milepost.lanes l on l.job_id = f.job_id and l.worker = f.worker
    left join at_cursor c on c.job_id = f.job_id and c.worker = f.worker
  ), kept as (
    insert into milepost.lanes as l (tenant_id, job_id, worker, attempt, seq, seen, state, state_seq, items_completed,
      bytes_processed, items_failed, failed_seq, items_skipped, skipped_seq, items_canceled, canceled_seq, items_total,
      total_seq, worker_items_total, worker_total_seq, message_seq, cursor, cursor_seq, cursor_at, cursor_completed, cursor_failed, cursor_skipped, cursor_canceled, cursor_bytes,
      first_checkpoint_at, first_work, last_checkpoint_at, last_progress_at)
    select v_caller.tenant_id, n.job_id, n.worker, n.attempt, n.seq, n.seen, n.new_state, n.state_seq, n.new_completed,
           n.new_bytes, n.new_failed, n.failed_seq, n.new_skipped, n.skipped_seq, n.new_canceled, n.canceled_seq, n.new_total,
           n.total_seq, n.new_worker_total, n.worker_total_seq, n.message_seq, n.cursor, n.cursor_seq, case when n.has_cursor then v_now end,
           case when n.commits then n.cursor_completed else 0 end, case when n.commits then n.cursor_failed else 0 end,
           case when n.commits then n.cursor_skipped else 0 end, case when n.commits then n.cursor_canceled else 0 end,
           case when n.commits then n.cursor_bytes else 0 end, v_now,
           n.new_completed::double precision + n.new_failed + n.new_canceled, v_now,
           case when n.new_completed > n.old_completed or n.new_failed > n.old_failed or n.new_canceled > n.old_canceled
                  or n.new_skipped > n.old_skipped then v_now end
    from next n
    on conflict on constraint lanes_pkey do update set
      attempt = excluded.attempt, seq = greatest(l.seq, excluded.seq),
      -- Bounded: a lane whose seqs leave very many gaps has them filled, and what arrives late there counts as repeated.
      seen = case when pg_column_size(l.seen) < 2000 then l.seen + excluded.seen
                  else int8multirange(range_merge(l.seen + excluded.seen)) end,
      state = excluded.state, state_seq = greatest(l.state_seq, excluded.state_seq),
      items_completed = excluded.items_completed, bytes_processed = excluded.bytes_processed,
      items_failed = excluded.items_failed, failed_seq = greatest(l.failed_seq, excluded.failed_seq),
      items_skipped = excluded.items_skipped, skipped_seq = greatest(l.skipped_seq, excluded.skipped_seq),
      items_canceled = excluded.items_canceled, canceled_seq = greatest(l.canceled_seq, excluded.canceled_seq),
      items_total = excluded.items_total, total_seq = greatest(l.total_seq, excluded.total_seq),
      worker_items_total = excluded.worker_items_total, worker_total_seq = greatest(l.worker_total_seq, excluded.worker_total_seq),
      message_seq = greatest(l.message_seq, excluded.message_seq),
      cursor = case when excluded.cursor_at is not null then excluded.cursor else l.cursor end,
      cursor_seq = greatest(l.cursor_seq, excluded.cursor_seq),
      cursor_at = coalesce(excluded.cursor_at, l.cursor_at),
      cursor_completed = case when excluded.cursor_at is not null then excluded.cursor_completed else l.cursor_completed end,
      cursor_failed = case when excluded.cursor_at is not null then excluded.cursor_failed else l.cursor_failed end,
      cursor_skipped = case when excluded.cursor_at is not null then excluded.cursor_skipped else l.cursor_skipped end,
      cursor_canceled = case when excluded.cursor_at is not null then excluded.cursor_canceled else l.cursor_canceled end,
      cursor_bytes = case when excluded.cursor_at is not null then excluded.cursor_bytes else l.cursor_bytes end,
      first_checkpoint_at = case when l.attempt = excluded.attempt then l.first_checkpoint_at else excluded.first_checkpoint_at end,
      -- What a new attempt goes on from is there already: a lane that counts by stage says none of it here.
      first_work = case when l.attempt = excluded.attempt then l.first_work else greatest(l.first_work, excluded.first_work) end,
      last_checkpoint_at = excluded.last_checkpoint_at,
      last_progress_at = coalesce(excluded.last_progress_at, l.last_progress_at)
  ), changes as (
    select n.job_id,
           sum(n.new_completed::numeric - n.old_completed) as completed, sum(n.new_failed::numeric - n.old_failed) as failed,
           sum(n.new_skipped::numeric - n.old_skipped) as skipped, sum(n.new_canceled::numeric - n.old_canceled) as canceled,
           sum(n.new_bytes::numeric - n.old_bytes) as bytes,
           bool_or(n.reported) as reported,
           bool_or(n.new_total is distinct from n.old_total or n.new_worker_total is distinct from n.old_worker_total) as total_changed,
           bool_or(n.new_state <> n.prior_state or n.is_first_word) as state_changed,
           bool_or(n.new_worker_total is not null) as has_shares,
           bool_or(n.has_message) as has_message,
           (array_agg(n.message order by n.n desc) filter (where n.has_message))[1] as message
    from next n group by n.job_id
  ), summed as (
    update milepost.jobs j set
      items_completed = case when j.counts_reported then least(greatest(j.items_completed + c.completed, 0), 9223372036854775807) else j.items_completed end,
      items_failed = case when j.counts_reported then least(greatest(j.items_failed + c.failed, 0), 9223372036854775807) else j.items_failed end,
      items_skipped = case when j.counts_reported then least(greatest(j.items_skipped + c.skipped, 0), 9223372036854775807) else j.items_skipped end,
      items_canceled = case when j.counts_reported then least(greatest(j.items_canceled + c.canceled, 0), 9223372036854775807) else j.items_canceled end,
      bytes_processed = least(greatest(j.bytes_processed + c.bytes, 0), 9223372036854775807),
      message = case when c.has_message then c.message else j.message end,
      counts_reported = j.counts_reported or c.reported,
      last_checkpoint_at = greatest(j.last_checkpoint_at, v_now),
      last_progress_at = case when c.completed + c.failed + c.skipped + c.canceled > 0 then greatest(j.last_progress_at, v_now)
                              else j.last_progress_at end
    from changes c where j.job_id = c.job_id
    returning j.job_id, j.state, j.has_stages, c.state_changed, c.total_changed, c.reported, c.bytes, c.has_shares
  )
  select array_agg(s.job_id order by s.job_id) filter (where s.state_changed or s.state in ('pending', 'retrying')),
         -- This is its first count, or it has bytes that its stages said, or a count stood at the greatest bigint, from which no
         -- difference tells the sum.
         array_agg(s.job_id order by s.job_id) filter (where s.total_changed or s.reported and not b.counts_reported
           or b.has_stages and s.bytes <> 0
           or greatest(b.items_completed, b.items_failed, b.items_skipped, b.items_canceled, b.bytes_processed) = 9223372036854775807),
         (select array_agg(n.job_id order by n.job_id, n.worker) from next n
          where n.is_late and n.first_seq <= greatest(n.cursor_seq, n.old_cursor_seq)),
         (select array_agg(n.worker order by n.job_id, n.worker) from next n
          where n.is_late and n.first_seq <= greatest(n.cursor_seq, n.old_cursor_seq)),
         array_agg(s.job_id) filter (where s.has_shares),
         bool_or(s.has_stages)
  into v_settle, v_sum, v_late_jobs, v_late_workers, v_shared, v_has_stages
  from summed s
  join milepost.jobs b on b.job_id = s.job_id;  -- as it was before this statement

  if v_has.some_facts then
    perform milepost_private.record_facts(v_entries);
  end if;

  -- What is rare: totals and first counts, what arrived out of order, items, stages, states.
  if v_sum is not null then
    perform milepost_private.sum_job(variadic v_sum);
  end if;
  if v_has.some_items then
    v_drafts := milepost_private.record_items(v_entries, v_now);
  end if;
  if v_has.some_stages or v_has.some_items then
    v_drafts := milepost_private.record_stages(v_entries, v_now) || v_drafts;
  end if;
  -- A cursor commits the counts of stages that no checkpoint of this request names, too.
  if v_has.some_cursors and (v_has_stages or v_has.some_stages or v_has.some_items) then
    perform milepost_private.commit_stage_counts(v_entries);
  end if;

  -- HISTORY, and from it what a late cursor had counted.
  with counted as materialized (
    select j.job_id, j.items_skipped as skipped, least(t.settled::numeric, 9223372036854775807)::bigint as done,
           case when t.total is not null then least(t.total::numeric, 9223372036854775807)::bigint end as total  -- least() skips nulls
    from milepost.jobs j cross join lateral milepost_private.tally_of(j) t
    where j.job_id = any (v_jobs)
  )
  insert into milepost.checkpoints (tenant_id, job_id, attempt, worker, seq, at, received_at, state, items_total, items_completed,
    items_failed, items_skipped, items_canceled, bytes_processed, batch_items, batch_duration_ms, batch_bytes, stages, message, has_cursor, job_done, job_total, job_skipped,
    traceparent)
  select v_caller.tenant_id, e.job_id, e.attempt, e.worker, e.seq,
         e.at, v_now, e.state, e.items_total,
         e.items_completed, e.items_failed, e.items_skipped, e.items_canceled, e.bytes_processed, (e.batch ->> 'items')::bigint,
         (e.batch ->> 'duration_ms')::double precision, (e.batch ->> 'bytes')::bigint, e.stages, e.message, e.names_cursor,
         t.done, t.total, t.skipped, e.traceparent
  from unnest(v_entries) e
  join counted t on t.job_id = e.job_id
  where not e.is_duplicate
  order by e.n;
  perform milepost_private.restore_cursor_counts(l.job_id, l.worker)
  from unnest(v_late_jobs, v_late_workers) as l (job_id, worker);

  -- A stage that begins has a rhythm of its own.
  select array_agg(distinct d.job_id) into v_staged from unnest(v_drafts) d
  where d.type = 'stage.changed' and d.data ->> 'state' = 'running';
  if v_settle is not null then
    perform milepost_private.settle_states(v_settle, v_entries, v_drafts, v_now);
  elsif v_drafts is not null then
    perform milepost_private.emit(v_drafts, v_now);
  end if;

  -- PULSE: clock, pace and rhythm of each job, once a request; and is a progress event due?
  with counted as (
    select j.job_id, j.tenant_id, j.owner_id, t.*, j.state, j.rate_limited_until,
           case when j.has_stages then milepost_private.effort(j,
             (select (k.pace).stages from milepost_private.kinds k where k.tenant_id = j.tenant_id and k.kind = j.kind)) end as effort
    from milepost.jobs j cross join lateral milepost_private.tally_of(j) t
    where j.job_id = any (v_jobs)
  ), due as materialized (
    select c.*, q.settled as settled_before, q.stalled_at as stalled_before, q.tenth as tenth_before,
           milepost_private.active_clock(q.active_s, q.active_at, q.running, v_now) as clock_s,
           -- A job that has ended is swept no more, so nothing of it is held back.
           q.progress_event_at is null or milepost_private.is_terminal(c.state)
           or (extract(epoch from v_now - q.progress_event_at) * 1000 >= t.progress_interval_ms
               or coalesce(abs(c.percent - q.progress_event_percent) >= t.progress_step_percent, false)
               or (c.percent is null) <> (q.progress_event_percent is null))
              and milepost_private.progress_slot(c.job_id, v_now, i.least_ms)
                  > milepost_private.progress_slot(c.job_id, q.progress_event_at, i.least_ms) as is_due
    from counted c
    join milepost_private.pulses q on q.job_id = c.job_id
    join milepost.tenants t on t.tenant_id = c.tenant_id
    left join milepost_private.tenant_loads o on o.tenant_id = c.tenant_id
    cross join lateral (select milepost_private.progress_interval_ms(
      t.messages_per_s, o.jobs_at_work, 2 + (c.owner_id is not null)::int) as least_ms offset 0) i
  ), beaten as (
    update milepost_private.pulses p set
      active_s = d.clock_s,
      active_at = greatest(p.active_at, v_now),
      pace = milepost_private.pace_step(p.pace, d.clock_s, d.work, d.pending),
      effort = case when d.effort is not null then milepost_private.pace_step(p.effort, d.clock_s, d.effort, 100 - d.effort) else p.effort end,
      rhythm = milepost_private.rhythm_step(p.rhythm, d.clock_s, d.settled,
        -- A gap in which a rate limit was waited for is no sample of the rhythm.
        case when p.job_id = any (v_staged) then 'stage' when d.rate_limited_until > p.active_at then 'resume' else 'checkpoint' end),
      progress_event_at = case when d.is_due then v_now else p.progress_event_at end,
      progress_event_percent = case when d.is_due then d.percent else p.progress_event_percent end,
      held_back = not d.is_due,
      coalesced = p.coalesced + (not d.is_due)::int,
      settled = d.settled,
      stalled_at = case when d.settled > p.settled then null else p.stalled_at end,
      tenth = greatest(p.tenth, least(floor(coalesce(d.effort, d.percent) / 10), 9))
    from due d
    where p.job_id = d.job_id
    returning p.job_id, d.is_due, d.settled > d.settled_before as rose, d.stalled_before as stalled_at, p.tenth > d.tenth_before as is_tenth
  ), rose as (
    -- Counts that come from stages or items rise here, not in the lanes.
    update milepost.jobs j set last_progress_at = greatest(j.last_progress_at, v_now)
    from beaten b where j.job_id = b.job_id and b.rose and j.last_progress_at is distinct from v_now
  )
  select array_agg(b.job_id) filter (where b.is_due),
         array_agg(row(b.job_id, 'job.recovered', jsonb_build_object('stalled_at', milepost_private.iso(b.stalled_at))
                  )::milepost_private.event_draft order by b.job_id) filter (where b.rose and b.stalled_at is not null),
         array_agg(b.job_id) filter (where b.is_tenth)
  into v_due, v_drafts, v_tenths from beaten b;

  -- Where lanes have shares of their own, the last of them ends the job.
  if v_shared is not null then
    update milepost_private.pulses p set
      last_lane = milepost_private.pace_last_lane(p.last_lane, p.active_s, s.workers, s.worked_s, s.done, s.remaining)
    from (
      select l.job_id, array_agg(l.worker order by l.worker) as workers,
             array_agg(least(q.active_s, extract(epoch from v_now - l.first_checkpoint_at)) order by l.worker) as worked_s,
             array_agg(greatest(d.work - l.first_work, 0) order by l.worker) as done,
             array_agg(case when l.state in ('completed', 'canceled') then 0
                            else greatest(l.worker_items_total - d.work - l.items_skipped, 0) end order by l.worker) as remaining
      from (select distinct e.job_id, e.worker from unnest(v_entries) e where e.job_id = any (v_shared)) e
      join milepost.lanes l on l.job_id = e.job_id and l.worker = e.worker
      join milepost_private.pulses q on q.job_id = l.job_id
      cross join lateral (select l.items_completed::double precision + l.items_failed + l.items_canceled as work) d
      where l.worker_items_total is not null
      group by l.job_id
    ) s
    where p.job_id = s.job_id;
  end if;

  -- What is predicted at each tenth is kept, and scored when the job is done.
  if v_tenths is not null then
    insert into milepost_private.predictions (job_id, tenth, active_s, said_at, remaining_s, low_s, high_s)
    select j.job_id, p.tenth, p.active_s, v_now, f.eta_ms / 1000.0, f.eta_low_ms / 1000.0, f.eta_high_ms / 1000.0
    from milepost.jobs j
    join milepost_private.pulses p on p.job_id = j.job_id
    left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
    cross join lateral milepost_private.figures(j, p, k, v_now) f
    where j.job_id = any (v_tenths) and j.finished_at is null
    on conflict do nothing;
  end if;

  select v_drafts || array_agg(row(j.job_id, 'job.progress', milepost_private.progress_fields(j, milepost_private.figures(j, p, k, v_now))
                  )::milepost_private.event_draft order by j.job_id) into v_drafts
  from milepost.jobs j
  join milepost_private.pulses p on p.job_id = j.job_id
  left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  where j.job_id = any (v_due);
  if v_drafts is not null then
    perform milepost_private.emit(v_drafts, v_now);
  end if;

  insert into milepost_private.measurements (tenant_id, checkpoints, duration_ms)
  select v_caller.tenant_id, count(*), extract(epoch from clock_timestamp() - transaction_timestamp()) * 1000
  from unnest(v_entries) e where not e.is_duplicate
  having count(*) > 0;
  return milepost_private.checkpoints_answer(v_all, v_has.some_refused, $1 -> 'indexes', v_now);
end;
$$;

comment on function milepost.record_checkpoints(jsonb) is
'Records {"caller", "checkpoints"} (or "columns") and answers {"results", "errors"}. One transaction; refused entries are named, the others kept.';

revoke execute on function milepost.record_checkpoints(jsonb) from public, anon, authenticated;
grant execute on function milepost.record_checkpoints(jsonb) to service_role;
