-- backtest: how near the estimator comes on jobs that completed, from their stored checkpoints, beside two simple rules.

-- stored_trace: a job's checkpoints as replay takes them, in seconds of its active clock.
create or replace function milepost_private.stored_trace(job_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_agg(jsonb_build_object('t', a.active_s, 'done', a.done, 'total', a.total) order by a.place)
         filter (where a.done is not null)
  from (
    select r.place, r.done, r.total,
           sum(case when r.ran then extract(epoch from r.moment - r.before)::double precision else 0 end) over (order by r.place) as active_s
    from (
      select m.*, row_number() over w as place, lag(m.moment) over w as before,
             -- Whether the clock ran until here: what the last change of state before said.
             coalesce(sum(m.starts) over (w rows between unbounded preceding and 1 preceding), 0) > 0 as ran
      from (
        select c.received_at as moment, 1 as rank, c.checkpoint_id as number, 0 as starts,
               (c.job_done - coalesce(c.job_skipped, 0))::double precision as done,
               (c.job_total - coalesce(c.job_skipped, 0))::double precision as total
        from milepost.checkpoints c where c.job_id = stored_trace.job_id and c.job_done is not null
        union all
        select e.ts, 0, e.version,
               (e.data ->> 'new_state' in ('running', 'completing', 'pausing', 'canceling'))::int
                 - (e.data ->> 'prior_state' in ('running', 'completing', 'pausing', 'canceling'))::int, null, null
        from milepost.events e where e.job_id = stored_trace.job_id and e.type = 'job.state_changed'
      ) m
      window w as (order by m.moment, m.rank, m.number)
    ) r
  ) a;
$$;
comment on function milepost_private.stored_trace(uuid) is
'A job''s stored checkpoints as [{"t", "done", "total"}]: active seconds, items settled by work, and total without skipped items.';
revoke execute on function milepost_private.stored_trace(uuid) from public, anon, authenticated;
grant execute on function milepost_private.stored_trace(uuid) to service_role;

-- simple_rules: what two rules in wide use would have said of the same trace.
create or replace function milepost_private.simple_rules(
  trace jsonb,     -- as stored_trace gives it
  at_s  float8[],  -- an answer for second x has seen the checkpoints with t <= x
  out elapsed_average_s float8[],
  out tqdm_s            float8[]
)
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_line    record;
  v_last_s  float8;
  v_last    float8;
  v_left    float8;
  v_spent_s float8 := 0;
  v_work    float8 := 0;
  v_mark_s  float8;  -- tqdm's last sample
  v_mark    float8;
  v_items   float8 := 0;
  v_seconds float8 := 0;
begin
  for v_line in
    select c.t, c.done, c.total, null::bigint as asked, c.place
      from rows from (jsonb_to_recordset(simple_rules.trace) as (t float8, done float8, total float8))
           with ordinality as c (t, done, total, place)
    union all
    select a.t, null, null, a.place, a.place from unnest(simple_rules.at_s) with ordinality as a (t, place)
    order by t, asked nulls first, place
  loop
    if v_line.asked is not null then
      elapsed_average_s[v_line.asked] := v_left * v_spent_s / nullif(v_work, 0);
      tqdm_s[v_line.asked] := v_left * v_seconds / nullif(v_items, 0);
      continue;
    end if;
    v_spent_s := v_spent_s + coalesce(v_line.t - v_last_s, 0);
    v_work := v_work + greatest(coalesce(v_line.done - v_last, 0), 0);
    v_last_s := v_line.t;
    v_last := v_line.done;
    v_left := greatest(v_line.total - v_line.done, 0);
    -- EMA(0.3) of items over EMA(0.3) of seconds, sampled at most once in 0.1 s.
    if v_mark is null or v_line.done < v_mark then
      v_mark_s := coalesce(v_mark_s, v_line.t);
      v_mark := v_line.done;
    elsif v_line.done > v_mark and v_line.t - v_mark_s >= 0.1 then
      v_items := 0.3 * (v_line.done - v_mark) + 0.7 * v_items;
      v_seconds := 0.3 * (v_line.t - v_mark_s) + 0.7 * v_seconds;
      v_mark_s := v_line.t;
      v_mark := v_line.done;
    end if;
  end loop;
end;
$$;
comment on function milepost_private.simple_rules(jsonb, float8[]) is
'Remaining seconds by the elapsed average and by tqdm''s moving average, for each asked second; null where the rule cannot tell.';
revoke execute on function milepost_private.simple_rules(jsonb, float8[]) from public, anon, authenticated;
grant execute on function milepost_private.simple_rules(jsonb, float8[]) to service_role;

create or replace function milepost.backtest(kind text default null, "limit" int default 50)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job       record;
  v_history   milepost_private.kind_pace;
  v_trace     jsonb;
  v_at_s      double precision[];
  v_said_s    double precision[];
  v_low_s     double precision[];
  v_high_s    double precision[];
  v_rules     record;
  v_jobs      int := 0;
  v_left_out  int := 0;
  v_questions jsonb := '[]';
begin
  for v_job in
    select l.*, row_number() over (partition by l.tenant_id, l.kind order by l.finished_at, l.job_id) = 1 as is_first from (
      select j.job_id, j.tenant_id, j.kind, j.finished_at, p.active_s,
             j.items_completed::double precision + j.items_failed + j.items_canceled as work,
             j.counts_reported or not j.has_stages as counts_items
      from milepost.jobs j join milepost_private.pulses p on p.job_id = j.job_id
      where j.state = 'completed' and (backtest.kind is null or j.kind = backtest.kind)
      order by j.finished_at desc limit backtest."limit"
    ) l
    order by l.tenant_id, l.kind, l.finished_at, l.job_id
  loop
    -- As live jobs do, each run knows the runs of its kind that ended before it, and no others.
    if v_job.is_first then
      v_history := null;
    end if;
    v_trace := case when v_job.counts_items and v_job.active_s > 0 then milepost_private.stored_trace(v_job.job_id) end;
    -- When each tenth was first reached with something left to do.
    select array_agg(r.reached_s order by g.tenth) into v_at_s
    from generate_series(0, 9) as g (tenth)
    left join lateral (
      select min(c.t) as reached_s
      from jsonb_to_recordset(v_trace) as c (t double precision, done double precision, total double precision)
      where c.total > c.done and c.done >= g.tenth / 10.0 * c.total
    ) r on true;
    -- GUARD: nothing to judge: its history is gone, it counted by stages, or it never knew its total
    if array_remove(v_at_s, null) = '{}' then
      v_left_out := v_left_out + 1;
      continue;
    end if;
    v_jobs := v_jobs + 1;

    select array_agg(r.remaining_s order by r.place), array_agg(r.low_s order by r.place), array_agg(r.high_s order by r.place)
    into v_said_s, v_low_s, v_high_s
    from milepost_private.replay(v_trace, v_at_s, v_history)
      with ordinality as r (at_s, remaining_s, low_s, high_s, liveness, place);
    v_rules := milepost_private.simple_rules(v_trace, v_at_s);
    v_questions := v_questions || (
      select coalesce(jsonb_agg(jsonb_build_object(
        'milepost', ln(v_said_s[g.place] / t.true_s), 'elapsed_average', ln(nullif(v_rules.elapsed_average_s[g.place], 0) / t.true_s),
        'tqdm', ln(nullif(v_rules.tqdm_s[g.place], 0) / t.true_s), 'covered', t.true_s between v_low_s[g.place] and v_high_s[g.place])), '[]')
      from generate_series(1, 10) as g (place)
      cross join lateral (select v_job.active_s - v_at_s[g.place] as true_s) t
      where t.true_s > 0);
    if v_job.kind <> 'default' then
      v_history := milepost_private.kind_pace_learn(v_history, v_job.active_s, v_job.work, v_at_s, v_said_s);
    end if;
  end loop;

  return (
    with questions as (
      select q.*, q.milepost is not null and q.elapsed_average is not null and q.tqdm is not null as by_all
      from jsonb_to_recordset(v_questions) as q (milepost double precision, elapsed_average double precision, tqdm double precision, covered boolean)
    )
    select jsonb_build_object('jobs', v_jobs, 'left_out', v_left_out, 'questions', (select count(*) from questions),
      'compared', (select count(*) from questions q where q.by_all), 'rules', jsonb_agg(r.rule order by r.place))
    from (
      select v.place, jsonb_build_object('rule', v.name, 'answered', count(v.error),
        'median_error', percentile_cont(0.5) within group (order by abs(v.error)) filter (where q.by_all),
        'p90_error', percentile_cont(0.9) within group (order by abs(v.error)) filter (where q.by_all),
        'bias', avg(v.error) filter (where q.by_all),
        'coverage', avg(q.covered::int) filter (where v.name = 'milepost')) as rule
      from (values (1, 'milepost'), (2, 'elapsed_average'), (3, 'tqdm')) as n (place, name)
      left join questions q on true
      cross join lateral (select n.place, n.name, case n.name when 'milepost' then q.milepost when 'tqdm' then q.tqdm
                                                              else q.elapsed_average end as error) v
      group by v.place, v.name
    ) r);
end;
$$;
comment on function milepost.backtest(text, int) is
'Replays the newest completed jobs (of a kind): predictions at each tenth of progress, scored as |ln(predicted / true)| on the questions that every rule answered: {"jobs", "left_out", "questions", "compared", "rules": [{"rule", "answered", "median_error", "p90_error", "bias", "coverage"}]}.';
revoke execute on function milepost.backtest(text, int) from public, anon, authenticated;
grant execute on function milepost.backtest(text, int) to service_role;
