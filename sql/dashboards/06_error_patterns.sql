-- Why did attempts fail this week? Numbers are taken out of the messages, so that alike ones count together.
select regexp_replace(e.data ->> 'reason', '\d+', '#', 'g') as pattern, count(*) as failures, count(distinct e.job_id) as jobs,
       count(*) filter (where e.data ->> 'new_state' = 'retrying') as tried_again, string_agg(distinct j.kind, ', ') as kinds,
       max(e.ts) as last_at
from milepost.events e join milepost.jobs j on j.job_id = e.job_id
where e.type = 'job.state_changed' and e.data ->> 'new_state' in ('failed', 'retrying') and e.ts > now() - interval '7 days'
group by pattern
order by failures desc, pattern;
