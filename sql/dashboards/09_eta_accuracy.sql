-- How right were the finish times of each kind? 0.1 is about 10 % off; within_range should be about 80 %.
select a.kind, a.runs, round(a.median_error::numeric, 2) as median_error, round(a.p90_error::numeric, 2) as p90_error,
       round(a.bias::numeric, 2) as bias, round(100 * a.coverage) as within_range_percent
from milepost.eta_accuracy a
order by a.median_error desc;
