-- At which hours of the day (UTC) do jobs fail? Of all that ended within a week; a share far above the others is worth a look.
select extract(hour from j.finished_at at time zone 'utc')::int as hour, count(*) as ended,
       count(*) filter (where j.state = 'failed') as failed,
       round(100.0 * count(*) filter (where j.state = 'failed') / count(*), 1) as failed_percent
from milepost.jobs j
where j.finished_at > now() - interval '7 days'
group by hour
order by hour;
