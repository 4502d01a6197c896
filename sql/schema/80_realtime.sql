-- may_listen: may the caller join this Realtime topic? One indexed lookup.
create or replace function milepost_private.may_listen(topic text)
returns boolean
language sql
stable
set search_path = ''
as $$
  select case split_part(topic, ':', 1)
    when 'user' then topic = 'user:' || auth.uid()
    when 'tenant' then exists (
      select from milepost.tenants t
      where t.tenant_id = (case when pg_input_is_valid(split_part(topic, ':', 2), 'uuid') then split_part(topic, ':', 2) end)::uuid
        and topic = 'tenant:' || t.tenant_id)
    when 'job' then exists (
      select from milepost.jobs j
      where j.job_id = (case when pg_input_is_valid(split_part(topic, ':', 2), 'uuid') then split_part(topic, ':', 2) end)::uuid
        and topic = 'job:' || j.job_id)
    else false end;
$$;
comment on function milepost_private.may_listen(text) is
'Whether the caller may hear job:<job_id>, tenant:<tenant_id> or user:<user_id>. Row level security decides: absent and foreign look the same.';
revoke execute on function milepost_private.may_listen(text) from public, anon, authenticated;
grant execute on function milepost_private.may_listen(text) to authenticated, service_role;

drop policy if exists "members hear their milepost topics" on realtime.messages;
create policy "members hear their milepost topics" on realtime.messages for select to authenticated
  using (extension = 'broadcast' and topic = (select realtime.topic())
         and (select milepost_private.may_listen((select realtime.topic()))));

-- postgres_changes on jobs and events, beside broadcast.
do $$
declare
  v_table text;
begin
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    foreach v_table in array array['jobs', 'events'] loop
      if not exists (select from pg_catalog.pg_publication_rel r
                     join pg_catalog.pg_publication p on p.oid = r.prpubid
                     where p.pubname = 'supabase_realtime' and r.prrelid = format('milepost.%I', v_table)::regclass) then
        execute format('alter publication supabase_realtime add table milepost.%I', v_table);
      end if;
    end loop;
  end if;
end $$;
