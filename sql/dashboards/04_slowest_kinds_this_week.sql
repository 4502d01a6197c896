-- Which kinds took longest this week? Time is the active clock: pauses and waits are not in it.
select j.kind, count(*) as runs,
       round((percentile_cont(0.5) within group (order by p.active_s) / 60)::numeric, 1) as median_min,
       round((percentile_cont(0.95) within group (order by p.active_s) / 60)::numeric, 1) as p95_min,
       round((sum(p.active_s) / 3600)::numeric, 1) as hours_in_all
from milepost.jobs j join milepost_private.pulses p on p.job_id = j.job_id
where j.state = 'completed' and j.finished_at > now() - interval '7 days'
group by j.kind
order by median_min desc;
