-- A believable week of jobs for demonstrations and tests, ending now: what workers would have said in the past week is said to
-- the very functions that workers use, in the order of time. Run again, it changes nothing; a week later delete the tenant first:
--   delete from milepost.tenants where tenant_id = '5eed0000-0000-4000-8000-000000000001';
do $$
declare
  v_tenant constant uuid := '5eed0000-0000-4000-8000-000000000001';
  v_admin  constant uuid := '5eed0000-0000-4000-8000-0000000000ad';
  v_owner  constant uuid := '5eed0000-0000-4000-8000-0000000000e1';
  v_now    constant timestamptz := now();
  v_step   record;
begin
  -- GUARD: it is there
  if exists (select from milepost.tenants t where t.tenant_id = v_tenant) then
    return;
  end if;
  insert into milepost.tenants (tenant_id, name) values (v_tenant, 'Demo');
  insert into milepost.members (tenant_id, user_id, role) values (v_tenant, v_admin, 'admin'), (v_tenant, v_owner, 'viewer');
  perform milepost_private.write_audit(v_tenant, 'system', 'create_tenant', 'Demo', at => v_now - interval '7 days 12 hours');
  perform milepost_private.write_audit(v_tenant, 'user:' || v_admin, 'add_member', v_owner::text, '{"role": "viewer"}',
                                       at => v_now - interval '7 days 11 hours');
  perform milepost_private.make_partitions((v_now at time zone 'utc')::date - 8, (v_now at time zone 'utc')::date + 7);

  create temp table seed_steps (
    at timestamptz not null, n int generated always as identity, job text, verb text, actor text, reason text, body jsonb
  ) on commit drop;

  -- FINISHED: five kinds, each some times a day. How long and how large a run is, and whether it fails, comes from its number.
  create temp table seed_runs on commit drop as
  select r.*, r.began_at + r.took as ended_at
  from (
    select k.kind, k.unit, k.key || ' ' || to_char((v_now - o.ago) at time zone 'utc', 'YYYY-MM-DD HH24:MI') as job, k.name, n.number, o.ago,
           v_now - o.ago as began_at, k.took * (0.85 + 0.3 * luck.one) as took, round(k.items * (0.95 + 0.1 * luck.two)) as items,
           k.failed_share, k.steps,
           case when k.kind = 'thumbnails' and n.number % 9 = 4 then
             (array['out of memory', 'no space left on device', 'HTTP 503 from images.example.com'])[1 + n.number / 9 % 3] end as error
    from (values
      ('nightly_import',  'nightly-import',  'Nightly import',   'rows',      1, interval '5 hours',    interval '1 day',    interval '40 minutes', 200000, 0.0, 10),
      ('video_encode',    'encode',          'Video encode',     'files',     3, interval '2 hours',    interval '7 hours',  interval '50 minutes', 12,     0.0, 9),
      ('embedding_batch', 'embeddings',      'Embedding batch',  'documents', 4, interval '1 hour',     interval '6 hours',  interval '25 minutes', 30000,  0.004, 5),
      ('daily_report',    'report',          'Daily report',     'pages',     1, interval '9 hours',    interval '1 day',    interval '6 minutes',  40,     0.0, 5),
      ('thumbnails',      'thumbnails',      'Thumbnails',       'images',    6, interval '45 minutes', interval '4 hours',  interval '4 minutes',  800,    0.001, 5)
    ) as k (kind, key, name, unit, a_day, first, every, took, items, failed_share, steps)
    cross join lateral generate_series(0, 7 * k.a_day - 1) as n (number)
    cross join lateral (select k.first + (n.number / k.a_day) * interval '1 day' + (n.number % k.a_day) * k.every as ago) o
    cross join lateral (select ('x' || left(md5(k.kind || n.number), 7))::bit(28)::int / 268435456.0 as one,
                               ('x' || right(md5(k.kind || n.number), 7))::bit(28)::int / 268435456.0 as two) luck
  ) r;

  insert into seed_steps (at, job, verb, body)
  select r.began_at - interval '5 seconds', r.job, 'create', jsonb_build_object('job', r.job, 'kind', r.kind, 'name', r.name,
         'unit', r.unit, 'items_total', r.items, 'start', false, 'max_attempts', case when r.error is null then 3 else 1 end,
         'owner_id', case when r.kind = 'daily_report' then v_owner end, 'metadata', jsonb_build_object('team',
           case r.kind when 'nightly_import' then 'data' when 'daily_report' then 'finance' else 'media' end))
  from seed_runs r;

  -- Counted runs report their beginning and then every fifth or tenth.
  insert into seed_steps (at, job, verb, body)
  select r.began_at + r.took * s.step / r.steps
           -- The third nightly import before today's was paused for half an hour when it was half done.
           + case when r.kind = 'nightly_import' and r.number = 2 and s.step > 5 then interval '30 minutes' else interval '0' end,
         r.job, 'report', jsonb_build_object('job', r.job, 'worker', 'worker-' || (1 + r.number % 3), 'attempt', 1,
           'items_completed', c.done - c.failed, 'items_failed', c.failed, 'bytes_processed', c.done * 512,
           'cursor', jsonb_build_object('offset', c.done), 'message', c.done || ' of ' || r.items,
           'state', case when r.error is not null and s.step = 2 then 'failed' when s.step = r.steps then 'completed' else 'running' end,
           'reason', case when s.step = 2 then r.error end)
  from seed_runs r cross join lateral generate_series(0, r.steps) as s (step)
  cross join lateral (select round(r.items * s.step / r.steps) as done, round(r.items * s.step / r.steps * r.failed_share) as failed) c
  where r.kind <> 'video_encode'
    and (r.error is null or s.step <= 2)
    -- What did not run through is told below.
    and not (r.kind = 'nightly_import' and r.number = 4) and not (r.kind = 'daily_report' and r.number = 3 and s.step > 2);

  -- Encodes have three stages and twelve files; one file of every fourth run fails.
  insert into seed_steps (at, job, verb, body)
  select r.began_at + r.took * s.ninth / 9, r.job, 'report', jsonb_build_object('job', r.job, 'worker', 'gpu-' || (1 + r.number % 2),
         'state', case when s.ninth = 9 then 'completed' else 'running' end,
         'stage', (select jsonb_agg(jsonb_build_object('name', g.name, 'weight', g.weight, 'items_total', 12,
                     'items_completed', least(greatest(s.ninth - 3 * g.place, 0), 3) * 4 - (g.name = 'upload' and s.ninth = 9 and r.number % 4 = 1)::int,
                     'items_failed', (g.name = 'upload' and s.ninth = 9 and r.number % 4 = 1)::int,
                     'state', case when s.ninth >= 3 * g.place + 3 then 'completed' when s.ninth >= 3 * g.place then 'running' else 'pending' end))
                   from (values (0, 'decode', 1), (1, 'encode', 6), (2, 'upload', 2)) as g (place, name, weight)),
         'items', case when s.ninth = 9 then (select jsonb_agg(jsonb_build_object('key', 'clip-' || f || '.mov', 'stage', 'upload',
                     'state', case when f = 7 and r.number % 4 = 1 then 'failed' else 'completed' end,
                     'error', case when f = 7 and r.number % 4 = 1 then 'upload refused: 413' end, 'duration_ms', 20000 + 700 * f))
                   from generate_series(1, 12) f) end)
  from seed_runs r cross join generate_series(0, 9) as s (ninth)
  where r.kind = 'video_encode';

  -- A retry: the import of four days ago lost its connection half way, and went on from its cursor two minutes later.
  insert into seed_steps (at, job, verb, reason, body)
  select r.began_at + s.after, r.job, s.verb, null, jsonb_build_object('job', r.job, 'worker', 'worker-1', 'attempt', s.attempt,
         'state', s.state, 'reason', case when s.state = 'failed' then 'connection reset by peer' end,
         'items_completed', round(r.items * s.share), 'cursor', jsonb_build_object('offset', round(r.items * s.share)))
  from seed_runs r cross join (values
    (interval '0', 'report', 1, 'running', 0.0), (interval '10 minutes', 'report', 1, 'running', 0.25),
    (interval '20 minutes', 'report', 1, 'running', 0.5), (interval '21 minutes', 'report', 1, 'failed', 0.5),
    (interval '23 minutes', 'report', 2, 'running', 0.5), (interval '33 minutes', 'report', 2, 'running', 0.75),
    (interval '44 minutes', 'report', 2, 'completed', 1.0)) as s (after, verb, attempt, state, share)
  where r.kind = 'nightly_import' and r.number = 4;

  -- What people did: a pause of half an hour, and a cancel.
  insert into seed_steps (at, job, verb, actor, reason, body)
  select r.began_at + r.took * s.share + s.after, r.job, s.verb, 'user:' || v_admin, s.reason,
         case when s.verb = 'report' then jsonb_build_object('job', r.job, 'worker', 'worker-' || (1 + r.number % 3), 'state', s.state) end
  from seed_runs r join (values
    ('nightly_import', 2, 0.5, interval '1 second',  'pause',  'the source is being restored', 'pausing'),
    ('nightly_import', 2, 0.5, interval '2 seconds', 'report', null, 'paused'),
    ('nightly_import', 2, 0.5, interval '30 minutes', 'resume', null, 'running'),
    ('nightly_import', 2, 0.5, interval '30 minutes 1 second', 'report', null, 'running'),
    ('daily_report',   3, 0.5, interval '5 seconds', 'cancel', 'wrong month', 'canceling'),
    ('daily_report',   3, 0.5, interval '6 seconds', 'report', null, 'canceled')
  ) as s (kind, number, share, after, verb, reason, state) on s.kind = r.kind and s.number = r.number;

  -- ACTIVE: an import that is far slower than usual, an encode, a backfill in four lanes for two days.
  insert into seed_steps (at, job, verb, body)
  select v_now - interval '2 hours' + s.tenth * interval '719 seconds', 'nightly-import today', 'report',
         jsonb_build_object('job', 'nightly-import today', 'kind', 'nightly_import', 'name', 'Nightly import', 'unit', 'rows', 'worker', 'worker-2',
           'items_total', 200000, 'items_completed', 10900 * s.tenth, 'cursor', jsonb_build_object('offset', 10900 * s.tenth),
           'message', 'the source answers slowly', 'metadata', '{"team": "data"}'::jsonb)
  from generate_series(0, 10) as s (tenth)
  union all
  select v_now - interval '25 minutes' + s.step * interval '5 minutes' - interval '9 seconds', 'encode now', 'report',
         jsonb_build_object('job', 'encode now', 'kind', 'video_encode', 'name', 'Video encode', 'unit', 'files', 'worker', 'gpu-1', 'stage', jsonb_build_array(
           jsonb_build_object('name', 'decode', 'weight', 1, 'items_total', 12, 'items_completed', least(4 * s.step, 12), 'state', case when s.step >= 3 then 'completed' else 'running' end),
           jsonb_build_object('name', 'encode', 'weight', 6, 'items_total', 12, 'items_completed', greatest(3 * (s.step - 3), 0), 'state', case when s.step >= 3 then 'running' else 'pending' end),
           jsonb_build_object('name', 'upload', 'weight', 2, 'items_total', 12)))
  from generate_series(0, 5) as s (step)
  union all
  select v_now - interval '50 hours' + s.step * interval '2 hours 30 minutes' - interval '12 seconds', 'backfill orders', 'lanes',
         (select jsonb_agg(jsonb_build_object('job', 'backfill orders', 'kind', 'backfill', 'name', 'Backfill of orders', 'unit', 'rows', 'worker', 'shard-' || lane,
            'worker_items_total', 5000000, 'items_completed', s.step * (190000 - 12000 * lane), 'bytes_processed', s.step * (190000 - 12000 * lane) * 300,
            'metadata', '{"team": "data"}'::jsonb)) from generate_series(1, 4) lane)
  from generate_series(0, 20) as s (step)
  union all
  -- One that hangs: it reports, and makes no progress. One that was lost with its host. One that waits for a rate limit.
  select v_now - interval '89 minutes' + s.step * interval '4 minutes', 'reindex products', 'report',
         jsonb_build_object('job', 'reindex products', 'kind', 'reindex', 'name', 'Reindex of products', 'unit', 'pages', 'worker', 'db-1',
           'items_total', 900, 'items_completed', least(s.step, 7) * 40, 'message', case when s.step > 7 then 'waiting for a lock' end)
  from generate_series(0, 22) as s (step)
  union all
  select v_now - interval '5 hours' + s.step * interval '4 minutes', 'embeddings lost', 'report',
         jsonb_build_object('job', 'embeddings lost', 'kind', 'embedding_batch', 'name', 'Embedding batch', 'unit', 'documents', 'worker', 'spot-17',
           'items_total', 30000, 'items_completed', s.step * 4800, 'cursor', jsonb_build_object('offset', s.step * 4800))
  from generate_series(0, 4) as s (step)
  union all
  select v_now - interval '10 minutes' + s.step * interval '149 seconds', 'embeddings limited', 'report',
         jsonb_build_object('job', 'embeddings limited', 'kind', 'embedding_batch', 'name', 'Embedding batch', 'unit', 'documents', 'worker', 'worker-3',
           'items_total', 30000, 'items_completed', s.step * 2900, 'rate_limited_until', case when s.step = 4 then v_now + interval '5 minutes' end)
  from generate_series(0, 4) as s (step)
  union all
  -- A queue of four.
  select v_now - interval '25 minutes' + s.place * interval '6 minutes', 'thumbnails waiting ' || s.place, 'create',
         jsonb_build_object('job', 'thumbnails waiting ' || s.place, 'kind', 'thumbnails', 'name', 'Thumbnails', 'unit', 'images',
           'items_total', 800, 'start', false, 'priority', case when s.place = 4 then 10 else 0 end)
  from generate_series(1, 4) as s (place)
  union all
  -- Paused since yesterday; and one that waits for its second attempt.
  select v_now - s.ago, s.job, s.verb, s.body from (values
    (interval '30 hours', 'backfill archive', 'report', '{"job": "backfill archive", "kind": "backfill", "name": "Backfill of the archive", "unit": "rows", "worker": "shard-1", "items_total": 900000}'::jsonb),
    (interval '29 hours', 'backfill archive', 'report', '{"job": "backfill archive", "worker": "shard-1", "items_completed": 120000}'),
    (interval '28 hours', 'backfill archive', 'pause', null),
    (interval '27 hours 59 minutes', 'backfill archive', 'report', '{"job": "backfill archive", "worker": "shard-1", "state": "paused"}'),
    (interval '12 minutes', 'report again', 'create', '{"job": "report again", "kind": "daily_report", "name": "Daily report", "unit": "pages", "items_total": 40, "retry_backoff_ms": 900000, "start": false}'),
    (interval '11 minutes', 'report again', 'report', '{"job": "report again", "worker": "worker-1", "items_completed": 10}'),
    (interval '8 minutes', 'report again', 'report', '{"job": "report again", "worker": "worker-1", "items_completed": 15, "state": "failed", "reason": "HTTP 503 from images.example.com"}')
  ) as s (ago, job, verb, body);
  update seed_steps s set actor = 'user:' || v_admin, reason = 'after the migration' where s.job = 'backfill archive' and s.verb = 'pause';

  for v_step in select * from seed_steps s order by s.at, s.n loop
    if v_step.verb = 'create' then
      perform milepost.create_job(jsonb_build_object('tenant_id', v_tenant, 'received_at', v_step.at), jsonb_strip_nulls(v_step.body));
    elsif v_step.verb in ('report', 'lanes') then
      perform milepost.record_checkpoints(jsonb_build_object('caller', jsonb_build_object('tenant_id', v_tenant), 'received_at', v_step.at,
        'checkpoints', case v_step.verb when 'lanes' then v_step.body else jsonb_build_array(jsonb_strip_nulls(v_step.body)) end));
    else
      perform milepost_private.transition(
        (select j.job_id from milepost.jobs j where j.tenant_id = v_tenant and j.key = v_step.job),
        case v_step.verb when 'pause' then 'pausing' when 'cancel' then 'canceling' else 'running' end,
        v_step.verb, v_step.reason, v_step.actor, v_step.at);
    end if;
  end loop;
end;
$$;
