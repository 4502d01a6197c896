-- check_name, check_reason: what people type, within the limits that the functions' models have too.
create or replace function milepost_private.check_name(field text, value text)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if value = '' then
    perform milepost_private.refuse(422, 'too_short', format('%s: expected at least 1 character, found none.', field),
      'Send a text, or leave the field out.');
  elsif length(value) > 200 then
    perform milepost_private.refuse(422, 'too_long', format('%s: expected at most 200 characters, found %s.', field, length(value)), 'Shorten it.');
  elsif value ~ '[\u0001-\u001f\u007f-\u009f]' then
    perform milepost_private.refuse(422, 'invalid_value', format('%s: expected text without control characters.', field),
      'Remove line breaks and control characters.');
  end if;
end;
$$;
comment on function milepost_private.check_name(text, text) is
'Refuses a name that is empty, longer than 200 characters, or has control characters; null is none.';
revoke execute on function milepost_private.check_name(text, text) from public, anon, authenticated;
grant execute on function milepost_private.check_name(text, text) to authenticated, service_role;

create or replace function milepost_private.check_reason(reason text)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if length(reason) > 2000 then
    perform milepost_private.refuse(422, 'too_long', format('reason: expected at most 2000 characters, found %s.', length(reason)), 'Shorten it.');
  end if;
end;
$$;
comment on function milepost_private.check_reason(text) is 'Refuses a reason of more than 2,000 characters; null is none.';
revoke execute on function milepost_private.check_reason(text) from public, anon, authenticated;
grant execute on function milepost_private.check_reason(text) to authenticated, service_role;
