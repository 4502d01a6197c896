-- settle_states: bring a job to the state that its lanes' words make it.
create or replace function milepost_private.settle_states(job_id uuid, entries milepost_private.entry[], at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job   milepost.jobs;
  v_lanes record;
  v_new   text;
  v_word  record;
begin
  select * into v_job from milepost.jobs j where j.job_id = settle_states.job_id;
  -- GUARD: ended; what arrives later still counts, but changes no state
  if milepost_private.is_terminal(v_job.state) then
    return;
  end if;

  select count(*) as n,
         count(*) filter (where l.state in ('completed', 'canceled', 'failed')) as settled,
         count(*) filter (where l.state = 'failed') as failed,
         count(*) filter (where l.state = 'canceled') as canceled,
         count(*) filter (where l.state = 'paused') as paused,
         count(*) filter (where l.state in ('completing', 'completed')) as completing
  into v_lanes
  from milepost.lanes l where l.job_id = settle_states.job_id and l.attempt = v_job.attempt;

  v_new := case
    when v_job.state = 'canceling' then
      case when v_lanes.settled = v_lanes.n then case when v_lanes.failed + v_lanes.canceled > 0 then 'canceled' else 'completed' end end
    when v_lanes.failed > 0 then case when v_job.attempt < v_job.max_attempts then 'retrying' else 'failed' end
    when v_lanes.settled = v_lanes.n and v_lanes.canceled > 0 then 'canceled'
    when v_lanes.settled = v_lanes.n and v_lanes.n >= coalesce(v_job.workers_expected, 1) then 'completed'
    when v_lanes.paused > 0 and v_lanes.paused + v_lanes.settled = v_lanes.n and v_job.state in ('running', 'pausing') then 'paused'
    when v_job.state = 'running' and v_lanes.completing = v_lanes.n and v_lanes.settled < v_lanes.n then 'completing'
    -- A worker that paused on its own goes on by itself; one that was paused by a person waits for one.
    when v_job.state = 'paused' and v_lanes.paused = 0 and v_job.state_actor like 'worker:%' then 'running'
  end;

  select e.worker, coalesce(e.reason, case when v_new in ('failed', 'retrying') then e.message end) as reason into v_word
  from unnest(entries) e
  where e.job_id = settle_states.job_id and e.refusal is null and e.state is not null
  order by (e.state = case when v_new in ('failed', 'retrying') then 'failed' else v_new end) desc, e.seq desc, e.n desc limit 1;

  if v_job.state in ('pending', 'retrying') and v_new is distinct from 'canceled' then
    perform milepost_private.transition(settle_states.job_id, 'running', 'report', null,
      'worker:' || coalesce(v_word.worker, (select e.worker from unnest(entries) e where e.job_id = settle_states.job_id limit 1)), at);
  end if;
  if v_new is not null then
    perform milepost_private.transition(settle_states.job_id, v_new, 'report',
      case when v_job.state in ('pausing', 'canceling') then v_job.state_reason else v_word.reason end,
      -- An acknowledgement keeps the name of the person who asked.
      case when v_job.state in ('pausing', 'canceling') then v_job.state_actor else 'worker:' || v_word.worker end, at);
  end if;
end;
$$;
comment on function milepost_private.settle_states(uuid, milepost_private.entry[], timestamptz) is
'Changes a job''s state as its lanes'' states demand: running at first contact, paused, completing, completed, canceled, failed or its next attempt.';
revoke execute on function milepost_private.settle_states(uuid, milepost_private.entry[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.settle_states(uuid, milepost_private.entry[], timestamptz) to service_role;
