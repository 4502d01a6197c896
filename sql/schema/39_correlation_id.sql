-- correlation_id: what ties an event to the request that caused it.
create or replace function milepost_private.correlation_id()
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_id text := nullif(current_setting('milepost.correlation_id', true), '');
begin
  if v_id is null then
    v_id := nullif(current_setting('request.headers', true), '')::json ->> 'x-correlation-id';
    if v_id is null or not pg_input_is_valid(v_id, 'uuid') then
      v_id := gen_random_uuid();
    end if;
    perform set_config('milepost.correlation_id', v_id, true);
  end if;
  return v_id;
end;
$$;
comment on function milepost_private.correlation_id() is
'The request''s X-Correlation-Id if it is a uuid, else one made for this transaction.';
revoke execute on function milepost_private.correlation_id() from public, anon, authenticated;
grant execute on function milepost_private.correlation_id() to service_role;
