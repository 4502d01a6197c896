-- effort: which share of its work a job that counts by stages has behind it. Runs of its kind tell how much each stage is.
create or replace function milepost_private.effort(job milepost.jobs, shares jsonb)
returns double precision
language plpgsql
stable
set search_path = ''
as $$
declare
  v_effort double precision;
begin
  -- GUARD: it counts items of its own
  if not job.has_stages or job.counts_reported and job.items_total is not null then
    return null;
  end if;
  -- A stage that earlier runs did not have counts by its weight, one that has not been named yet by their share.
  select case when bool_and(s.percent is not null) then
           sum(s.share * s.percent) / nullif(sum(s.share) + (
             select coalesce(sum(o.value::double precision), 0) from jsonb_each_text(shares) as o
             where o.key <> all (array_agg(s.name))), 0) end
  into v_effort
  from (
    select x.name, milepost_private.stage_percent(x) as percent,
           coalesce((shares ->> x.name)::double precision, x.weight / nullif(sum(x.weight) over (), 0), 0) as share
    from milepost.stages x where x.job_id = job.job_id
  ) s;
  return round(v_effort::numeric, 6);
end;
$$;
comment on function milepost_private.effort(milepost.jobs, jsonb) is
'Percent of a job''s work that its stages have behind them, each by its share (by name) of the time of earlier runs, else by its weight. Null where the job counts items of its own, or a stage that runs is unknown.';
revoke execute on function milepost_private.effort(milepost.jobs, jsonb) from public, anon, authenticated;
grant execute on function milepost_private.effort(milepost.jobs, jsonb) to service_role;
