-- sum_job: jobs' and their stages' counts from what lanes, stages and items say. The hot path adds differences instead;
-- this is for what is rare: a first stage, a first count, a reset.
create or replace function milepost_private.sum_job(variadic job_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update milepost.stages s set
    counts_reported = coalesce(l.reported, false),
    items_total     = coalesce(l.total, s.items_total_given),
    items_completed = case when l.reported then l.completed else coalesce(t.completed, 0) end,
    items_failed    = case when l.reported then l.failed    else coalesce(t.failed, 0) end,
    items_skipped   = case when l.reported then l.skipped   else coalesce(t.skipped, 0) end,
    items_canceled  = case when l.reported then l.canceled  else coalesce(t.canceled, 0) end,
    bytes_processed = coalesce(l.bytes, 0)
  from milepost.stages m
  left join lateral (
    select bool_or(x.counts_reported) as reported, max(x.items_total) as total,
           least(coalesce(sum(x.items_completed), 0), 9223372036854775807)::bigint as completed,
           least(coalesce(sum(x.items_failed), 0), 9223372036854775807)::bigint as failed,
           least(coalesce(sum(x.items_skipped), 0), 9223372036854775807)::bigint as skipped,
           least(coalesce(sum(x.items_canceled), 0), 9223372036854775807)::bigint as canceled,
           least(coalesce(sum(x.bytes_processed), 0), 9223372036854775807)::bigint as bytes
    from milepost_private.stage_lanes x where x.job_id = m.job_id and x.stage = m.name
  ) l on true
  left join milepost_private.item_tallies t on t.job_id = m.job_id and t.stage = m.name
  where m.job_id = any (job_ids) and s.job_id = m.job_id and s.name = m.name;

  update milepost.jobs j set
    has_stages      = s.stages > 0,
    stages_percent  = s.percent,
    stages_total    = s.total,
    items_total     = coalesce(l.total, j.items_total_given, l.shares),
    items_completed = case when j.counts_reported then l.completed when s.stages > 0 then s.completed else coalesce(t.completed, 0) end,
    items_failed    = case when j.counts_reported then l.failed    when s.stages > 0 then s.failed    else coalesce(t.failed, 0) end,
    items_skipped   = case when j.counts_reported then l.skipped   when s.stages > 0 then s.skipped   else coalesce(t.skipped, 0) end,
    items_canceled  = case when j.counts_reported then l.canceled  when s.stages > 0 then s.canceled  else coalesce(t.canceled, 0) end,
    bytes_processed = case when l.bytes > 0 or s.stages = 0 then l.bytes else s.bytes end
  from unnest(job_ids) as u (job_id)
  cross join lateral (
    select max(x.items_total) as total, case when count(x.worker_items_total) > 0  -- least() skips nulls
                then least(sum(x.worker_items_total), 9223372036854775807)::bigint end as shares,
           least(coalesce(sum(x.items_completed), 0), 9223372036854775807)::bigint as completed,
           least(coalesce(sum(x.items_failed), 0), 9223372036854775807)::bigint as failed,
           least(coalesce(sum(x.items_skipped), 0), 9223372036854775807)::bigint as skipped,
           least(coalesce(sum(x.items_canceled), 0), 9223372036854775807)::bigint as canceled,
           least(coalesce(sum(x.bytes_processed), 0), 9223372036854775807)::bigint as bytes
    from milepost.lanes x where x.job_id = u.job_id
  ) l
  cross join lateral (
    select count(*) as stages,
           least(coalesce(sum(x.items_completed), 0), 9223372036854775807)::bigint as completed,
           least(coalesce(sum(x.items_failed), 0), 9223372036854775807)::bigint as failed,
           least(coalesce(sum(x.items_skipped), 0), 9223372036854775807)::bigint as skipped,
           least(coalesce(sum(x.items_canceled), 0), 9223372036854775807)::bigint as canceled,
           least(coalesce(sum(x.bytes_processed), 0), 9223372036854775807)::bigint as bytes,
           case when bool_and(x.items_total is not null)
                then least(sum(greatest(x.items_total, x.items_completed::numeric + x.items_failed + x.items_skipped + x.items_canceled)),
                           9223372036854775807)::bigint end as total,
           -- Unknown if a stage that has begun is unknown; one that has not begun stands at 0. Only where all stages are at
           -- 100 is the job: a weight that vanishes beside the others may not round it up.
           case when bool_and(p.percent is not distinct from 100) then 100
                when bool_and(p.percent is not null) and sum(x.weight) > 0
                then least(trunc((sum(p.percent * x.weight) / sum(x.weight))::numeric, 4)::double precision, 99.9999) end as percent
    from milepost.stages x
    cross join lateral milepost_private.stage_percent(x) as p (percent)
    where x.job_id = u.job_id
  ) s
  left join milepost_private.item_tallies t on t.job_id = u.job_id and t.stage = ''
  where j.job_id = u.job_id;
end;
$$;
comment on function milepost_private.sum_job(uuid[]) is
'Sets jobs'' and their stages'' counts, totals and percent from their lanes, stage lanes and item tallies.';
revoke execute on function milepost_private.sum_job(uuid[]) from public, anon, authenticated;
grant execute on function milepost_private.sum_job(uuid[]) to service_role;
