-- Which runs are slower, more erroneous or larger than their kind's runs were at the same progress? docs/health.md has the rule.
select j.key as job, j.kind, round((100 * t.settled / t.total)::numeric, 1) as percent, round(u.slower::numeric, 1) as times_slower,
       round((u.spent_s / 60)::numeric) as spent_min, round((u.usual_s / 60)::numeric) as usual_min,
       round((100 * u.failed_share)::numeric, 1) as failed_percent, round((100 * u.usual_failed)::numeric, 1) as usual_failed_percent,
       round(u.larger::numeric, 1) as times_larger
from milepost.jobs j
join milepost_private.pulses p on p.job_id = j.job_id
join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
cross join lateral milepost_private.tally_of(j) t
cross join lateral milepost_private.trend_of(j, p, k, t) u
where (j.finished_at is null or j.finished_at > now() - interval '1 day')
  and (u.slower is not null or u.failed_share is not null or u.larger is not null)
order by u.slower desc nulls last, j.key;
