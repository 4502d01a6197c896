-- The schema `realtime` as a Supabase project has it, for a plain local Postgres 17. Safe to run again.
--
-- Needs the roles anon, authenticated and service_role. On Supabase the Realtime server makes and owns these objects;
-- here this file does, and what only the stand-in needs is in the schema realtime_stand_in at the end.

create schema if not exists realtime;

create table if not exists realtime.messages (
    topic text not null,
    extension text not null,
    payload jsonb,
    event text,
    private boolean default false,
    updated_at timestamp not null default now(),
    inserted_at timestamp not null default now(),
    id uuid not null default gen_random_uuid(),
    binary_payload bytea,
    primary key (id, inserted_at)
) partition by range (inserted_at);

-- What replay reads.
create index if not exists messages_inserted_at_topic_index
    on realtime.messages (inserted_at desc, topic)
    where extension = 'broadcast' and private is true;

alter table realtime.messages enable row level security;

-- The name of the channel that is being checked; policies on realtime.messages use it.
create or replace function realtime.topic() returns text
language sql stable
as $$ select nullif(current_setting('realtime.topic', true), '')::text $$;

-- Stores one message for whoever listens on the topic. Never fails its caller, and so never tells it either: a missing
-- partition, a missing privilege or a payload that is no object leave a WARNING and no message.
create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true)
returns void
language plpgsql
as $$
declare
    message_id uuid := gen_random_uuid();
begin
    begin
        if not payload ? 'id' then
            payload := jsonb_set(payload, '{id}', to_jsonb(message_id));
        end if;
        execute format('set local realtime.topic to %L', topic);
        insert into realtime.messages (id, payload, event, topic, private, extension)
        values (message_id, payload, event, topic, private, 'broadcast');
    exception when others then
        raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
    end;
end;
$$;

-- The same for bytes.
create or replace function realtime.send_binary(payload bytea, event text, topic text, private boolean default true)
returns void
language plpgsql
as $$
begin
    begin
        execute format('set local realtime.topic to %L', topic);
        insert into realtime.messages (binary_payload, event, topic, private, extension)
        values (payload, event, topic, private, 'broadcast');
    exception when others then
        raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
    end;
end;
$$;

-- For row triggers: sends the whole old and new row on a private topic. Unlike send, it fails its caller on an error.
create or replace function realtime.broadcast_changes(
    topic_name text,
    event_name text,
    operation text,
    table_name text,
    table_schema text,
    new record,
    old record,
    level text default 'ROW'
)
returns void
language plpgsql
as $$
begin
    if level = 'STATEMENT' then
        raise exception 'function can only be triggered for each row, not for each statement';
    end if;
    if operation not in ('INSERT', 'UPDATE', 'DELETE') then
        raise exception 'Unexpected operation type: %', operation;
    end if;
    perform realtime.send(
        jsonb_build_object(
            'old_record', old, 'record', new, 'operation', operation, 'table', table_name, 'schema', table_schema
        ),
        event_name,
        topic_name
    );
exception when others then
    raise exception 'Failed to process the row: %', sqlerrm;
end;
$$;

grant usage on schema realtime to anon, authenticated, service_role;
grant select, insert, update on realtime.messages to anon, authenticated, service_role;

do $$
begin
    if exists (select from pg_roles where rolname = 'supabase_realtime_admin') then
        grant usage, create on schema realtime to supabase_realtime_admin;
        alter table realtime.messages owner to supabase_realtime_admin;
        alter function realtime.topic() owner to supabase_realtime_admin;
        alter function realtime.send(jsonb, text, text, boolean) owner to supabase_realtime_admin;
        alter function realtime.send_binary(bytea, text, text, boolean) owner to supabase_realtime_admin;
        alter function realtime.broadcast_changes(text, text, text, text, text, record, record, text)
            owner to supabase_realtime_admin;
    end if;
end;
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- The stand-in's own, and not on Supabase, where the server does this itself.

create schema if not exists realtime_stand_in;
comment on schema realtime_stand_in is 'Belongs to the local stand-in for Supabase Realtime; nothing else may use it.';

-- Daily partitions of realtime.messages from the day before `today` to the third day after; what ended three days ago
-- is dropped. Run here, when the stand-in starts, and hourly after that.
create or replace function realtime_stand_in.keep_partitions(today date) returns void
language plpgsql
set search_path = ''
as $$
declare
    day date;
    partition text;
begin
    for day in select generate_series(today - 1, today + 3, interval '1 day')::date loop
        partition := 'messages_' || to_char(day, 'YYYY_MM_DD');
        if to_regclass('realtime.' || partition) is null then
            execute format(
                'create table realtime.%I partition of realtime.messages for values from (%L) to (%L)',
                partition, day, day + 1
            );
            if exists (select from pg_catalog.pg_roles where rolname = 'supabase_realtime_admin') then
                execute format('alter table realtime.%I owner to supabase_realtime_admin', partition);
            end if;
        end if;
    end loop;
    for partition in
        select relname from pg_catalog.pg_class
        where relnamespace = 'realtime'::regnamespace and relispartition and relkind = 'r'
          and relname ~ '^messages_\d{4}_\d\d_\d\d$'
          and to_date(right(relname, 10), 'YYYY_MM_DD') < today - 3
    loop
        execute format('drop table realtime.%I', partition);
    end loop;
end;
$$;
comment on function realtime_stand_in.keep_partitions(date) is
    'Makes and drops the daily partitions of realtime.messages, as the Realtime server does.';
revoke all on function realtime_stand_in.keep_partitions(date) from public;

select realtime_stand_in.keep_partitions(current_date);
