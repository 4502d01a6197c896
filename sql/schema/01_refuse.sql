-- refuse: the one way in which the database says no. PostgREST turns it into an HTTP answer of this status and body.
create or replace function milepost_private.refuse(
  status  int,
  code    text,                    -- stable word, listed in ERRORS.md
  message text,                    -- what was expected, where, what was found
  hint    text default null,       -- what to do
  details text default null,
  headers jsonb default '{}'
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  raise sqlstate 'PGRST' using
    message = json_build_object('code', refuse.code, 'message', refuse.message,
                                'details', refuse.details, 'hint', refuse.hint)::text,
    detail  = json_build_object('status', refuse.status, 'headers', refuse.headers)::text;
end;
$$;

comment on function milepost_private.refuse(int, text, text, text, text, jsonb) is
'Raises an error that PostgREST answers with the given status and {code, message, details, hint}.';

revoke execute on function milepost_private.refuse(int, text, text, text, text, jsonb) from public, anon, authenticated;
grant execute on function milepost_private.refuse(int, text, text, text, text, jsonb) to authenticated, service_role;
