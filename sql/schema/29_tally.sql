-- tally: what a job's counts come to.
do $$ begin
  if to_regtype('milepost_private.tally') is null then
    create type milepost_private.tally as (
      total double precision, settled double precision, work double precision, pending double precision, percent double precision
    );
  end if;
end $$;
comment on type milepost_private.tally is
'Total, settled items, work (settled, but not skipped), pending items and percent of a job; null where unknown.';

create or replace function milepost_private.tally_of(job milepost.jobs)
returns milepost_private.tally
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_own     boolean := job.counts_reported or not job.has_stages;
  v_settled numeric := job.items_completed::numeric + job.items_failed + job.items_skipped + job.items_canceled;
  v_total   numeric := case when v_own then job.items_total else coalesce(job.stages_total, job.items_total) end;
  v_percent double precision;
begin
  if v_total is null and job.state = 'completed' then
    v_total := v_settled;
  end if;
  -- A total that was exceeded was too small: it is at least what has been settled.
  if v_total < v_settled then
    v_total := v_settled;
  end if;
  v_percent := case
    -- Stages that ended without counts say nothing of what the job's own counts leave open or failed.
    when job.has_stages and (not v_own or v_total is null) then
      case when job.stages_percent = 100 and (v_total > v_settled or greatest(job.items_failed, job.items_canceled) > 0) then 99.9999
           else job.stages_percent end
    else milepost_private.percent(job.items_completed, job.items_skipped, v_total) end;
  return row(v_total, v_settled, v_settled - job.items_skipped, v_total - v_settled, v_percent)::milepost_private.tally;
end;
$$;
comment on function milepost_private.tally_of(milepost.jobs) is
'Total, settled, work, pending and percent of a job. A job with stages and no counts of its own has its stages''.';
revoke execute on function milepost_private.tally_of(milepost.jobs) from public, anon, authenticated;
grant execute on function milepost_private.tally_of(milepost.jobs) to authenticated, service_role;
