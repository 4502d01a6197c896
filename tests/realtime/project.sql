-- A project for the tests: who may read and write which topics, and tables of each kind that postgres_changes knows.

create policy "users read their topics and the lobby" on realtime.messages for select to authenticated
    using (realtime.topic() like 'user:' || (select auth.uid()) || '%' or realtime.topic() = 'lobby');
create policy "users write their topics" on realtime.messages for insert to authenticated
    with check (realtime.topic() like 'user:' || (select auth.uid()) || '%');

create table public.todos (
    id bigint generated always as identity primary key,
    owner uuid not null,
    title text,
    done boolean not null default false,
    updated_at timestamptz not null default now()
);
create table public.notes (
    id uuid primary key default gen_random_uuid(), owner uuid not null, body text, n numeric, tags text[], meta jsonb
);
alter table public.notes replica identity full;
create table public.open_items (id integer primary key, v text);
create table public.secret_items (id integer primary key, v text);
-- Tells the tests that all earlier changes have been handled.
create table public.markers (id bigint generated always as identity primary key);

alter table public.todos enable row level security;
alter table public.notes enable row level security;
create policy "own" on public.todos for select to authenticated using (owner = (select auth.uid()));
create policy "own" on public.notes for select to authenticated using (owner = (select auth.uid()));
grant select on public.todos, public.notes, public.open_items, public.markers to anon, authenticated;

alter publication supabase_realtime
    add table public.todos, public.notes, public.open_items, public.secret_items, public.markers;

create function public.tell_owner() returns trigger language plpgsql security definer set search_path = '' as $$
begin
    perform realtime.broadcast_changes(
        'user:' || coalesce(new.owner, old.owner), tg_op, tg_op, tg_table_name, tg_table_schema, new, old
    );
    return null;
end;
$$;
create trigger tell_owner after insert or update or delete on public.todos
    for each row execute function public.tell_owner();
