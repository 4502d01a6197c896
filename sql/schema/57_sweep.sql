-- sweep: what has to happen every few seconds: partitions ahead, stuck jobs, progress events that were held back,
-- counters.
create or replace function milepost.sweep(at timestamptz default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_now    timestamptz := coalesce(at, clock_timestamp());
  v_answer jsonb;
  v_jobs   uuid[];
  v_drafts milepost_private.event_draft[];
begin
  v_answer := milepost.reset_stuck_jobs(v_now);

  select array_agg(l.job_id) into v_jobs
  from (
    select j.job_id from milepost.jobs j
    join milepost_private.pulses p on p.job_id = j.job_id
    join milepost.tenants t on t.tenant_id = j.tenant_id
    left join milepost_private.tenant_loads o on o.tenant_id = j.tenant_id
    -- Jobs that ended have pulses, too, and an index on what each checkpoint changes would cost more than this: those that run
    -- by their index, those that wait one by one.
    where j.job_id in (
        select q.job_id from milepost_private.pulses q where q.running and q.held_back
        union all
        select d.job_id from milepost.jobs d
        cross join lateral (select q.held_back from milepost_private.pulses q where q.job_id = d.job_id offset 0) w
        where d.finished_at is null and d.state in ('pending', 'paused', 'retrying') and w.held_back)
      and j.finished_at is null
      and v_now >= p.progress_event_at + interval '1 millisecond' * greatest(t.progress_interval_ms,
            milepost_private.progress_interval_ms(t.messages_per_s, o.jobs_at_work, 2 + (j.owner_id is not null)::int))
    order by j.job_id for no key update of j skip locked
  ) l;
  update milepost_private.pulses p set held_back = false, progress_event_at = v_now where p.job_id = any (v_jobs);
  select array_agg(row(j.job_id, 'job.progress', milepost_private.progress_fields(j, milepost_private.figures(j, p, k, v_now))
                  )::milepost_private.event_draft order by j.job_id) into v_drafts
  from milepost.jobs j
  join milepost_private.pulses p on p.job_id = j.job_id
  left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  where j.job_id = any (v_jobs);
  if v_drafts is not null then
    perform milepost_private.emit(v_drafts, v_now);
  end if;
  perform milepost_private.roll_up_measurements(now() - interval '5 minutes');

  return v_answer || jsonb_build_object(
    'progress_events', coalesce(cardinality(v_drafts), 0),
    'partitions', milepost_private.make_partitions((v_now at time zone 'utc')::date, (v_now at time zone 'utc')::date + 7));
end;
$$;
comment on function milepost.sweep(timestamptz) is
'Resets stuck jobs, sends progress that was held back, makes partitions ahead. Safe to repeat; cost follows active jobs.';
revoke execute on function milepost.sweep(timestamptz) from public, anon, authenticated;
grant execute on function milepost.sweep(timestamptz) to service_role;
