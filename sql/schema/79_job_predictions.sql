-- job_predictions: what was predicted of a job at each tenth of its progress, and its course to draw beside it.
create or replace function milepost.job_predictions(job_id text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job   milepost.jobs := milepost_private.visible_job(job_id);
  v_began timestamptz := coalesce(v_job.started_at, v_job.created_at);
  v_first bigint;
  v_last  bigint;
  v_from  timestamptz;
  v_until timestamptz;
begin
  select min(c.checkpoint_id), max(c.checkpoint_id) into v_first, v_last
  from milepost.checkpoints c where c.job_id = v_job.job_id and c.job_done is not null;
  -- Only the days between these two are looked at. Who drew an id first may have been written down later, but not by a day.
  select min(c.received_at) - interval '1 day', max(c.received_at) + interval '1 day' into v_from, v_until
  from milepost.checkpoints c where c.job_id = v_job.job_id and c.checkpoint_id in (v_first, v_last);

  return jsonb_build_object(
    'job', v_job.key, 'job_id', v_job.job_id,
    'predictions', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'tenth', p.tenth, 't', extract(epoch from p.said_at - v_began)::double precision,
        'eta_ms', p.remaining_s * 1000, 'eta_low_ms', p.low_s * 1000, 'eta_high_ms', p.high_s * 1000,
        -- Both on the active clock: what was left then, as it turned out.
        'true_ms', case when v_job.state = 'completed' then (u.active_s - p.active_s) * 1000 end) order by p.tenth), '[]')
      from milepost_private.predictions p
      join milepost_private.pulses u on u.job_id = p.job_id
      where p.job_id = v_job.job_id),
    -- At most 200 of them, evenly by their numbers: each is one look into the index, so a long history costs no more.
    'checkpoints', (
      select coalesce(jsonb_agg(jsonb_build_object(
        't', extract(epoch from s.received_at - v_began)::double precision, 'done', s.job_done, 'total', s.job_total)
        order by s.checkpoint_id), '[]')
      from (
        select distinct on (c.checkpoint_id) c.*
        from generate_series(0, 199) as g (place)
        cross join lateral (
          select x.checkpoint_id, x.received_at, x.job_done, x.job_total
          from milepost.checkpoints x
          where x.job_id = v_job.job_id and x.job_done is not null and x.received_at between v_from and v_until
            and x.checkpoint_id >= v_first + ((v_last - v_first)::numeric * g.place / 199)::bigint
          order by x.checkpoint_id limit 1
        ) c
        order by c.checkpoint_id
      ) s));
end;
$$;
comment on function milepost.job_predictions(text) is
'What was predicted of a job when it first reached each tenth, and its checkpoints thinned to at most 200: {"job", "job_id", "predictions": [{"tenth", "t", "eta_ms", "eta_low_ms", "eta_high_ms", "true_ms"}], "checkpoints": [{"t", "done", "total"}]}; t in seconds since it started. Refuses with job_not_found.';
revoke execute on function milepost.job_predictions(text) from public, anon, authenticated;
grant execute on function milepost.job_predictions(text) to authenticated, service_role;
