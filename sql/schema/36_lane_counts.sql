-- lane_counts, lane_work: what a lane has done, by whatever it counts.
create or replace function milepost_private.lane_counts(l milepost.lanes)
returns milepost.lanes
language plpgsql
stable
set search_path = ''
as $$
begin
  -- A lane that counts by stage only has its stages' sums.
  if l.items_completed = 0 and l.items_failed = 0 and l.items_skipped = 0 and l.items_canceled = 0 then
    select least(coalesce(sum(x.items_completed), 0), 9223372036854775807),
           least(coalesce(sum(x.items_failed), 0), 9223372036854775807),
           least(coalesce(sum(x.items_skipped), 0), 9223372036854775807),
           least(coalesce(sum(x.items_canceled), 0), 9223372036854775807),
           least(greatest(coalesce(sum(x.bytes_processed), 0), l.bytes_processed), 9223372036854775807)
    into l.items_completed, l.items_failed, l.items_skipped, l.items_canceled, l.bytes_processed
    from milepost_private.stage_lanes x where x.job_id = l.job_id and x.worker = l.worker;
  end if;
  return l;
end;
$$;
comment on function milepost_private.lane_counts(milepost.lanes) is 'The lane with its counts, which are its stages'' where it has none of its own.';
revoke execute on function milepost_private.lane_counts(milepost.lanes) from public, anon, authenticated;
grant execute on function milepost_private.lane_counts(milepost.lanes) to authenticated, service_role;

create or replace function milepost_private.lane_work(l milepost.lanes)
returns double precision
language plpgsql
stable
set search_path = ''
as $$
begin
  l := milepost_private.lane_counts(l);
  return l.items_completed::double precision + l.items_failed + l.items_canceled;
end;
$$;
comment on function milepost_private.lane_work(milepost.lanes) is 'Items that the lane has settled by work, which skipping is not.';
revoke execute on function milepost_private.lane_work(milepost.lanes) from public, anon, authenticated;
grant execute on function milepost_private.lane_work(milepost.lanes) to authenticated, service_role;
