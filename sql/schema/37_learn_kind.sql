-- learn_kind: what a run that completed teaches about its kind, and how right its predictions were.
create or replace function milepost_private.learn_kind(job_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job       milepost.jobs;
  v_pulse     milepost_private.pulses;
  v_kind      milepost_private.kinds;
  v_reached   double precision[];
  v_predicted double precision[];
  v_work      double precision;
  v_stages_s  jsonb;
begin
  select * into v_job from milepost.jobs j where j.job_id = learn_kind.job_id;
  select * into v_pulse from milepost_private.pulses p where p.job_id = learn_kind.job_id;
  -- GUARD: it never ran
  if v_pulse.active_s is null or v_pulse.active_s <= 0 then
    return;
  end if;

  insert into milepost_private.eta_scores (job_id, tenth, tenant_id, kind, log_error, covered, width)
  select p.job_id, p.tenth, v_job.tenant_id, v_job.kind, ln(p.remaining_s / t.true_s),
         t.true_s between p.low_s and p.high_s, (p.high_s - p.low_s) / t.true_s
  from milepost_private.predictions p
  cross join lateral (select v_pulse.active_s - p.active_s as true_s) t
  where p.job_id = learn_kind.job_id and p.remaining_s > 0 and t.true_s > 0
  on conflict do nothing;

  select array_agg(p.active_s order by g.tenth), array_agg(p.remaining_s order by g.tenth) into v_reached, v_predicted
  from generate_series(0, 9) as g (tenth)
  left join milepost_private.predictions p on p.job_id = learn_kind.job_id and p.tenth = g.tenth;

  -- GUARD: jobs that were given no kind have nothing in common
  if v_job.kind = 'default' then
    return;
  end if;

  v_work := v_job.items_completed::double precision + v_job.items_failed + v_job.items_canceled;
  -- Stages keep the times of the wall: a run that paused or waited is no measure of them.
  if v_job.has_stages and v_pulse.active_s > 0.95 * extract(epoch from v_job.finished_at - v_job.started_at) then
    select jsonb_object_agg(s.name, extract(epoch from s.finished_at - s.started_at)) into v_stages_s
    from milepost.stages s where s.job_id = learn_kind.job_id and s.finished_at > s.started_at;
  end if;

  -- Runs of a kind that end at the same moment learn one after the other.
  insert into milepost_private.kinds (tenant_id, kind) values (v_job.tenant_id, v_job.kind) on conflict do nothing;
  select * into v_kind from milepost_private.kinds k
  where k.tenant_id = v_job.tenant_id and k.kind = v_job.kind for no key update;
  update milepost_private.kinds k set
    pace = milepost_private.kind_pace_learn(v_kind.pace, v_pulse.active_s,
             -- What was done before it was tracked cost it nothing, what a retry did twice is one item.
             least((v_pulse.pace).work + v_work - (v_pulse.pace).done, v_work),
             v_reached, v_predicted, v_stages_s),
    rhythm = milepost_private.kind_rhythm_learn(v_kind.rhythm, v_pulse.rhythm),
    trend = milepost_private.kind_trend_learn(v_kind.trend, v_work + v_job.items_skipped, v_job.items_failed),
    updated_at = now()
  where k.tenant_id = v_job.tenant_id and k.kind = v_job.kind;
end;
$$;
comment on function milepost_private.learn_kind(uuid) is
'Takes a completed job''s pace and rhythm into what its kind remembers, and scores its predictions.';
revoke execute on function milepost_private.learn_kind(uuid) from public, anon, authenticated;
grant execute on function milepost_private.learn_kind(uuid) to service_role;
