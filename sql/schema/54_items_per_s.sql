-- items_per_s: how many items a second all jobs at work settle together.
create or replace function milepost_private.items_per_s(tenants uuid[], at timestamptz)
returns double precision
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    -- pace_rate and active_clock, written out: called, they take five times as long, and everybody polls this. A test compares.
    select sum(((p.pace).recent_work / greatest(
      (p.pace).recent_s + greatest(
        p.active_s + greatest(date_part('epoch', items_per_s.at - p.active_at), 0) - (p.pace).moved_s - (p.pace).gap_s, 0), 0.001)))
    from milepost_private.pulses p
    where p.running and p.tenant_id = any (tenants) and (p.pace).work > 0
      and not exists (select from milepost.jobs j
                      where j.job_id = p.job_id and j.tenant_id = any (tenants) and j.finished_at is null
                        and j.state in ('pausing', 'canceling')));
end;
$$;
comment on function milepost_private.items_per_s(uuid[], timestamptz) is
'Items a second of the jobs of these tenants that are running or completing, summed; null while none has a rate.';
revoke execute on function milepost_private.items_per_s(uuid[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.items_per_s(uuid[], timestamptz) to authenticated, service_role;
