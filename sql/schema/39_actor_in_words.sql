-- actor_in_words: who did it, as a sentence says it: ids mean nothing to people.
create or replace function milepost_private.actor_in_words(actor text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when actor is null then 'somebody'
    when actor like 'worker:%' then 'its worker ' || substr(actor, 8)
    when actor like 'key:%' then 'the holder of an operator key'
    when actor like 'user:%' then 'a person'
    when actor = 'system' then 'Milepost'
    else actor end;
end;
$$;
comment on function milepost_private.actor_in_words(text) is 'worker:<name>, user:<id>, key:<id> or system in words.';
revoke execute on function milepost_private.actor_in_words(text) from public, anon, authenticated;
grant execute on function milepost_private.actor_in_words(text) to authenticated, service_role;
