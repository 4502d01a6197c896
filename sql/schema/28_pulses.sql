-- pulses: the narrow private row that every checkpoint updates: active clock, pace (for the ETA), rhythm (for liveness).
create table if not exists milepost_private.pulses (
  job_id           uuid not null,
  tenant_id        uuid not null,
  active_s         double precision not null default 0,
  active_at        timestamptz not null,
  running          boolean not null default false,
  pace             milepost_private.pace,
  effort           milepost_private.pace,
  last_lane        milepost_private.last_lane,
  rhythm           milepost_private.rhythm,
  settled          double precision not null default 0,
  progress_event_at timestamptz,
  progress_event_percent double precision,
  held_back        boolean not null default false,
  coalesced        bigint not null default 0,
  stalled_at       timestamptz,
  tenth            smallint not null default -1,
  constraint pulses_pkey primary key (job_id),
  constraint pulses_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade
) with (fillfactor = 50);
-- Who asks for what is stuck looks at those at work, not at the pulses of all that ended. A checkpoint leaves `running` alone.
create index if not exists pulses_running on milepost_private.pulses (tenant_id, job_id) where running;
comment on table milepost_private.pulses is 'Per job: its active clock, its pace and its rhythm.';
comment on column milepost_private.pulses.active_s is 'The active clock at active_at, in seconds: time spent running, pauses and waits excluded.';
comment on column milepost_private.pulses.running is 'Whether the active clock has run since active_at.';
comment on column milepost_private.pulses.pace is 'Its pace in items.';
comment on column milepost_private.pulses.effort is 'Of a job that counts by stages: its pace in percent of its effort, from which its ETA comes.';
comment on column milepost_private.pulses.last_lane is 'Of a job whose lanes have shares of their own: the lane that will finish last.';
comment on column milepost_private.pulses.settled is 'The job''s settled items at the last checkpoint.';
comment on column milepost_private.pulses.held_back is 'Whether a progress event is due that was held back.';
comment on column milepost_private.pulses.coalesced is 'Progress events that were held back and went out with a later one.';
comment on column milepost_private.pulses.stalled_at is 'When a sweep found it stalled; null again once it makes progress.';
comment on column milepost_private.pulses.tenth is 'The last tenth of its progress for which a prediction was kept; -1 before the first.';
alter table milepost_private.pulses enable row level security;
drop policy if exists "members read their tenant's pulses" on milepost_private.pulses;
create policy "members read their tenant's pulses" on milepost_private.pulses for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost_private.pulses from public, anon, authenticated;
grant select on milepost_private.pulses to authenticated;
grant select, insert, update, delete on milepost_private.pulses to service_role;

-- active_clock: seconds a job has been at work.
create or replace function milepost_private.active_clock(
  active_s double precision, active_at timestamptz, running boolean, at timestamptz
)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
begin
  return active_s + case when running then greatest(extract(epoch from at - active_at)::double precision, 0) else 0 end;
end;
$$;
comment on function milepost_private.active_clock(double precision, timestamptz, boolean, timestamptz) is
'Seconds of work at the given time: the clock stands still while running is false.';
revoke execute on function milepost_private.active_clock(double precision, timestamptz, boolean, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.active_clock(double precision, timestamptz, boolean, timestamptz) to authenticated, service_role;
