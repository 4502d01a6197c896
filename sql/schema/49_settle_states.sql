-- settle_states: bring jobs to the state that their lanes' words make it. What else the request changed is told in between: after a
-- job's beginning, and before its end, which a client may take for the last word.
create or replace function milepost_private.settle_states(
  job_ids uuid[], entries milepost_private.entry[], drafts milepost_private.event_draft[], at timestamptz
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_begun  uuid[];
  v_actors text[];
  v_moves  jsonb;
  v_move   record;
begin
  with settling as materialized (
    select j.job_id, j.state, j.state_reason, j.state_actor, d.new_state
    from milepost.jobs j
    cross join lateral (
      select count(*) as n,
             count(*) filter (where l.state in ('completed', 'canceled', 'failed')) as settled,
             count(*) filter (where l.state = 'failed') as failed,
             count(*) filter (where l.state = 'canceled') as canceled,
             count(*) filter (where l.state = 'paused') as paused,
             count(*) filter (where l.state in ('completing', 'completed')) as completing
      from milepost.lanes l where l.job_id = j.job_id and l.attempt = j.attempt
    ) l
    cross join lateral (
      select case
        when j.state = 'canceling' then
          case when l.settled = l.n then case when l.failed + l.canceled > 0 then 'canceled' else 'completed' end end
        when l.failed > 0 then case when j.attempt < j.max_attempts then 'retrying' else 'failed' end
        when l.settled = l.n and l.canceled > 0 then 'canceled'
        when l.settled = l.n and l.n >= coalesce(j.workers_expected, 1) then 'completed'
        when l.paused > 0 and l.paused + l.settled = l.n and j.state in ('running', 'pausing') then 'paused'
        when j.state = 'running' and l.completing = l.n and l.settled < l.n then 'completing'
        -- A worker that paused on its own goes on by itself; one that was paused by a person waits for one.
        when j.state = 'paused' and l.paused = 0 and j.state_actor like 'worker:%' then 'running'
      end as new_state
    ) d
    -- What arrives after the end still counts, but changes no state.
    where j.job_id = any (job_ids) and not milepost_private.is_terminal(j.state)
  ), worded as (
    -- Who said it, and why: of a job's entries the one that named the state it comes to, else the last that named one, else the first.
    select distinct on (s.job_id) s.*, e.worker, e.state is not null as named,
           coalesce(e.reason, case when s.new_state in ('failed', 'retrying') then e.message end) as reason
    from settling s
    join unnest(entries) e on e.job_id = s.job_id and e.refusal is null
    order by s.job_id, e.state is not null desc,
             (e.state = case when s.new_state in ('failed', 'retrying') then 'failed' else s.new_state end) desc,
             case when e.state is null then e.n end, e.seq desc, e.n desc
  )
  select array_agg(w.job_id order by w.job_id) filter (where w.state in ('pending', 'retrying') and w.new_state is distinct from 'canceled'),
         array_agg('worker:' || w.worker order by w.job_id) filter (where w.state in ('pending', 'retrying') and w.new_state is distinct from 'canceled'),
         jsonb_agg(jsonb_build_object('job_id', w.job_id, 'new_state', w.new_state,
           -- An acknowledgement keeps the reason, and the name of the person who asked.
           'reason', case when w.state in ('pausing', 'canceling') then w.state_reason when w.named then w.reason end,
           'actor', case when w.state in ('pausing', 'canceling') then w.state_actor when w.named then 'worker:' || w.worker end)
           order by w.job_id) filter (where w.new_state is not null)
  into v_begun, v_actors, v_moves
  from worded w;

  if v_begun is not null then
    perform milepost_private.begin_jobs(v_begun, v_actors, at);
  end if;
  if drafts is not null then
    perform milepost_private.emit(drafts, at);
  end if;
  for v_move in
    select r.* from jsonb_to_recordset(v_moves) as r (job_id uuid, new_state text, reason text, actor text)
  loop
    perform milepost_private.transition(v_move.job_id, v_move.new_state, 'report', v_move.reason, v_move.actor, at);
  end loop;
end;
$$;
comment on function milepost_private.settle_states(uuid[], milepost_private.entry[], milepost_private.event_draft[], timestamptz) is
'Changes jobs'' states as their lanes'' states demand: running at first contact, paused, completing, completed, canceled, failed or the next attempt. Writes the given events after beginnings and before ends.';
revoke execute on function milepost_private.settle_states(uuid[], milepost_private.entry[], milepost_private.event_draft[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.settle_states(uuid[], milepost_private.entry[], milepost_private.event_draft[], timestamptz) to service_role;
