-- stage_percent: how far a stage is. One that has not begun stands at 0; one that runs without a total is unknown.
create or replace function milepost_private.stage_percent(s milepost.stages)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when s.state = 'pending' and s.items_completed = 0 and s.items_skipped = 0 then 0
    when s.items_total is null and s.state not in ('completed', 'skipped') then null
    else milepost_private.percent(s.items_completed, s.items_skipped, greatest(s.items_total,
      s.items_completed::numeric + s.items_failed + s.items_skipped + s.items_canceled))
  end;
end;
$$;
comment on function milepost_private.stage_percent(milepost.stages) is
'100 * (completed + skipped) / total of a stage; 0 before it begins; null while it runs without a total.';
revoke execute on function milepost_private.stage_percent(milepost.stages) from public, anon, authenticated;
grant execute on function milepost_private.stage_percent(milepost.stages) to authenticated, service_role;
