-- learn_kind: what a run that completed teaches about its kind.
create or replace function milepost_private.learn_kind(job_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  insert into milepost_private.kinds as k (tenant_id, kind, pace, rhythm, updated_at)
  select j.tenant_id, j.kind,
         milepost_private.kind_pace_learn(null, p.active_s, w.work, null, null),
         milepost_private.kind_rhythm_learn(null, p.rhythm), now()
  from milepost.jobs j
  join milepost_private.pulses p on p.job_id = j.job_id,
  lateral (select j.items_completed::double precision + j.items_failed + j.items_canceled as work) w
  where j.job_id = learn_kind.job_id and p.active_s > 0
  on conflict (tenant_id, kind) do update set
    pace = (select milepost_private.kind_pace_learn(k.pace, p.active_s,
              j.items_completed::double precision + j.items_failed + j.items_canceled, null, null)
            from milepost.jobs j join milepost_private.pulses p on p.job_id = j.job_id where j.job_id = learn_kind.job_id),
    rhythm = (select milepost_private.kind_rhythm_learn(k.rhythm, p.rhythm)
              from milepost_private.pulses p where p.job_id = learn_kind.job_id),
    updated_at = excluded.updated_at;
end;
$$;
comment on function milepost_private.learn_kind(uuid) is 'Takes a completed job''s pace and rhythm into what its kind remembers.';
revoke execute on function milepost_private.learn_kind(uuid) from public, anon, authenticated;
grant execute on function milepost_private.learn_kind(uuid) to service_role;
