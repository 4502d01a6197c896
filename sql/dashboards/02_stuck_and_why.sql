-- What is stuck, since when, and why?
-- reason: no_contact (nothing is heard), no_progress (it reports, but its counts stand still), no_net_progress, never_started.
select v.job, v.kind, v.liveness, v.liveness_reason as reason, round(extract(epoch from now() - v.last_checkpoint_at) / 60) as unheard_min,
       round(extract(epoch from now() - v.last_progress_at) / 60) as without_progress_min, round(v.threshold_s / 60) as allowed_min,
       v.attempt, v.max_attempts, milepost_private.explain(v.job_id, now()) ->> 'summary' as in_words
from milepost.job_progress v
where v.finished_at is null and v.liveness in ('stalled', 'lost')
order by without_progress_min desc;
