-- check_range: a range of time ends after it begins.
create or replace function milepost_private.check_range(since timestamptz, until timestamptz)
returns void
language plpgsql
stable
set search_path = ''
as $$
begin
  -- GUARD: backwards
  if since >= until then
    perform milepost_private.refuse(422, 'invalid_value',
      format('Expected `since` before `until`; found %s and %s.', milepost_private.iso(since), milepost_private.iso(until)),
      'Exchange the two, or leave one out.');
  end if;
end;
$$;
comment on function milepost_private.check_range(timestamptz, timestamptz) is 'Refuses with invalid_value where since is not before until.';
revoke execute on function milepost_private.check_range(timestamptz, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.check_range(timestamptz, timestamptz) to authenticated, service_role;
