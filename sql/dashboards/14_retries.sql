-- What needed more than one attempt this week, why, and did it help?
select j.key as job, j.kind, j.attempt as attempts, j.state, e.ts as failed_at, e.data ->> 'reason' as why, e.data ->> 'actor' as by
from milepost.jobs j
join milepost.events e on e.job_id = j.job_id and e.type = 'job.state_changed' and e.data ->> 'new_state' = 'retrying'
where j.attempt > 1 and e.ts > now() - interval '7 days'
order by e.ts desc;
