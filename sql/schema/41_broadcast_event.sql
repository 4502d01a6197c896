-- broadcast_event: the only place that calls realtime.send. One event is one message on each topic that concerns it.
create or replace function milepost_private.broadcast_event()
returns trigger
language plpgsql
volatile
security definer                -- browsers may not insert into realtime.messages; the owner of this function may
set search_path = ''
as $$
declare
  v_owner   uuid;
  v_message jsonb := jsonb_build_object(
    'type', new.type, 'ts', milepost_private.iso(new.ts), 'correlation_id', new.correlation_id,
    'job_id', new.job_id, 'version', new.version, 'data', new.data);
begin
  perform realtime.send(v_message, new.type, 'job:' || new.job_id, true);
  perform realtime.send(v_message, new.type, 'tenant:' || new.tenant_id, true);
  select j.owner_id into v_owner from milepost.jobs j where j.job_id = new.job_id;
  if v_owner is not null then
    perform realtime.send(v_message, new.type, 'user:' || v_owner, true);
  end if;
  return null;
end;
$$;
comment on function milepost_private.broadcast_event() is
'Sends an event to job:<job_id>, tenant:<tenant_id> and user:<owner_id> by Supabase Realtime. Never fails the writer: realtime.send turns errors into warnings.';
revoke execute on function milepost_private.broadcast_event() from public, anon, authenticated;

create or replace trigger _900_broadcast after insert on milepost.events
  for each row execute function milepost_private.broadcast_event();
