-- checkpoints_answer: what a worker hears: for each job what became of its entries and what to do now.
create or replace function milepost_private.checkpoints_answer(
  entries milepost_private.entry[], some_refused boolean, indexes jsonb, at timestamptz
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_results jsonb;
  v_errors  jsonb;
begin
  with heard as (
    select e.job_id, min(e.n) as n,
           count(*) filter (where e.refusal is null and not e.is_duplicate) as accepted,
           count(*) filter (where e.refusal is null and e.is_duplicate) as duplicates,
           sum((e.batch ->> 'items')::double precision) filter (where e.batch ->> 'duration_ms' is not null)
             / nullif(sum((e.batch ->> 'duration_ms')::double precision) filter (where e.batch ->> 'items' is not null), 0) as items_per_ms,
           max(e.attempt) as attempt
    from unnest(entries) e
    where e.job_id is not null and coalesce(e.refusal, '') not in ('unknown_attempt', 'not_allowed')
    group by e.job_id
  )
  select jsonb_agg(jsonb_build_object(
    'job', j.key, 'job_id', j.job_id, 'attempt', j.attempt, 'state', j.state, 'version', j.version,
    'accepted', h.accepted, 'duplicates', h.duplicates,
    'directive', case
      -- Also of an attempt that ended while this request was recorded.
      when h.attempt < j.attempt or j.state = 'failed' then 'stop'
      when j.state in ('canceling', 'canceled') then 'cancel'
      when j.state in ('pausing', 'paused') then 'pause'
      else 'continue' end,
    'percent_complete', f.percent_complete, 'eta_ms', f.eta_ms, 'next_checkpoint_ms', c.interval_ms,
    'suggested_batch_items', case when h.items_per_ms is not null then least(greatest(round(h.items_per_ms * c.interval_ms), 1), 1e9) end
  ) order by h.n)
  into v_results
  from heard h
  join milepost.jobs j on j.job_id = h.job_id
  left join milepost_private.pulses p on p.job_id = j.job_id
  left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  join milepost.tenants t on t.tenant_id = j.tenant_id
  left join milepost_private.tenant_loads o on o.tenant_id = j.tenant_id
  -- If each job at work sent each checkpoint by itself, they would together take half of what the tenant may send.
  cross join lateral (select greatest(1000, 2000.0 * o.jobs_at_work / t.requests_per_s)) c (interval_ms)
  cross join lateral milepost_private.figures(j, p, k, checkpoints_answer.at) f;
  if some_refused then
    select jsonb_agg(jsonb_build_object(
      'index', coalesce((indexes -> (e.n - 1))::int, e.n - 1),
      'code', e.refusal,
      'message', case e.refusal
        when 'stale_attempt' then format('Expected attempt %s of job %s; this is from attempt %s, which is over.', e.current_attempt, e.job, e.attempt)
        when 'not_allowed' then format('Expected a job of a kind that the key is for; %s is none.', e.job)
        when 'unknown_attempt' then format('Expected attempt %s of job %s; found attempt %s, which has not begun.', coalesce(e.current_attempt, 1), e.job, e.attempt)
        else format('Expected a job with this id; %s is not one.', e.job) end,
      'hint', case e.refusal
        when 'stale_attempt' then 'Stop: another worker may have taken over from the last cursor.'
        when 'not_allowed' then 'Use a key for this kind, or one without kinds.'
        when 'unknown_attempt' then 'Use the attempt that create, claim or the last answer gave, or leave it out.'
        else 'Check the id, or use a key of your own to create a job.' end
    ) order by e.n)
    into v_errors
    from unnest(entries) e where e.refusal is not null;
  end if;
  return jsonb_build_object('results', coalesce(v_results, '[]'), 'errors', coalesce(v_errors, '[]'));
end;
$$;
comment on function milepost_private.checkpoints_answer(milepost_private.entry[], boolean, jsonb, timestamptz) is
'The body of the answer to POST /v1/checkpoints.';
revoke execute on function milepost_private.checkpoints_answer(milepost_private.entry[], boolean, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.checkpoints_answer(milepost_private.entry[], boolean, jsonb, timestamptz) to service_role;
