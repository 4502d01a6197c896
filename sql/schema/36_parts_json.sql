-- stage_json, lane_json: a stage and a lane as the API shows them.
create or replace function milepost_private.stage_json(s milepost.stages)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'name', s.name, 'position', s.position, 'state', s.state, 'weight', s.weight,
    'items_total', s.items_total, 'items_completed', s.items_completed, 'items_failed', s.items_failed,
    'items_skipped', s.items_skipped, 'items_canceled', s.items_canceled, 'bytes_processed', s.bytes_processed,
    'percent_complete', milepost_private.stage_percent(s),
    'started_at', milepost_private.iso(s.started_at), 'finished_at', milepost_private.iso(s.finished_at));
end;
$$;
comment on function milepost_private.stage_json(milepost.stages) is 'A stage as the API shows it.';
revoke execute on function milepost_private.stage_json(milepost.stages) from public, anon, authenticated;
grant execute on function milepost_private.stage_json(milepost.stages) to authenticated, service_role;

create or replace function milepost_private.lane_json(l milepost.lanes)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_work double precision;
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
  v_work := l.items_completed::double precision + l.items_failed + l.items_canceled;
  return jsonb_build_object(
    'worker', l.worker, 'attempt', l.attempt, 'seq', l.seq, 'state', l.state,
    'items_total', l.items_total, 'worker_items_total', l.worker_items_total, 'items_completed', l.items_completed,
    'items_failed', l.items_failed, 'items_skipped', l.items_skipped, 'items_canceled', l.items_canceled,
    'bytes_processed', l.bytes_processed,
    'rate_per_s', case when l.last_checkpoint_at > l.first_checkpoint_at and v_work > 0 then
      v_work / extract(epoch from l.last_checkpoint_at - l.first_checkpoint_at)::double precision end,
    'last_checkpoint_at', milepost_private.iso(l.last_checkpoint_at),
    'last_progress_at', milepost_private.iso(l.last_progress_at), 'cursor', l.cursor);
end;
$$;
comment on function milepost_private.lane_json(milepost.lanes) is 'A lane as the API shows it.';
revoke execute on function milepost_private.lane_json(milepost.lanes) from public, anon, authenticated;
grant execute on function milepost_private.lane_json(milepost.lanes) to authenticated, service_role;
