-- replay: what the functions that serve live jobs would have said of a job, from its checkpoints alone.
do $$
begin
  if to_regtype('milepost_private.replayed') is null then
    create type milepost_private.replayed as (
      at_s         float8,
      remaining_s  float8,
      low_s        float8,
      high_s       float8,
      liveness     text
    );
  end if;
end;
$$;

comment on type milepost_private.replayed is 'What a job''s estimate and liveness were at one moment of a replay.';

create or replace function milepost_private.replay(
  checkpoints    jsonb,     -- [{"t": seconds, "done": n, "total": n or null, "state": "running", "paused" or "retry"}, ...]
  at_s           float8[],  -- an answer for second x has seen the checkpoints with t <= x
  pace_history   milepost_private.kind_pace default null,
  rhythm_history milepost_private.kind_rhythm default null
)
returns setof milepost_private.replayed
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_line     record;
  v_pace     milepost_private.pace;
  v_rhythm   milepost_private.rhythm;
  v_estimate milepost_private.estimate;
  v_answers  milepost_private.replayed[] := '{}';
  v_now_s    float8;
  v_active_s float8 := 0;
  v_heard_s  float8;
  v_done     float8 := 0;
  v_total    float8;
  v_paused   boolean := false;
  v_event    text;
begin
  for v_line in
    select c.t, c.done, c.total, c.state, null::bigint as asked, c.place
      from rows from (
        jsonb_to_recordset(replay.checkpoints) as (t float8, done float8, total float8, state text)
      ) with ordinality as c (t, done, total, state, place)
    union all
    select a.t, null, null, null, a.place, a.place
      from unnest(replay.at_s) with ordinality as a (t, place)
    order by t, asked nulls first, place
  loop
    -- The clock starts at second 0, or at the first checkpoint where that is earlier.
    if not v_paused then
      v_active_s := v_active_s + greatest(v_line.t - coalesce(v_now_s, least(v_line.t, 0)), 0);
    end if;
    v_now_s := v_line.t;

    if v_line.asked is null then
      v_event := case
        when v_line.state = 'retry' then 'retry'
        when v_line.state = 'running' and v_paused then 'resume'
        else 'checkpoint'
      end;
      v_paused := coalesce(v_line.state = 'paused', v_paused);
      v_done := coalesce(v_line.done, v_done);
      v_total := v_line.total;
      v_heard_s := v_line.t;
      v_pace := milepost_private.pace_step(v_pace, v_active_s, v_done, v_total - v_done);
      v_rhythm := milepost_private.rhythm_step(v_rhythm, v_active_s, v_done, v_event);
    else
      v_estimate := milepost_private.pace_estimate(
        v_pace, v_active_s, v_total - v_done, pace_history, v_done / nullif(v_total, 0)
      );
      v_answers[v_line.asked] := row(
        v_line.t, v_estimate.remaining_s, v_estimate.low_s, v_estimate.high_s,
        case
          when v_paused then 'on_time'
          else (milepost_private.rhythm_liveness(v_rhythm, v_active_s, v_line.t - v_heard_s, null, rhythm_history)).liveness
        end
      );
    end if;
  end loop;
  return query select a.* from unnest(v_answers) as a;
end;
$$;

comment on function milepost_private.replay(
  jsonb, float8[], milepost_private.kind_pace, milepost_private.kind_rhythm
) is
'What the live functions would have said of these checkpoints at each asked second, in the order asked. Writes nothing.';

revoke execute on function milepost_private.replay(
  jsonb, float8[], milepost_private.kind_pace, milepost_private.kind_rhythm
) from public, anon, authenticated;
grant execute on function milepost_private.replay(
  jsonb, float8[], milepost_private.kind_pace, milepost_private.kind_rhythm
) to service_role;
