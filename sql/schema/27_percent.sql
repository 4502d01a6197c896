-- percent: 100 * (completed + skipped) / total, cut (not rounded) to four places, so that 100 means all.
create or replace function milepost_private.percent(completed numeric, skipped numeric, total numeric)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case when total > 0 then (div(1000000 * (completed + skipped), total) / 10000)::double precision
              when total = 0 then 100 end;
end;
$$;
comment on function milepost_private.percent(numeric, numeric, numeric) is
'100 * (completed + skipped) / total; null while the total is unknown; 100 where there is nothing to do.';
revoke execute on function milepost_private.percent(numeric, numeric, numeric) from public, anon, authenticated;
grant execute on function milepost_private.percent(numeric, numeric, numeric) to authenticated, service_role;
