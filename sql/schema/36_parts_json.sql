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
  l := milepost_private.lane_counts(l);
  v_work := milepost_private.lane_work(l) - l.first_work;
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
