-- stream_lock_base: the name space of the advisory locks that writers of events hold until they commit (59_stream_events.sql).
create or replace function milepost_private.stream_lock_base()
returns bigint
language plpgsql
immutable
set search_path = ''
as $$
begin
  return 19792::bigint << 48;
end;
$$;
comment on function milepost_private.stream_lock_base() is 'The first key of the advisory locks that writers of events hold.';
revoke execute on function milepost_private.stream_lock_base() from public, anon, authenticated;
grant execute on function milepost_private.stream_lock_base() to service_role;
