-- sweeps: one row: when the last sweep ran, and until when silence is not held against anybody.
create table if not exists milepost_private.sweeps (
  only_row   boolean not null default true,
  swept_at   timestamptz,
  hold_until timestamptz,
  constraint sweeps_pkey primary key (only_row),
  constraint there_is_one_row check (only_row)
);
comment on table milepost_private.sweeps is 'When the last sweep ran; until when nobody is reset for missing contact, because Milepost itself was away or not reached.';
alter table milepost_private.sweeps enable row level security;
drop policy if exists "the sweep's clock is no secret" on milepost_private.sweeps;
create policy "the sweep's clock is no secret" on milepost_private.sweeps for select to authenticated using (only_row);
revoke all on milepost_private.sweeps from public, anon, authenticated;
grant select on milepost_private.sweeps to authenticated;
grant select, insert, update on milepost_private.sweeps to service_role;
insert into milepost_private.sweeps default values on conflict do nothing;

-- stuck_jobs: active jobs that are stalled or lost at the given time, and whether that is sure enough to reset them.
do $$ begin
  if to_regtype('milepost_private.stuck_job') is null then
    create type milepost_private.stuck_job as (
      job_id uuid, liveness text, reason text, silence_s double precision, threshold_s double precision,
      contact_age_s double precision, is_sure boolean
    );
  end if;
end $$;
comment on type milepost_private.stuck_job is 'A job that is stalled or lost, why, and whether a reset is due.';

create or replace function milepost_private.stuck_jobs(at timestamptz)
returns setof milepost_private.stuck_job
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select j.job_id, v.liveness, v.reason, v.silence_s, v.threshold_s, c.age_s,
         -- An alarm that resets must be rarer than one that warns: half as long again, and for a job that is not heard of
         -- a minute and a half at least, so that a short network cut costs nothing. What the author declared is taken at its word.
         j.stall_after_ms is not null
         or v.reason = 'no_net_progress'
         or v.silence_s > 1.5 * v.threshold_s and (c.age_s < 20 or c.age_s > 90)
  from milepost_private.not_on_time(null, stuck_jobs.at) v
  join milepost.jobs j on j.job_id = v.job_id
  cross join lateral (select extract(epoch from stuck_jobs.at - coalesce(j.last_checkpoint_at, j.attempt_started_at))::double precision as age_s) c
  where v.liveness in ('stalled', 'lost');
end;
$$;
comment on function milepost_private.stuck_jobs(timestamptz) is 'The active jobs that are stalled or lost at the given time. Cost follows active jobs only.';
revoke execute on function milepost_private.stuck_jobs(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.stuck_jobs(timestamptz) to authenticated, service_role;

create or replace function milepost.get_stuck_jobs()
returns table (
  job_id uuid, job text, kind text, state text, liveness text, reason text, silence_s double precision,
  threshold_s double precision, attempt int, max_attempts int, last_checkpoint_at timestamptz, last_progress_at timestamptz
)
language sql
stable
set search_path = ''
as $$
  select j.job_id, j.key, j.kind, j.state, s.liveness, s.reason, s.silence_s, s.threshold_s, j.attempt, j.max_attempts,
         j.last_checkpoint_at, j.last_progress_at
  from milepost_private.stuck_jobs(now()) s
  join milepost.jobs j on j.job_id = s.job_id
  order by s.silence_s desc;
$$;
comment on function milepost.get_stuck_jobs() is
'Jobs that are stalled or lost now, and why: no_progress, no_contact, no_net_progress or never_started.';
revoke execute on function milepost.get_stuck_jobs() from public, anon, authenticated;
grant execute on function milepost.get_stuck_jobs() to authenticated, service_role;
