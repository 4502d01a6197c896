-- eta_accuracy: how right the finish times of each kind were.
create or replace view milepost.eta_accuracy with (security_invoker = true) as
select s.tenant_id, s.kind, count(distinct s.job_id) as runs,
       percentile_cont(0.5) within group (order by abs(s.log_error)) as median_error,
       percentile_cont(0.9) within group (order by abs(s.log_error)) as p90_error,
       avg(s.log_error) as bias,
       avg(s.covered::int) as coverage,
       avg(s.width) as mean_width
from milepost_private.eta_scores s
group by s.tenant_id, s.kind;
comment on view milepost.eta_accuracy is
'Per kind: errors |ln(predicted / true)| of the remaining time at each tenth of progress of completed jobs.';
comment on column milepost.eta_accuracy.runs is 'Completed jobs that were scored.';
comment on column milepost.eta_accuracy.median_error is 'Half of the predictions were wrong by no more; 0.1 is about 10 %.';
comment on column milepost.eta_accuracy.p90_error is 'Nine of ten were wrong by no more.';
comment on column milepost.eta_accuracy.bias is 'Mean of ln(predicted / true): above 0 is too late, below 0 too early.';
comment on column milepost.eta_accuracy.coverage is 'Share of cases in which eta_low_ms..eta_high_ms held the truth; 0.8 is meant.';
comment on column milepost.eta_accuracy.mean_width is 'Mean of (high - low) / true.';
revoke all on milepost.eta_accuracy from public, anon, authenticated;
grant select on milepost.eta_accuracy to authenticated, service_role;
