-- page_size, page_after: how lists are paged. A cursor is opaque to clients: the sort key of the last row, as JSON in base64.
create or replace function milepost_private.page_size(wanted int)
returns int
language plpgsql
immutable
set search_path = ''
as $$
begin
  return least(greatest(coalesce(wanted, 50), 1), 200);
end;
$$;
comment on function milepost_private.page_size(int) is 'Rows of a page: 50 unless said otherwise, at most 200.';
revoke execute on function milepost_private.page_size(int) from public, anon, authenticated;
grant execute on function milepost_private.page_size(int) to authenticated, service_role;

create or replace function milepost_private.page_cursor(sort_key jsonb)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return translate(encode(convert_to(sort_key::text, 'utf8'), 'base64'), E'+/=\n', '-_');
end;
$$;
comment on function milepost_private.page_cursor(jsonb) is 'The cursor of a row: its sort key.';
revoke execute on function milepost_private.page_cursor(jsonb) from public, anon, authenticated;
grant execute on function milepost_private.page_cursor(jsonb) to authenticated, service_role;

-- An older one trusted what was in a cursor.
drop function if exists milepost_private.page_after(text);
create or replace function milepost_private.page_after(cursor text, shape text[])
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_key jsonb;
begin
  if cursor is null then
    return null;
  end if;
  begin
    v_key := convert_from(decode(rpad(translate(cursor, '-_', '+/'), (length(cursor) + 3) / 4 * 4, '='), 'base64'), 'utf8')::jsonb;
  exception when others then
    v_key := null;
  end;
  -- GUARD: no sort key of this list; a client can make up any JSON
  if jsonb_typeof(v_key) is distinct from 'array' or exists (
       select from unnest(shape) with ordinality as part (type, place)
       where not coalesce(pg_input_is_valid(v_key ->> (part.place - 1)::int, part.type), false)) then
    perform milepost_private.refuse(422, 'invalid_cursor', 'Expected in `after` a cursor that an earlier answer gave as `next`.',
      'Leave it out to begin with the first page.');
  end if;
  return v_key;
end;
$$;
comment on function milepost_private.page_after(text, text[]) is
'The sort key in a cursor, of these types; null for none. Refuses what is no cursor of such a list.';
revoke execute on function milepost_private.page_after(text, text[]) from public, anon, authenticated;
grant execute on function milepost_private.page_after(text, text[]) to authenticated, service_role;
