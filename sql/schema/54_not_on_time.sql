-- not_on_time: the jobs that are late, stalled or lost at the given time. Whoever asks for many jobs' liveness asks here.
create or replace function milepost_private.not_on_time(tenants uuid[], at timestamptz)
returns table (
  job_id uuid, liveness text, reason text, silence_s double precision, threshold_s double precision
)
language plpgsql
stable
rows 100
set search_path = ''
as $$
declare
  -- Most jobs rose a moment ago. No threshold is shorter than a minute unless it was declared, and nobody is late before half
  -- of it: these need no judging. Few remain, and each is looked up by its id: as one statement the planner, which cannot know
  -- that, read all pulses once more.
  v_suspects uuid[] := array(
    select q.job_id from milepost_private.pulses q
    where q.running and (tenants is null or q.tenant_id = any (tenants))
      -- date_part, since extract computes in numeric, which takes three times as long.
      and (q.active_s + date_part('epoch', not_on_time.at - q.active_at) - coalesce((q.rhythm).risen_s, 0) > 30
           or (q.rhythm).falls + (q.rhythm).retries >= 4)
    union
    select d.job_id from milepost.jobs d
    where d.finished_at is null and (tenants is null or d.tenant_id = any (tenants))
      and (d.stall_after_ms is not null or d.processing_deadline_ms is not null));
begin
  return query
  select j.job_id, v.liveness, v.reason, v.silence_s, v.threshold_s
  from unnest(v_suspects) as s (job_id)
  join milepost_private.pulses p on p.job_id = s.job_id
  join milepost.jobs j on j.job_id = s.job_id
  left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  cross join lateral milepost_private.liveness_of(j, p, k, not_on_time.at) v
  where p.running and j.finished_at is null and v.liveness <> 'on_time';
end;
$$;
comment on function milepost_private.not_on_time(uuid[], timestamptz) is
'The active jobs of these tenants (null: of all) that are late, stalled or lost at the given time, as liveness_of judges them.';
revoke execute on function milepost_private.not_on_time(uuid[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.not_on_time(uuid[], timestamptz) to authenticated, service_role;
