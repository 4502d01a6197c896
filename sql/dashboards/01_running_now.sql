-- What is at work now, how far is it, and when will it be done?
-- ends_in_min_low and _high hold the truth in four of five cases; why there is no finish time stands in eta_reason.
select v.job, v.kind, v.state, v.liveness, v.health, round(v.percent_complete::numeric, 1) as percent,
       round(v.rate_per_s::numeric, 2) as items_per_s, round(v.eta_ms / 60000.0) as ends_in_min,
       round(v.eta_low_ms / 60000.0) as ends_in_min_low, round(v.eta_high_ms / 60000.0) as ends_in_min_high, v.eta_reason
from milepost.job_progress v
where v.finished_at is null and v.state not in ('pending', 'retrying')
order by v.eta_ms nulls last, v.job;
