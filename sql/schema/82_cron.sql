-- Scheduled work, where pg_cron exists: the sweep, retention, and what pg_cron writes down of both. Safe to repeat, and
-- beside another scheduler of /cron/sweep. Without pg_cron that one is needed; after `create extension pg_cron` run this
-- file again. sql/uninstall.sql takes the schedule away.
do $$
begin
  -- GUARD: no pg_cron, or one from before schedules in seconds
  if not exists (select from pg_catalog.pg_extension e
                 where e.extname = 'pg_cron' and string_to_array(substring(e.extversion from '^\d+\.\d+'), '.')::int[] >= array[1, 5]) then
    return;
  end if;
  perform cron.schedule('milepost-sweep', '30 seconds', 'select milepost.sweep()');
  -- Opens and resolves alerts; sending them takes a request to /cron/alerts: docs/operations.md.
  perform cron.schedule('milepost-alerts', '* * * * *', 'select milepost_private.evaluate_alerts(now())');
  perform cron.schedule('milepost-purge', '*/5 * * * *', 'select milepost.purge_history()');
  perform cron.schedule('milepost-prune', '45 3 * * *',
    'delete from cron.job_run_details d using cron.job j '
    'where j.jobid = d.jobid and j.jobname like ''milepost-%'' and d.end_time < now() - interval ''1 day''');
end;
$$;
