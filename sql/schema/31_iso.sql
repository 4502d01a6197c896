-- iso: how times are written in JSON.
create or replace function milepost_private.iso(ts timestamptz)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return to_char(ts at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
end;
$$;
comment on function milepost_private.iso(timestamptz) is 'RFC 3339, UTC, milliseconds.';
revoke execute on function milepost_private.iso(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.iso(timestamptz) to authenticated, service_role;
