-- What waits to be claimed, for how long, and what comes next?
-- A job counts as waiting once it may run; those whose time has not come are in not_yet.
select j.kind, count(*) filter (where w.may_run) as waiting, count(*) filter (where not w.may_run) as not_yet,
       round(max(extract(epoch from now() - w.since) / 60) filter (where w.may_run)) as oldest_wait_min,
       (array_agg(j.key order by j.priority desc, j.created_at) filter (where w.may_run))[1] as next
from milepost.jobs j
cross join lateral (select coalesce(j.run_after <= now(), true) as may_run, greatest(j.state_changed_at, j.run_after) as since) w
where j.state in ('pending', 'retrying')
group by j.kind
order by waiting desc, j.kind;
