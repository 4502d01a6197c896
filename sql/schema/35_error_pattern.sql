-- error_pattern: what is the same in errors that differ by numbers, names and places.
create or replace function milepost_private.error_pattern(error text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_lines text[] := regexp_split_to_array(btrim(left(error, 8000), E' \n\r\t'), '\s*\n\s*');
  -- A Python traceback says in its last line what went wrong, everything else in its first.
  v_text  text := left(case when v_lines[1] like 'Traceback (most recent call last)%' then v_lines[cardinality(v_lines)] else v_lines[1] end, 400);
begin
  v_text := regexp_replace(v_text, '[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}', '<uuid>', 'gi');
  v_text := regexp_replace(v_text, '"[^"]*"|`[^`]*`', '<text>', 'g');
  -- The apostrophe of "can't" quotes nothing: a quotation does not begin within a word.
  v_text := regexp_replace(v_text, '(^|[^[:alnum:]])''[^'']*''', '\1<text>', 'g');
  v_text := regexp_replace(v_text, '[a-z][a-z0-9+.-]*://[^[:space:]<>]+', '<url>', 'gi');
  v_text := regexp_replace(v_text, '(^|[[:space:](=:,\[])((~|\.{1,2}|[a-z]:)?[/\\][^[:space:],;:)\]]+|[[:alnum:]_.-]+(/[[:alnum:]_.-]+)+\.[[:alnum:]]+)', '\1<path>', 'gi');
  v_text := regexp_replace(v_text, '0x[0-9a-f]+', '<n>', 'gi');
  v_text := regexp_replace(v_text, '\m(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{12,}\M', '<n>', 'gi');
  -- Dates, times, versions and addresses are numbers too.
  v_text := regexp_replace(v_text, '[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9:]+)?)?', '<n>', 'g');
  v_text := regexp_replace(v_text, '[0-9]+([.,:][0-9]+)*', '<n>', 'g');
  return left(regexp_replace(v_text, '\s+', ' ', 'g'), 200);
end;
$$;
comment on function milepost_private.error_pattern(text) is
'An error''s text with <uuid>, <text>, <url>, <path> and <n> in place of what differs from one occurrence to the next; of many lines, the one that says what went wrong. At most 200 characters.';
revoke execute on function milepost_private.error_pattern(text) from public, anon, authenticated;
grant execute on function milepost_private.error_pattern(text) to authenticated, service_role;
