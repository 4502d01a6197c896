-- call_with_key: a Milepost key calls what a user may call, as a user would: under the role authenticated, its grants and its
-- row level security. Only the functions' secret key may enter here.
create or replace function milepost.call_with_key(key_hash text, rpc text, args jsonb default '{}')
returns jsonb
language plpgsql
volatile
set search_path = ''                -- not a definer: within one, the role could not be changed
as $$
declare
  v_key    milepost_private.keys := milepost_private.key_by_hash(key_hash);
  v_call   text;
  v_answer jsonb;
begin
  -- GUARD: unknown, revoked or expired; or good for pings only
  if v_key.key_id is null then
    perform milepost_private.refuse(401, 'invalid_key',
      'Expected a valid Milepost key in Authorization; this one is unknown, revoked or expired.',
      'Create one with: milepost keys create --scope worker');
  end if;
  if v_key.scope = 'ping' then
    perform milepost_private.refuse(403, 'not_allowed', 'Expected a key of scope worker or operator; this one has scope ping.',
      'Use a key of the right scope.');
  end if;
  perform milepost_private.count_request(v_key.tenant_id, v_key.key_id, v_key.requests_per_s, clock_timestamp());
  perform milepost_private.note_use(v_key);
  -- GUARD: no such function, or no such argument
  select format('select to_jsonb(milepost.%I(%s))', p.proname, string_agg(
           case when a.type = 'jsonb'::regtype then format('%I => $1 -> %L', a.name, a.name)
                when a.type = 'text[]'::regtype then format('%I => (select array_agg(x) from jsonb_array_elements_text(nullif($1 -> %L, ''null'')) x)', a.name, a.name)
                else format('%I => ($1 ->> %L)::%s', a.name, a.name, a.type::regtype) end, ', ') filter (where a.name is not null))
  into v_call
  from pg_catalog.pg_proc p
  left join lateral unnest(p.proargnames, p.proargtypes::oid[]) as a (name, type) on args ? a.name
  where p.pronamespace = 'milepost'::regnamespace and p.proname = call_with_key.rpc
  group by p.oid, p.proname;
  if v_call is null then
    perform milepost_private.refuse(404, 'not_found', format('Expected a function of Milepost; %s is none.', rpc), 'See /openapi.json.');
  end if;
  perform set_config('milepost.key_hash', call_with_key.key_hash, true),
          set_config('request.jwt.claims', '{"role": "authenticated"}', true),
          set_config('role', 'authenticated', true);
  execute v_call into v_answer using args;
  return v_answer;
end;
$$;
comment on function milepost.call_with_key(text, text, jsonb) is
'Calls a function of the schema milepost by name as the holder of a Milepost key, under row level security. Refuses with 401, 403 and 429.';
revoke execute on function milepost.call_with_key(text, text, jsonb) from public, anon, authenticated;
grant execute on function milepost.call_with_key(text, text, jsonb) to service_role;
