-- What does reporting cost? Checkpoints and events of each kind within a week, and their bytes before indexes.
-- A kind with many checkpoints for each item reports too often.
with said as (
  select c.job_id, count(*) as checkpoints, sum(pg_column_size(c.*)) as bytes
  from milepost.checkpoints c where c.received_at > now() - interval '7 days' group by c.job_id
), told as (
  select e.job_id, count(*) as events, sum(pg_column_size(e.*)) as bytes
  from milepost.events e where e.ts > now() - interval '7 days' group by e.job_id
)
select j.kind, count(*) as jobs, sum(s.checkpoints) as checkpoints, sum(t.events) as events,
       round(sum(s.checkpoints) / count(*), 1) as checkpoints_a_job, round(sum(t.events) / sum(s.checkpoints), 1) as events_a_checkpoint,
       pg_size_pretty(sum(s.bytes) + sum(t.bytes)) as size, round((sum(s.bytes) + sum(t.bytes)) / sum(s.checkpoints)) as bytes_a_checkpoint
from said s join milepost.jobs j on j.job_id = s.job_id left join told t on t.job_id = s.job_id
group by j.kind
order by sum(s.bytes) + sum(t.bytes) desc;
