-- silence_in_words: what liveness_of gave as the reason, for people.
create or replace function milepost_private.silence_in_words(reason text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case reason
    when 'no_contact' then 'nothing was heard of it'
    when 'never_started' then 'it has made no progress at all'
    when 'no_net_progress' then 'it reported, without a new high,'
    else 'it made no progress' end;
end;
$$;
comment on function milepost_private.silence_in_words(text) is
'The beginning of a sentence that goes on "for 12 min": no_contact, never_started, no_net_progress, no_progress in words.';
revoke execute on function milepost_private.silence_in_words(text) from public, anon, authenticated;
grant execute on function milepost_private.silence_in_words(text) to authenticated, service_role;
