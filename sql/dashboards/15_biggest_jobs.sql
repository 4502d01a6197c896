-- Which jobs were biggest this week, by items and by bytes, and how long did they take?
select j.key as job, j.kind, j.state, j.items_completed as items, j.unit, pg_size_pretty(j.bytes_processed) as processed,
       round((p.active_s / 3600)::numeric, 1) as hours
from milepost.jobs j join milepost_private.pulses p on p.job_id = j.job_id
where j.created_at > now() - interval '7 days'
order by j.bytes_processed desc, j.items_completed desc
limit 20;
