-- How many items were settled in each of the last 24 hours, by kind? From the rise of each job between its checkpoints.
with rises as (
  select c.job_id, c.received_at, c.job_done - lag(c.job_done) over (partition by c.job_id order by c.checkpoint_id) as items
  from milepost.checkpoints c
  where c.received_at > now() - interval '25 hours' and c.job_done is not null
)
select date_trunc('hour', r.received_at) as hour, j.kind, sum(r.items) as items, count(distinct r.job_id) as jobs
from rises r join milepost.jobs j on j.job_id = r.job_id
where r.received_at > now() - interval '24 hours' and r.items > 0
group by hour, j.kind
order by hour desc, items desc;
