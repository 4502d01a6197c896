-- Which workers of active jobs were not heard for long, or are far slower than the others of their job?
select j.key as job, l.worker, l.state, round(extract(epoch from now() - l.last_checkpoint_at) / 60) as unheard_min,
       l.items_completed, round((100.0 * l.items_completed / nullif(max(l.items_completed) over (partition by l.job_id), 0))::numeric) as percent_of_fastest
from milepost.lanes l join milepost.jobs j on j.job_id = l.job_id
where j.finished_at is null and j.state in ('running', 'completing', 'pausing', 'canceling') and l.attempt = j.attempt
order by unheard_min desc, job, percent_of_fastest;
