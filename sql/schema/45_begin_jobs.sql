-- begin_jobs: brings waiting jobs to running, all at once: transition for the one change that a request may make to a thousand
-- jobs, since each of its checkpoints may be a job's first.
create or replace function milepost_private.begin_jobs(job_ids uuid[], actors text[], at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_priors text[];
  v_firsts boolean[];
  v_drafts milepost_private.event_draft[];
begin
  -- The caller holds the jobs' row locks.
  select array_agg(j.state order by b.n), array_agg(j.started_at is null order by b.n) into v_priors, v_firsts
  from unnest(job_ids) with ordinality as b (job_id, n) join milepost.jobs j on j.job_id = b.job_id;

  update milepost.jobs j set
    state = 'running', state_reason = null, state_actor = b.actor, state_changed_at = begin_jobs.at,
    started_at = coalesce(j.started_at, begin_jobs.at), attempt_started_at = coalesce(j.attempt_started_at, begin_jobs.at)
  from unnest(job_ids, actors) as b (job_id, actor)
  where j.job_id = b.job_id;

  insert into milepost_private.pulses (job_id, tenant_id, active_at)
  select j.job_id, j.tenant_id, begin_jobs.at from milepost.jobs j where j.job_id = any (job_ids)
  on conflict do nothing;
  update milepost_private.pulses p set
    active_at = greatest(p.active_at, begin_jobs.at), running = true,
    rhythm = case when not p.rhythm is null then milepost_private.rhythm_step(p.rhythm, p.active_s,
      j.items_completed::double precision + j.items_failed + j.items_canceled + j.items_skipped, 'resume') end
  from milepost.jobs j
  where j.job_id = any (job_ids) and p.job_id = j.job_id;

  -- Before a kind's row is locked: see transition.
  insert into milepost_private.tenant_loads as t (tenant_id, jobs_at_work)
  select j.tenant_id, count(*) from milepost.jobs j where j.job_id = any (job_ids) group by j.tenant_id
  on conflict on constraint tenant_loads_pkey do update set jobs_at_work = t.jobs_at_work + excluded.jobs_at_work;

  with begun as (
    select j.job_id, b.prior, b.is_first, b.actor,
           milepost_private.progress_fields(j, milepost_private.figures(j, p, k, begin_jobs.at)) as fields
    from unnest(job_ids, v_priors, v_firsts, actors) as b (job_id, prior, is_first, actor)
    join milepost.jobs j on j.job_id = b.job_id
    left join milepost_private.pulses p on p.job_id = j.job_id
    left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  )
  select array_agg(d.draft order by b.job_id, d.n) into v_drafts
  from begun b
  cross join lateral (
    select 1 as n, row(b.job_id, 'job.started', b.fields)::milepost_private.event_draft as draft where b.is_first
    union all
    select 2, row(b.job_id, 'job.state_changed', b.fields || jsonb_build_object(
      'prior_state', b.prior, 'new_state', 'running', 'reason', null, 'actor', b.actor))::milepost_private.event_draft
  ) d;
  perform milepost_private.emit(v_drafts, at);
end;
$$;
comment on function milepost_private.begin_jobs(uuid[], text[], timestamptz) is
'Brings jobs that are pending or retrying to running, with the actor of each: state, active clock, load, events. The caller holds their row locks.';
revoke execute on function milepost_private.begin_jobs(uuid[], text[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.begin_jobs(uuid[], text[], timestamptz) to service_role;
