-- Milepost's database, whole. Built from sql/schema by `make sql`: change it there.
-- Safe to paste into the SQL editor, and to run again.
set lock_timeout = '10s';
do $$
declare
  v_table oid;
begin
  for v_table in
    select c.oid from pg_catalog.pg_class c
    where c.relnamespace in (to_regnamespace('milepost'), to_regnamespace('milepost_private'))
      and c.relkind in ('r', 'p') and not c.relispartition
    order by c.oid
  loop
    execute format('lock table only %s in share update exclusive mode', v_table::regclass);
  end loop;
end $$;
set lock_timeout = '500ms';

-- ==== sql/schema/00_schemas.sql

-- Two schemas: milepost is what clients may call, milepost_private is what it stands on.
-- sql/uninstall.sql drops both; nothing else of Milepost's is there but one policy on realtime.messages, which goes with them, and
-- the schedule of 82_cron.sql.
create schema if not exists milepost;
create schema if not exists milepost_private;

comment on schema milepost is
'Milepost: progress of long-running batch jobs. Tables to read, views to ask, functions to call.';
comment on schema milepost_private is
'Milepost, inside: keys, estimator state and helpers. Not exposed by PostgREST.';

revoke all on schema milepost, milepost_private from public, anon;
grant usage on schema milepost, milepost_private to authenticated, service_role;

-- Trigrams, for searching text. Supabase keeps extensions in a schema of their own, which stays when Milepost goes.
create extension if not exists pg_trgm with schema extensions;

-- ==== sql/schema/01_refuse.sql

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

-- ==== sql/schema/02_schema_version.sql

-- schema_version: what this database has installed. The functions and `milepost doctor` compare it with their own version.
create or replace function milepost.schema_version()
returns text
language sql
immutable
set search_path = ''
as $$
  select '0.1.0';
$$;
comment on function milepost.schema_version() is
'The version of Milepost that this schema belongs to, as major.minor.patch; one number for schema, functions and packages.';
revoke execute on function milepost.schema_version() from public, anon, authenticated;
grant execute on function milepost.schema_version() to authenticated, service_role;

-- ==== sql/schema/10_tenants.sql

-- tenants: who owns jobs, keys and members.
create table if not exists milepost.tenants (
  tenant_id            uuid not null default gen_random_uuid(),
  name                 text not null,
  progress_interval_ms int not null default 250,
  progress_step_percent double precision not null default 1,
  messages_per_s       double precision not null default 80,
  requests_per_s       int not null default 1000,
  waiting_jobs_most    int not null default 10000,
  keep_days            int not null default 30,
  created_at           timestamptz not null default now(),
  constraint tenants_pkey primary key (tenant_id),
  constraint tenant_name_is_short check (length(name) between 1 and 200),
  constraint progress_interval_is_not_negative check (progress_interval_ms between 0 and 3600000),
  constraint history_is_kept_a_day_to_ten_years check (keep_days between 1 and 3650),
  constraint message_budget_is_positive check (messages_per_s > 0),
  constraint requests_per_s_is_positive check (requests_per_s > 0),
  constraint waiting_jobs_most_is_not_negative check (waiting_jobs_most >= 0),
  constraint progress_step_is_a_percentage check (progress_step_percent > 0 and progress_step_percent <= 100)
);

comment on table milepost.tenants is 'Who owns jobs, keys and members: the unit of isolation.';
comment on column milepost.tenants.tenant_id is 'Its id; part of the Realtime topic tenant:<tenant_id>.';
comment on column milepost.tenants.name is 'What people call it.';
comment on column milepost.tenants.progress_interval_ms is 'A progress event is made when this much time has passed since the last one of the job, in ms.';
comment on column milepost.tenants.progress_step_percent is 'A progress event is made when percent_complete moved by this many points.';
comment on column milepost.tenants.messages_per_s is 'Realtime messages a second that progress may cost; the interval of progress events stretches to keep within it. Supabase''s free plan has 100 for the whole project.';
comment on column milepost.tenants.requests_per_s is 'Requests a second, over ten seconds, of all its keys and users to the functions; more are answered 429.';
comment on column milepost.tenants.waiting_jobs_most is 'Jobs that may wait to be claimed; a further one is answered 429.';
comment on column milepost.tenants.keep_days is 'How many days a job stays after it ended; set_retention changes it. Checkpoints and events are dropped by the day, once no tenant keeps them.';
comment on column milepost.tenants.created_at is 'When it was created.';

do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost.tenants'::regclass) then
    alter table milepost.tenants enable row level security;
  end if;
end $guard$;
revoke all on milepost.tenants from public, anon, authenticated;
grant select on milepost.tenants to authenticated;
grant select, insert, update, delete on milepost.tenants to service_role;

-- ==== sql/schema/11_members.sql

-- members: which users belong to which tenant, and what they may do there.
create table if not exists milepost.members (
  tenant_id  uuid not null,
  user_id    uuid not null,
  role       text not null default 'viewer',
  created_at timestamptz not null default now(),
  constraint members_pkey primary key (tenant_id, user_id),
  constraint members_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade,
  constraint member_role_is_known check (role in ('viewer', 'operator', 'admin'))
);
do $guard$
begin
  if to_regclass('milepost.members_by_user') is null then
    create index members_by_user on milepost.members (user_id, tenant_id);
  end if;
end $guard$;

comment on table milepost.members is 'Users of a tenant and their role.';
comment on column milepost.members.tenant_id is 'The tenant.';
comment on column milepost.members.user_id is 'The Supabase Auth user (the sub of the JWT). No foreign key: Milepost does not reach into the schema auth.';
comment on column milepost.members.role is 'viewer reads; operator also creates and controls jobs; admin also manages keys and members.';
comment on column milepost.members.created_at is 'Since when.';

do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost.members'::regclass) then
    alter table milepost.members enable row level security;
  end if;
end $guard$;
revoke all on milepost.members from public, anon, authenticated;
grant select on milepost.members to authenticated;
grant select, insert, update, delete on milepost.members to service_role;

-- ==== sql/schema/12_keys.sql

-- keys: what workers and operators' programs hold instead of a Supabase secret. Only the hash is kept.
create table if not exists milepost_private.keys (
  key_id       uuid not null default gen_random_uuid(),
  tenant_id    uuid not null,
  scope        text not null,
  name         text,
  prefix       text not null,
  key_hash     text not null,
  created_by   text,
  created_at   timestamptz not null default now(),
  expires_at   timestamptz,
  kinds        text[],
  requests_per_s int,
  revoked_at   timestamptz,
  last_used_at timestamptz,
  constraint keys_pkey primary key (key_id),
  constraint keys_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade,
  constraint key_hash_is_unique unique (key_hash),
  constraint key_hash_is_sha256 check (key_hash ~ '^[0-9a-f]{64}$'),
  constraint key_requests_per_s_is_positive check (requests_per_s > 0),
  constraint key_scope_is_known check (scope in ('worker', 'operator', 'ping'))
);
-- Where the table is older than the column.
do $guard$
begin
  if not exists (select from pg_catalog.pg_attribute
                 where attrelid = 'milepost_private.keys'::regclass and attname = 'created_by'
                   and not attisdropped) then
    alter table milepost_private.keys add column created_by text;
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost_private.keys_by_tenant') is null then
    create index keys_by_tenant on milepost_private.keys (tenant_id);
  end if;
end $guard$;

comment on table milepost_private.keys is 'Milepost keys (mp_...): hashed, scoped, revocable.';
comment on column milepost_private.keys.scope is 'worker creates, reports, claims and reads; operator also controls; ping only pings.';
comment on column milepost_private.keys.prefix is 'The first characters of the key, to recognise it by.';
comment on column milepost_private.keys.key_hash is 'sha256 of the key, hex.';
comment on column milepost_private.keys.created_by is 'Who made it: user:<id> or system (the command line).';
comment on column milepost_private.keys.expires_at is 'From then on it opens nothing; null never.';
comment on column milepost_private.keys.kinds is 'Kinds of jobs that it may create, report, claim and control; null for all. It reads its tenant''s jobs all the same.';
comment on column milepost_private.keys.requests_per_s is 'Requests a second, over ten seconds; null for what its tenant may have.';
comment on column milepost_private.keys.last_used_at is 'Last use, to the minute.';

do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.keys'::regclass) then
    alter table milepost_private.keys enable row level security;
  end if;
end $guard$;
revoke all on milepost_private.keys from public, anon, authenticated;
grant select, insert, update, delete on milepost_private.keys to service_role;

-- ==== sql/schema/13_identity.sql

-- Who is asking: a user (JWT), a Milepost key, or the service, and which tenants that opens.

-- key_by_hash: the usable key with this hash, or nothing.
create or replace function milepost_private.key_by_hash(key_hash text)
returns milepost_private.keys
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
  select k from milepost_private.keys k
  where k.key_hash = key_by_hash.key_hash
    and k.revoked_at is null
    and (k.expires_at is null or k.expires_at > now()));
end;
$$;
comment on function milepost_private.key_by_hash(text) is 'The key with this sha256, unless it is revoked or expired.';
revoke execute on function milepost_private.key_by_hash(text) from public, anon, authenticated;
grant execute on function milepost_private.key_by_hash(text) to service_role;

-- is_service: whether this request comes with the rights of the service: its role, or the role that installed Milepost.
-- By the role that statements run under, and not by what a token calls it: a role of one's own that inherits from authenticated
-- is no service. Asked by definers, in which current_user is the owner of the function.
create or replace function milepost_private.is_service()
returns boolean
language plpgsql
stable
security definer                -- for current_user to be who installed Milepost
set search_path = ''
as $$
declare
  v_role name := coalesce(nullif(current_setting('role', true), 'none'), session_user);
begin
  return pg_has_role(v_role, 'service_role', 'usage') or pg_has_role(v_role, current_user, 'usage');
end;
$$;
comment on function milepost_private.is_service() is
'Whether the request has the rights of service_role, or of the role that installed Milepost.';
revoke execute on function milepost_private.is_service() from public, anon, authenticated;
grant execute on function milepost_private.is_service() to authenticated, service_role;

-- comes_as_service: whether nobody else is behind the service: in the SQL editor, or with the project's secret key.
create or replace function milepost_private.comes_as_service()
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return auth.uid() is null and nullif(current_setting('milepost.key_hash', true), '') is null and milepost_private.is_service();
end;
$$;
comment on function milepost_private.comes_as_service() is
'Whether the service asks for itself, for no user and no key: it reads and controls the jobs of all tenants.';
revoke execute on function milepost_private.comes_as_service() from public, anon, authenticated;
grant execute on function milepost_private.comes_as_service() to service_role;

-- my_tenants: what every policy asks. A definer, since the caller may read neither keys nor others' memberships.
create or replace function milepost_private.my_tenants()
returns setof uuid
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  if milepost_private.comes_as_service() then
    return query select t.tenant_id from milepost.tenants t;
    return;
  end if;
  return query
  select m.tenant_id from milepost.members m where m.user_id = auth.uid()
  union all
  select k.tenant_id from milepost_private.key_by_hash(nullif(current_setting('milepost.key_hash', true), '')) k
  where k.tenant_id is not null and k.scope in ('worker', 'operator');
end;
$$;
comment on function milepost_private.my_tenants() is
'Tenants that the caller may read: a user''s memberships, the tenant of the Milepost key that call_with_key entered with, or for the service all.';
revoke execute on function milepost_private.my_tenants() from public, anon, authenticated;
grant execute on function milepost_private.my_tenants() to authenticated, service_role;

-- managed_tenants: the tenants in which the caller has one of these roles; an operator key counts as each of them but viewer.
create or replace function milepost_private.managed_tenants(roles text[])
returns setof uuid
language plpgsql
stable
security definer                -- the caller may read neither keys nor others' memberships
set search_path = ''
as $$
begin
  if milepost_private.comes_as_service() then
    return query select t.tenant_id from milepost.tenants t;
    return;
  end if;
  return query
  select m.tenant_id from milepost.members m where m.user_id = auth.uid() and m.role = any (roles)
  union all
  select k.tenant_id from milepost_private.key_by_hash(nullif(current_setting('milepost.key_hash', true), '')) k
  where k.tenant_id is not null and k.scope = 'operator';
end;
$$;
comment on function milepost_private.managed_tenants(text[]) is
'Tenants in which the caller is a member with one of these roles, or the tenant of the operator key it came with; for the service all.';
revoke execute on function milepost_private.managed_tenants(text[]) from public, anon, authenticated;
grant execute on function milepost_private.managed_tenants(text[]) to authenticated, service_role;

-- may_control: may the caller pause, resume, cancel, retry this job?
create or replace function milepost_private.may_control(tenant_id uuid, owner_id uuid, kind text)
returns boolean
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return exists (
    select from milepost.members m
    where m.user_id = auth.uid() and m.tenant_id = may_control.tenant_id
      and (m.role in ('operator', 'admin') or m.user_id = may_control.owner_id)
  ) or exists (
    select from milepost_private.key_by_hash(nullif(current_setting('milepost.key_hash', true), '')) k
    where k.tenant_id = may_control.tenant_id and k.scope = 'operator'
      and (k.kinds is null or may_control.kind = any (k.kinds))
  ) or milepost_private.comes_as_service();
end;
$$;
comment on function milepost_private.may_control(uuid, uuid, text) is
'Whether the caller may control a job of this tenant, owner and kind: operators, admins, operator keys, members who own it, and the service.';
revoke execute on function milepost_private.may_control(uuid, uuid, text) from public, anon, authenticated;
grant execute on function milepost_private.may_control(uuid, uuid, text) to authenticated, service_role;

-- actor: the caller's name in events: user:<id>, key:<id> or system.
create or replace function milepost_private.actor()
returns text
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return coalesce(
    'user:' || auth.uid(),
    (select 'key:' || k.key_id
     from milepost_private.key_by_hash(nullif(current_setting('milepost.key_hash', true), '')) k
     where k.key_id is not null),
    'system');
end;
$$;
comment on function milepost_private.actor() is 'Who is calling, as events name it: user:<id>, key:<id> or system.';
revoke execute on function milepost_private.actor() from public, anon, authenticated;
grant execute on function milepost_private.actor() to authenticated, service_role;

-- note_use: when a key was last used, to the minute, so that its row is no hot one.
create or replace function milepost_private.note_use(key milepost_private.keys)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  if key.last_used_at is null or key.last_used_at < now() - interval '1 minute' then
    update milepost_private.keys k set last_used_at = now()
    where k.key_id = (select l.key_id from milepost_private.keys l
                      where l.key_id = key.key_id for update skip locked);
  end if;
end;
$$;
comment on function milepost_private.note_use(milepost_private.keys) is 'Notes that a key is used now, unless that was noted within the minute. Waits for nobody.';
revoke execute on function milepost_private.note_use(milepost_private.keys) from public, anon, authenticated;
grant execute on function milepost_private.note_use(milepost_private.keys) to service_role;

do $$ begin
  if to_regtype('milepost_private.caller') is null then
    create type milepost_private.caller as (tenant_id uuid, user_id uuid, key_id uuid, scope text, kinds text[], actor text);
  end if;
end $$;
comment on type milepost_private.caller is 'Who calls a service function: the tenant it acts in, and what it may do there.';

-- resolve_caller: who the functions say is calling, checked. Service functions take it as their first word.
create or replace function milepost_private.resolve_caller(caller jsonb, scopes text[])
returns milepost_private.caller
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_key     milepost_private.keys;
  v_tenant  uuid;
  v_role    text;
  v_tenants int;
  v_now     timestamptz := coalesce((caller ->> 'received_at')::timestamptz, clock_timestamp());
begin
  if caller ? 'key_hash' then
    v_key := milepost_private.key_by_hash(caller ->> 'key_hash');
    -- GUARD: unknown, revoked or expired; not told apart
    if v_key.key_id is null then
      perform milepost_private.refuse(401, 'invalid_key',
        'Expected a valid Milepost key in Authorization; this one is unknown, revoked or expired.',
        'Create one with: milepost keys create --scope worker');
    end if;
    -- GUARD: scope
    if v_key.scope <> all (scopes) then
      perform milepost_private.refuse(403, 'not_allowed',
        format('Expected a key of scope %s; this one has scope %s.', array_to_string(scopes, ' or '), v_key.scope),
        'Use a key of the right scope.');
    end if;
    perform milepost_private.count_request(v_key.tenant_id, v_key.key_id, v_key.requests_per_s, v_now);
    perform milepost_private.note_use(v_key);
    return row(v_key.tenant_id, null, v_key.key_id, v_key.scope, v_key.kinds, 'key:' || v_key.key_id)::milepost_private.caller;
  end if;

  if caller ? 'user_id' then
    select count(*), min(m.tenant_id::text)::uuid, min(m.role) into v_tenants, v_tenant, v_role
    from milepost.members m
    where m.user_id = (caller ->> 'user_id')::uuid
      and (caller ->> 'tenant_id' is null or m.tenant_id = (caller ->> 'tenant_id')::uuid);
    -- GUARD: which tenant?
    if v_tenants > 1 then
      perform milepost_private.refuse(422, 'tenant_required',
        'Expected the tenant to act in, since you belong to several.', 'Send the header X-Milepost-Tenant: <tenant_id>.');
    end if;
    -- GUARD: no member, or a viewer
    if v_tenants = 0 or v_role = 'viewer' then
      perform milepost_private.refuse(403, 'not_allowed',
        'Expected a member with the role operator or admin.', 'Ask an admin of the tenant to change your role.');
    end if;
    perform milepost_private.count_request(v_tenant, null, null, v_now);
    return row(v_tenant, (caller ->> 'user_id')::uuid, null, 'operator', null, 'user:' || (caller ->> 'user_id'))::milepost_private.caller;
  end if;

  -- The service itself, with nobody behind it.
  if caller ? 'tenant_id' then
    return row((caller ->> 'tenant_id')::uuid, null, null, 'operator', null, 'system')::milepost_private.caller;
  end if;
  perform milepost_private.refuse(401, 'key_required', 'Expected a Milepost key or a user; found neither.',
    'Send Authorization: Bearer mp_...');
end;
$$;
comment on function milepost_private.resolve_caller(jsonb, text[]) is
'Checks {"key_hash"}, {"user_id", "tenant_id"} or {"tenant_id"} and returns who it is. Refuses with 401, 403, 422 or 429.';
revoke execute on function milepost_private.resolve_caller(jsonb, text[]) from public, anon, authenticated;
grant execute on function milepost_private.resolve_caller(jsonb, text[]) to service_role;

do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost.tenants'::regclass and polname = 'members see their tenants') then
    create temporary table tenants (like milepost.tenants);
    execute 'create policy "members see their tenants" on pg_temp.tenants ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost.tenants'::regclass, 'pg_temp.tenants'::regclass)
          and polname = 'members see their tenants') then
      drop table pg_temp.tenants;
      return;
    end if;
    drop table pg_temp.tenants;
    drop policy "members see their tenants" on milepost.tenants;
  end if;
  execute 'create policy "members see their tenants" on milepost.tenants ' || v_wanted;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost.members'::regclass and polname = 'members see who else is a member') then
    create temporary table members (like milepost.members);
    execute 'create policy "members see who else is a member" on pg_temp.members ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost.members'::regclass, 'pg_temp.members'::regclass)
          and polname = 'members see who else is a member') then
      drop table pg_temp.members;
      return;
    end if;
    drop table pg_temp.members;
    drop policy "members see who else is a member" on milepost.members;
  end if;
  execute 'create policy "members see who else is a member" on milepost.members ' || v_wanted;
end $guard$;

-- ==== sql/schema/14_audit.sql

-- audit: who did what beside the workers. Append-only: nobody is granted to change it, and only write_audit adds to it.
create table if not exists milepost.audit (
  audit_id       bigint generated always as identity,
  tenant_id      uuid not null,
  at             timestamptz not null default clock_timestamp(),
  actor          text not null,
  action         text not null,
  job_id         uuid,
  subject        text,
  reason         text,
  details        jsonb not null default '{}',
  constraint audit_pkey primary key (audit_id),
  constraint audit_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade
);
do $guard$
begin
  if to_regclass('milepost.audit_by_tenant') is null then
    create index audit_by_tenant on milepost.audit (tenant_id, audit_id desc);
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost.audit_by_job') is null then
    create index audit_by_job on milepost.audit (job_id, audit_id desc) where job_id is not null;
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost.audit_by_time') is null then
    create index audit_by_time on milepost.audit (at);
  end if;
end $guard$;

comment on table milepost.audit is
'Who paused, resumed, canceled, reset, retried or moved jobs, made or revoked keys, added or removed members, shared jobs, changed retention. Kept for a year, or for as long as jobs if that is longer.';
comment on column milepost.audit.audit_id is 'Order of writing.';
comment on column milepost.audit.tenant_id is 'The tenant.';
comment on column milepost.audit.at is 'When it was done.';
comment on column milepost.audit.actor is 'Who did it: user:<id>, key:<id> or system (the sweep, or who holds the service key).';
comment on column milepost.audit.action is 'pause, resume, cancel, retry, reset, set_priority, create_tenant, create_key, revoke_key, add_member, remove_member, set_retention, share_job, revoke_share.';
comment on column milepost.audit.job_id is 'The job it was done to; it may be gone by now.';
comment on column milepost.audit.subject is 'What it was done to: the job''s key, the id of the key, the user.';
comment on column milepost.audit.reason is 'Why, as the actor said.';
comment on column milepost.audit.details is 'What changed: prior_state, new_state, attempt; scope; role; ...';

do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost.audit'::regclass) then
    alter table milepost.audit enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.managed_tenants(array['operator', 'admin']))))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost.audit'::regclass and polname = 'operators read their tenant''s audit') then
    create temporary table audit (like milepost.audit);
    execute 'create policy "operators read their tenant''s audit" on pg_temp.audit ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost.audit'::regclass, 'pg_temp.audit'::regclass)
          and polname = 'operators read their tenant''s audit') then
      drop table pg_temp.audit;
      return;
    end if;
    drop table pg_temp.audit;
    drop policy "operators read their tenant's audit" on milepost.audit;
  end if;
  execute 'create policy "operators read their tenant''s audit" on milepost.audit ' || v_wanted;
end $guard$;
revoke all on milepost.audit from public, anon, authenticated, service_role;
grant select on milepost.audit to authenticated, service_role;

create or replace function milepost_private.write_audit(
  tenant_id uuid,
  actor     text,
  action    text,
  subject   text,
  details   jsonb default '{}',
  reason    text default null,
  job_id    uuid default null,
  at        timestamptz default null  -- now, unless said otherwise
)
returns void
language plpgsql
volatile
security definer                -- nobody else may write it, so that nobody can write it otherwise
set search_path = ''
as $$
begin
  insert into milepost.audit (tenant_id, at, actor, action, job_id, subject, reason, details)
  values (write_audit.tenant_id, coalesce(write_audit.at, clock_timestamp()), write_audit.actor, write_audit.action, write_audit.job_id, write_audit.subject,
          write_audit.reason, jsonb_strip_nulls(write_audit.details));
end;
$$;
comment on function milepost_private.write_audit(uuid, text, text, text, jsonb, text, uuid, timestamptz) is 'Adds an entry to the audit.';
revoke execute on function milepost_private.write_audit(uuid, text, text, text, jsonb, text, uuid, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.write_audit(uuid, text, text, text, jsonb, text, uuid, timestamptz) to service_role;

-- purge_audit: a bounded step of the purge. A definer, since the audit is nobody's to delete from.
create or replace function milepost_private.purge_audit(at timestamptz)
returns int
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_gone int;
begin
  delete from milepost.audit a
  where a.audit_id in (
    select o.audit_id from milepost.audit o join milepost.tenants t on t.tenant_id = o.tenant_id
    -- The first condition is the index's.
    where o.at < purge_audit.at - interval '365 days'
      and o.at < purge_audit.at - greatest(t.keep_days, 365) * interval '1 day'
    limit 1000);
  get diagnostics v_gone = row_count;
  return v_gone;
end;
$$;
comment on function milepost_private.purge_audit(timestamptz) is
'Deletes at most 1,000 entries that are older than a year and than the tenant keeps its jobs; returns how many.';
revoke execute on function milepost_private.purge_audit(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.purge_audit(timestamptz) to service_role;

-- ==== sql/schema/14_loads.sql

-- tenant_loads: how many of a tenant's jobs are at work; what stretches the interval of progress events.
create table if not exists milepost_private.tenant_loads (
  tenant_id    uuid not null,
  jobs_at_work int not null default 0,
  constraint tenant_loads_pkey primary key (tenant_id),
  constraint tenant_loads_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade
);
comment on table milepost_private.tenant_loads is 'Jobs at work per tenant, kept by transition.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.tenant_loads'::regclass) then
    alter table milepost_private.tenant_loads enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.tenant_loads'::regclass and polname = 'members read their tenant''s load') then
    create temporary table tenant_loads (like milepost_private.tenant_loads);
    execute 'create policy "members read their tenant''s load" on pg_temp.tenant_loads ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.tenant_loads'::regclass, 'pg_temp.tenant_loads'::regclass)
          and polname = 'members read their tenant''s load') then
      drop table pg_temp.tenant_loads;
      return;
    end if;
    drop table pg_temp.tenant_loads;
    drop policy "members read their tenant's load" on milepost_private.tenant_loads;
  end if;
  execute 'create policy "members read their tenant''s load" on milepost_private.tenant_loads ' || v_wanted;
end $guard$;
revoke all on milepost_private.tenant_loads from public, anon, authenticated;
grant select on milepost_private.tenant_loads to authenticated;
grant select, insert, update, delete on milepost_private.tenant_loads to service_role;

-- ==== sql/schema/14_tenant_to_manage.sql

-- tenant_to_manage: the one tenant that the caller means and may manage.
create or replace function milepost_private.tenant_to_manage(tenant_id uuid, roles text[])
returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  v_tenants uuid[] := array(select t from milepost_private.managed_tenants(roles) t
                            where tenant_to_manage.tenant_id is null or t = tenant_to_manage.tenant_id);
begin
  -- GUARD: none, or no such role there
  if cardinality(v_tenants) = 0 then
    perform milepost_private.refuse(403, 'not_allowed',
      format('Expected a member with the role %s, or an operator key.', array_to_string(roles, ' or ')),
      'Ask an admin of the tenant to change your role, or use an operator key.');
  end if;
  -- GUARD: which tenant?
  if cardinality(v_tenants) > 1 then
    perform milepost_private.refuse(422, 'tenant_required',
      'Expected the tenant to act in, since you belong to several.', 'Send the header X-Milepost-Tenant: <tenant_id>.');
  end if;
  return v_tenants[1];
end;
$$;
comment on function milepost_private.tenant_to_manage(uuid, text[]) is
'The given tenant, or the caller''s only one, if the caller has one of these roles there. Refuses with 403 and 422.';
revoke execute on function milepost_private.tenant_to_manage(uuid, text[]) from public, anon, authenticated;
grant execute on function milepost_private.tenant_to_manage(uuid, text[]) to authenticated, service_role;

-- ==== sql/schema/15_requests.sql

-- requests: how many requests each tenant and each key made lately, so that one cannot crowd out the others.
-- A row for each connection to the database that served one: two requests at once never wait for the same row. Unlogged:
-- what is lost in a crash is ten seconds of counting.
create unlogged table if not exists milepost_private.request_counts (
  subject uuid not null,
  slot    smallint not null,
  period  bigint not null,
  now     int not null,
  before  int not null,
  constraint request_counts_pkey primary key (subject, slot)
) with (fillfactor = 50);
comment on table milepost_private.request_counts is 'Requests of a tenant or key in this period of 10 s and in the one before.';
comment on column milepost_private.request_counts.subject is 'The tenant or the key.';
comment on column milepost_private.request_counts.slot is 'Which of 16 rows: by the process that served the request.';
comment on column milepost_private.request_counts.period is 'The period''s number: seconds since 1970 divided by 10.';
comment on column milepost_private.request_counts.now is 'Requests in that period.';
comment on column milepost_private.request_counts.before is 'Requests in the period before it.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.request_counts'::regclass) then
    alter table milepost_private.request_counts enable row level security;
  end if;
end $guard$;
revoke all on milepost_private.request_counts from public, anon, authenticated;
grant select, insert, update, delete on milepost_private.request_counts to service_role;

-- count_request: counts one, or refuses it. What was refused is not counted, since its transaction leaves nothing.
-- The estimate of the last 10 s is a sliding window of two periods: the whole of this one, and of the one before the part
-- that the window still covers.
create or replace function milepost_private.count_request(tenant_id uuid, key_id uuid, key_per_s int, at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_period   bigint := floor(extract(epoch from at) / 10);
  v_covered  double precision := 1 - (extract(epoch from at) / 10 - v_period);
  v_whose    text;
  v_per_s    int;
begin
  select l.whose, l.per_s into v_whose, v_per_s
  from (select 'tenant' as whose, t.tenant_id as subject, t.requests_per_s as per_s
        from milepost.tenants t where t.tenant_id = count_request.tenant_id
        union all select 'key', count_request.key_id, count_request.key_per_s) l
  join milepost_private.request_counts c on c.subject = l.subject
  where l.per_s is not null and c.period >= v_period - 1
  group by l.whose, l.per_s
  having sum(case when c.period = v_period then c.now + c.before * v_covered else c.now * v_covered end) >= l.per_s * 10.0
  limit 1;
  -- GUARD: too many
  if v_whose is not null then
    perform milepost_private.refuse(429, 'too_many_requests',
      format('Expected at most %s requests a second of this %s, over ten seconds; there were more.', v_per_s, v_whose),
      'Wait for the seconds in Retry-After, and send several checkpoints in one request. An admin may raise the limit.',
      headers => jsonb_build_object('Retry-After', ceil(10 * v_covered)::text));
  end if;
  insert into milepost_private.request_counts as c (subject, slot, period, now, before)
  select s.subject, pg_backend_pid() % 16, v_period, 1, 0
  from unnest(array[tenant_id, key_id]) as s (subject) where s.subject is not null
  on conflict on constraint request_counts_pkey do update set
    now = case when c.period = excluded.period then c.now + 1 else 1 end,
    before = case c.period when excluded.period then c.before when excluded.period - 1 then c.now else 0 end,
    period = excluded.period;
end;
$$;
comment on function milepost_private.count_request(uuid, uuid, int, timestamptz) is
'Counts a request of a tenant and a key, or refuses it with 429 and Retry-After where either has had its share.';
revoke execute on function milepost_private.count_request(uuid, uuid, int, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.count_request(uuid, uuid, int, timestamptz) to service_role;

-- ==== sql/schema/20_kind_trend.sql

-- kind_trend: how large runs of a kind usually are and how many of their items fail; beside kind_pace, which knows their time.
do $$ begin
  if to_regtype('milepost_private.kind_trend') is null then
    create type milepost_private.kind_trend as (
      runs         int,     -- completed runs learnt from
      ln_items     float8,  -- mean of ln(settled items), and its variance
      ln_items_var float8,
      failed_share float8   -- mean share of items that failed
    );
  end if;
end $$;
comment on type milepost_private.kind_trend is
'How large completed runs of a kind were and how many of their items failed, in fixed size; advanced by kind_trend_learn.';

create or replace function milepost_private.kind_trend_learn(
  history milepost_private.kind_trend,  -- null = the kind's first run
  items   float8,                       -- settled items of the run; null or 0 where it counted none
  failed  float8
)
returns milepost_private.kind_trend
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_gain  float8;
  v_apart float8;
begin
  -- GUARD: a run that counted nothing teaches nothing
  if items is null or items <= 0 then
    return history;
  end if;
  if history is null then
    history := row(0, ln(items), 0.3, failed / items);
  end if;
  -- As kind_pace_learn: twenty runs are its memory, and a first guess of the variance counts as two of them.
  history.runs := history.runs + 1;
  v_gain := greatest(1.0::float8 / history.runs, 0.05);
  v_apart := ln(items) - history.ln_items;
  history.ln_items := history.ln_items + v_gain * v_apart;
  if history.runs > 1 then
    history.ln_items_var := history.ln_items_var
      + greatest(1.0::float8 / (history.runs + 1), 0.05) * (v_apart ^ 2 - history.ln_items_var);
  end if;
  history.failed_share := history.failed_share + v_gain * (failed / items - history.failed_share);
  return history;
end;
$$;
comment on function milepost_private.kind_trend_learn(milepost_private.kind_trend, float8, float8) is
'What a kind''s history of sizes and failures is after one more completed run.';
revoke execute on function milepost_private.kind_trend_learn(milepost_private.kind_trend, float8, float8) from public, anon, authenticated;
grant execute on function milepost_private.kind_trend_learn(milepost_private.kind_trend, float8, float8) to authenticated, service_role;

-- ==== sql/schema/20_pace.sql

-- The estimator's types: what a job remembers of its own pace, what a kind remembers of its runs, and an answer.
-- The model is told in docs/eta.md. All state is of fixed size; clocks are active seconds, which stand still while a job is paused.
do $$
begin
  if to_regtype('milepost_private.pace') is null then
    create type milepost_private.pace as (
      done           float8,  -- settled items at the last checkpoint
      total          float8,  -- settled and remaining items at the last advance; null while unknown
      moved_s        float8,  -- active clock at the last advance
      moves          int,     -- advances
      gap_s          float8,  -- running mean of the time between advances
      work           float8,  -- items settled, those of a repeated attempt included
      spent_s        float8,  -- seconds they took
      growth         float8,  -- by how much the total grew (fell, where negative) meanwhile
      recent_work    float8,  -- the same three for about the last sixteenth of the run
      recent_s       float8,
      recent_growth  float8,
      check_s        float8,  -- the last self-check: active clock, work, and both costs as they were
      check_work     float8,
      check_mean     float8,
      check_recent   float8,
      error_mean     float8,  -- fading sum of ln(cost found / mean cost)^2 over the self-checks
      error_recent   float8,  -- the same for the recent cost
      error_weight   float8   -- fading count of self-checks
    );
  end if;

  if to_regtype('milepost_private.kind_pace') is null then
    create type milepost_private.kind_pace as (
      runs             int,       -- completed runs learnt from
      ln_duration      float8,    -- mean of ln(active seconds), and its variance
      ln_duration_var  float8,
      costed_runs      int,       -- those of them that counted items
      ln_cost          float8,    -- mean of ln(active seconds per item), and its variance
      ln_cost_var      float8,
      shape            float8[],  -- share of the run's time at which 10 %, 20 % .. 90 % were reached
      residuals        float8[],  -- ln(true / predicted) of the last 20 runs, ten a run: predicted at 0 %, 10 % .. 90 %
      residual_low     float8[],  -- their tenth and ninetieth percentiles for each tenth of progress
      residual_high    float8[],
      stages           jsonb      -- share of a run's time that each stage took, by its name
    );
  end if;

  if to_regtype('milepost_private.last_lane') is null then
    create type milepost_private.last_lane as (
      worker  text,    -- the lane that is expected to finish last
      ends_s  float8,  -- the active clock at which it will
      spread  float8,  -- half width of the range of what it has left, as a logarithm
      cost    float8   -- seconds per item of all lanes, each weighing a tenth as it reports
    );
  end if;

  if to_regtype('milepost_private.estimate') is null then
    create type milepost_private.estimate as (
      remaining_s  float8,
      low_s        float8,  -- low_s to high_s is the central 80 % interval
      high_s       float8
    );
  end if;
end;
$$;

comment on type milepost_private.pace is
'How fast a job is, in fixed size; advanced by pace_step, read by pace_estimate and pace_rate.';
comment on type milepost_private.kind_pace is
'What completed runs of a kind taught about duration, cost, shape and errors of prediction, in fixed size; advanced by kind_pace_learn.';
comment on type milepost_private.last_lane is
'Of a job whose lanes have shares of their own: the one that will finish last; advanced by pace_last_lane.';
comment on type milepost_private.estimate is
'Active seconds that remain and the range that holds them in 80 % of cases; all null where that cannot be known.';

-- ==== sql/schema/20_pace_estimate.sql

-- pace_estimate: how long a job still takes, from its own pace and from earlier runs of its kind.
create or replace function milepost_private.pace_estimate(
  pace      milepost_private.pace,       -- null = no checkpoint yet
  active_s  float8,                      -- the job's active clock now
  remaining float8,                      -- items pending; null while the total is unknown
  history   milepost_private.kind_pace,  -- null = no earlier run
  fraction  float8                       -- share of the job that is settled, 0 to 1; null while unknown
)
returns milepost_private.estimate
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_said      milepost_private.estimate;
  v_low       float8;  -- the range is kept as ln(remaining_s / low_s) and ln(high_s / remaining_s)
  v_high      float8;
  v_silence   float8;
  v_errors    float8;
  v_recent    float8;
  v_trust     float8;
  v_growth    float8;
  v_share     float8;
  v_so_far    float8;
  v_lately    float8;
  v_prior     milepost_private.estimate;
  v_prior_var float8;
  v_weight    float8;
  v_tenth     int;
begin
  -- Its own evidence.
  if remaining is not null and pace.work > 0 and pace.spent_s > 0 then
    -- Nothing pending and not yet over: half an item is the least that can remain.
    remaining := greatest(remaining, 0.5);
    v_silence := greatest(active_s - pace.moved_s, 0);
    v_errors := greatest(pace.error_weight, 1);

    v_recent := ln(greatest(pace.recent_s / pace.recent_work * pace.work / pace.spent_s, 1e-6));
    v_trust := 1 / (1 + 100 * ((pace.error_recent / v_errors + 0.004) / (pace.error_mean / v_errors + 0.004)) ^ 5);
    -- A total is expected to go on growing or shrinking only as far as it does so now and did so all along.
    v_growth := case sign(pace.growth) * sign(pace.recent_growth)
      when 1 then sign(pace.growth) * least(abs(pace.growth / pace.work), abs(pace.recent_growth / pace.recent_work))
      else 0
    end;
    v_said.remaining_s := remaining * pace.spent_s / pace.work * exp(v_trust * v_recent)
      / (1 - v_growth * case when v_growth > 0 then 0.3 else 1 end);

    v_low := 0.5 * remaining / (pace.work + remaining) + 0.25 * sqrt(pace.error_mean / v_errors)
      + 0.12 * abs(v_recent) + 0.38 / sqrt(pace.moves);
    v_high := 0.15 + 0.52 * abs(v_recent) + 0.86 / sqrt(pace.moves);

    -- Where runs of this kind spend their time unevenly, neither cost so far is the cost to come.
    if history.shape is not null and fraction > 1e-9 and fraction < 1 then
      v_share := milepost_private.pace_share(history.shape, fraction);
      v_so_far := v_share / fraction;
      v_lately := case
        when fraction > 0.1 then 10 * (v_share - milepost_private.pace_share(history.shape, fraction - 0.1))
        else v_so_far
      end;
      v_said.remaining_s := v_said.remaining_s * (1 - v_share) / (1 - fraction)
        / (least(greatest(v_so_far, 0.1), 10) ^ (1 - v_trust) * least(greatest(v_lately, 0.1), 10) ^ v_trust);
    end if;

    -- Counted down for the usual gap; beyond it a silence is expected to last on.
    v_said.remaining_s := greatest(
      v_said.remaining_s - least(v_silence, pace.gap_s) + 0.7 * greatest(v_silence - pace.gap_s, 0),
      0.3 * v_said.remaining_s,
      0.001
    );
    v_high := v_high + 1.5 * least(pace.gap_s / v_said.remaining_s, 2);
  end if;

  if history.runs > 0 then
    -- Items of the whole run, those included that were settled before it was tracked, or skipped.
    v_prior := milepost_private.pace_prior(history, active_s,
      case when fraction < 1 then remaining / (1 - fraction) else coalesce(pace.work, 0) + remaining end, fraction);
    -- 2.56 standard deviations lie between the tenth and the ninetieth percentile.
    v_prior_var := (ln(v_prior.high_s / v_prior.low_s) / 2.56) ^ 2;
    if v_said.remaining_s is null then
      v_said := v_prior;
      v_low := ln(v_said.remaining_s / v_said.low_s);
      v_high := ln(v_said.high_s / v_said.remaining_s);
    else
      v_weight := v_prior_var / (v_prior_var + ((v_low + v_high) / 2.56) ^ 2);
      v_said.remaining_s := exp(v_weight * ln(v_said.remaining_s) + (1 - v_weight) * ln(v_prior.remaining_s));
      v_low := v_low * sqrt(v_weight);
      v_high := v_high * sqrt(v_weight);
    end if;
  end if;

  -- Split-conformal: how wrong the kind's earlier predictions were at this tenth of progress.
  v_tenth := case when fraction is not null then 1 + floor(10 * least(greatest(fraction, 0), 0.99)) end;
  if history.residual_low[v_tenth] is not null then
    v_weight := least(history.runs, 20) / (least(history.runs, 20) + 10.0);
    v_low := v_low + v_weight * (greatest(-history.residual_low[v_tenth], 0) - v_low);
    v_high := v_high + v_weight * (greatest(history.residual_high[v_tenth], 0) - v_high);
  end if;

  v_said.low_s := v_said.remaining_s * exp(-v_low);
  v_said.high_s := v_said.remaining_s * exp(v_high);
  return v_said;
end;
$$;

comment on function milepost_private.pace_estimate(
  milepost_private.pace, float8, float8, milepost_private.kind_pace, float8
) is
'Active seconds that remain at active_s with their 80 % range; all null where neither the job nor its kind''s history tells.';

revoke execute on function milepost_private.pace_estimate(
  milepost_private.pace, float8, float8, milepost_private.kind_pace, float8
) from public, anon, authenticated;
grant execute on function milepost_private.pace_estimate(
  milepost_private.pace, float8, float8, milepost_private.kind_pace, float8
) to authenticated, service_role;

-- ==== sql/schema/20_pace_estimate_lanes.sql

-- pace_estimate_lanes: a job's estimate, held against the lane that will finish last: before that the job cannot end.
create or replace function milepost_private.pace_estimate_lanes(
  estimate  milepost_private.estimate,   -- of the job as a whole
  last_lane milepost_private.last_lane,  -- null where lanes have no shares of their own
  active_s  float8                       -- the job's active clock now
)
returns milepost_private.estimate
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_last_s float8 := last_lane.ends_s - active_s;
begin
  if v_last_s > estimate.remaining_s then
    estimate.remaining_s := v_last_s;
    estimate.low_s := least(greatest(estimate.low_s, v_last_s * exp(-last_lane.spread)), v_last_s);
    estimate.high_s := v_last_s * exp(last_lane.spread);
  end if;
  return estimate;
end;
$$;

comment on function milepost_private.pace_estimate_lanes(milepost_private.estimate, milepost_private.last_lane, float8) is
'The estimate of a job whose lanes have shares of their own: not before its last lane is done.';

revoke execute on function milepost_private.pace_estimate_lanes(milepost_private.estimate, milepost_private.last_lane, float8)
  from public, anon, authenticated;
grant execute on function milepost_private.pace_estimate_lanes(milepost_private.estimate, milepost_private.last_lane, float8)
  to authenticated, service_role;

-- ==== sql/schema/20_pace_last_lane.sql

-- pace_last_lane: which lane will finish last, after some of them have reported. Lanes that did not report are not read:
-- one that takes over as the last is found when it reports.
create or replace function milepost_private.pace_last_lane(
  last_lane milepost_private.last_lane,  -- null = no lane yet
  active_s  float8,                      -- the job's active clock
  workers   text[],                      -- for each lane that reported and has a total of its own: its name,
  worked_s  float8[],                    --   active seconds since it was first seen,
  done      float8[],                    --   items it settled by work,
  remaining float8[]                     --   and items pending
)
returns milepost_private.last_lane
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_ends_s float8;
begin
  for lane in 1 .. coalesce(cardinality(workers), 0) loop
    continue when worked_s[lane] <= 0;
    if done[lane] > 0 then
      last_lane.cost := coalesce(0.9 * last_lane.cost, 0)
        + case when last_lane.cost is null then 1 else 0.1 end * worked_s[lane] / done[lane];
    end if;
    -- A lane with few items yet is judged by what an item costs the others: that counts as two items of its own.
    v_ends_s := active_s + remaining[lane] * (worked_s[lane] + 2 * last_lane.cost) / (done[lane] + 2);
    if v_ends_s is not null and (last_lane.worker is null or last_lane.worker = workers[lane] or v_ends_s > last_lane.ends_s) then
      last_lane.worker := workers[lane];
      last_lane.ends_s := v_ends_s;
      last_lane.spread := 0.15 + 1 / sqrt(done[lane] + 2);
    end if;
  end loop;
  return last_lane;
end;
$$;

comment on function milepost_private.pace_last_lane(milepost_private.last_lane, float8, text[], float8[], float8[], float8[]) is
'The lane that will finish last, once these lanes have reported what they did and have left.';

revoke execute on function milepost_private.pace_last_lane(milepost_private.last_lane, float8, text[], float8[], float8[], float8[])
  from public, anon, authenticated;
grant execute on function milepost_private.pace_last_lane(milepost_private.last_lane, float8, text[], float8[], float8[], float8[])
  to service_role;

-- ==== sql/schema/20_pace_learn.sql

-- kind_pace_learn: what a kind's history is after one more completed run. Later runs weigh more: twenty runs are its memory.
create or replace function milepost_private.kind_pace_learn(
  history     milepost_private.kind_pace,  -- null = the kind's first run
  active_s    float8,                      -- the run's active clock at its end
  work        float8,                      -- items it settled by work; null or 0 where it counted none
  reached_s   float8[],                    -- active clock when 0 %, 10 % .. 90 % were first reached: ten values; null where unknown
  predicted_s float8[],                    -- remaining_s as it was predicted then: ten values; null where there was none
  stages_s    jsonb default null           -- seconds that each of its stages took, by name; null where that is not known
)
returns milepost_private.kind_pace
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_gain  float8;
  v_apart float8;
  v_share float8;
  v_shares float8[];
  v_known int := 0;
  v_begun float8 := 0;
  v_rank  float8;
  v_low   float8[];
  v_high  float8[];
begin
  -- GUARD: a run without duration teaches nothing
  if active_s is null or active_s <= 0 then
    return history;
  end if;
  if history is null then
    history := row(0, ln(active_s), 0.3, 0, null, 0.3, null, null, null, null, null);
  end if;

  -- A first guess of the variances (0.3: a factor of 1.7 either way) counts as two runs.
  history.runs := history.runs + 1;
  v_gain := greatest(1.0::float8 / history.runs, 0.05);
  v_apart := ln(active_s) - history.ln_duration;
  history.ln_duration := history.ln_duration + v_gain * v_apart;
  if history.runs > 1 then
    history.ln_duration_var := history.ln_duration_var
      + greatest(1.0::float8 / (history.runs + 1), 0.05) * (v_apart ^ 2 - history.ln_duration_var);
  end if;

  if work > 0 then
    history.costed_runs := history.costed_runs + 1;
    v_apart := ln(active_s / work) - coalesce(history.ln_cost, ln(active_s / work));
    history.ln_cost := coalesce(history.ln_cost + greatest(1.0::float8 / history.costed_runs, 0.05) * v_apart, ln(active_s / work));
    if history.costed_runs > 1 then
      history.ln_cost_var := history.ln_cost_var
        + greatest(1.0::float8 / (history.costed_runs + 1), 0.05) * (v_apart ^ 2 - history.ln_cost_var);
    end if;
  end if;

  if array_remove(reached_s, null) <> '{}' then
    -- Before the first run every kind is taken to be even, and that counts as one run.
    history.shape := coalesce(history.shape, array[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
    v_gain := greatest(1.0::float8 / (history.runs + 1), 0.05);
    -- What was there at second 0 took time of its own before: taken to be even, it leaves the shape to the rest. How much it
    -- was, the first tenth that took time tells.
    for tenth in 1 .. 9 loop
      if reached_s[tenth + 1] <= 0 then
        v_begun := tenth / 10.0 + 0.05;
        v_known := tenth;
      elsif reached_s[tenth + 1] < active_s and v_known > 0 then
        v_share := reached_s[tenth + 1] / active_s;
        v_begun := least(greatest((tenth / 10.0 - v_share) / (1 - v_share), v_known / 10.0), v_known / 10.0 + 0.099);
        exit;
      end if;
    end loop;
    v_known := 0;
    v_shares[0] := 0;
    for tenth in 1 .. 10 loop
      v_share := case when tenth <= 10 * v_begun then tenth / 10.0 when tenth = 10 then 1
                      else v_begun + (1 - v_begun) * reached_s[tenth + 1] / active_s end;
      if v_share is not null then
        -- Tenths that no checkpoint showed were passed evenly on the way to the next one shown, or to the end.
        for passed in v_known + 1 .. tenth loop
          v_shares[passed] := v_shares[v_known] + (v_share - v_shares[v_known]) * (passed - v_known) / (tenth - v_known);
        end loop;
        v_known := tenth;
      end if;
    end loop;
    for tenth in 1 .. 9 loop
      history.shape[tenth] := history.shape[tenth]
        + v_gain * (least(greatest(v_shares[tenth], 0.001), 0.999) - history.shape[tenth]);
    end loop;
  end if;

  if reached_s is not null and predicted_s is not null then
    for tenth in 1 .. 10 loop
      history.residuals[10 * ((history.runs - 1) % 20) + tenth] := case
        when predicted_s[tenth] > 0 and reached_s[tenth] < active_s then ln((active_s - reached_s[tenth]) / predicted_s[tenth])
      end;
    end loop;
    -- A tenth and its neighbours count together: n residuals. The next one falls below the k-th lowest of them in k of
    -- n + 1 cases, so that of few the tenth percentile is taken to be the lowest.
    v_rank := 3.0::float8 * least(history.runs, 20);
    v_rank := greatest((0.1 * (v_rank + 1) - 1) / (v_rank - 1), 0);
    select array_agg(q.low order by q.tenth), array_agg(q.high order by q.tenth)
      into v_low, v_high
      from (
        select t.tenth,
               percentile_cont(v_rank) within group (order by r.residual) as low,
               percentile_cont(1 - v_rank) within group (order by r.residual) as high
          from generate_series(1, 10) as t (tenth)
          left join unnest(history.residuals) with ordinality as r (residual, place)
            on (r.place - 1) % 10 + 1 between t.tenth - 1 and t.tenth + 1
         group by t.tenth
      ) as q;
    history.residual_low := v_low;
    history.residual_high := v_high;
  end if;

  if stages_s is not null then
    v_gain := case when history.stages is null then 1 else greatest(1.0::float8 / history.runs, 0.05) end;
    -- A stage that this run did not have fades away, so that there are never more than a thousand.
    select jsonb_object_agg(s.name, s.share) into history.stages
      from (
        select coalesce(o.key, n.key) as name,
               coalesce(o.value::float8, 0) * (1 - v_gain)
                 + v_gain * coalesce(n.value::float8 / sum(n.value::float8) over (), 0) as share
          from jsonb_each_text(coalesce(history.stages, '{}')) as o
          full join jsonb_each_text(stages_s) as n on n.key = o.key
      ) as s
     where s.share > 0.001;
  end if;
  return history;
end;
$$;

comment on function milepost_private.kind_pace_learn(milepost_private.kind_pace, float8, float8, float8[], float8[], jsonb) is
'A kind''s history after one more completed run; reached_s and predicted_s hold ten values, for 0 %, 10 % .. 90 %; stages_s seconds by stage.';

revoke execute on function milepost_private.kind_pace_learn(milepost_private.kind_pace, float8, float8, float8[], float8[], jsonb)
  from public, anon, authenticated;
grant execute on function milepost_private.kind_pace_learn(milepost_private.kind_pace, float8, float8, float8[], float8[], jsonb)
  to service_role;

-- ==== sql/schema/20_pace_prior.sql

-- pace_prior: what earlier runs of a kind say of how long this one still takes.
create or replace function milepost_private.pace_prior(
  history  milepost_private.kind_pace,  -- of at least one run
  active_s float8,                      -- the job's active clock now
  items    float8,                      -- items of the whole run; null while unknown
  fraction float8                       -- share of the job that is settled, 0 to 1; null while unknown
)
returns milepost_private.estimate
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_ln_total float8 := history.ln_duration;
  v_var      float8 := history.ln_duration_var;
  v_slope    float8;
  v_lived    float8;
  v_median   float8;
  v_width    float8;
  v_left     float8;
begin
  -- Where both are as steady, as after one run or runs of one size, the cost: it tells a larger run from a smaller one.
  if items > 0 and history.costed_runs > 0 and history.ln_cost_var < 1.01 * v_var then
    v_ln_total := history.ln_cost + ln(items);
    v_var := history.ln_cost_var;
  end if;
  -- A new run is one more draw than those the variance was taken of; and no kind is ever known to better than a tenth.
  v_var := greatest(v_var * (1 + 1.0::float8 / history.runs), 0.01);
  active_s := greatest(active_s, 0);

  if fraction > 1e-9 and history.shape is not null then
    v_left := 1 - milepost_private.pace_share(history.shape, fraction);
    v_median := exp(v_ln_total) * v_left;
    -- Runs of a kind stray from its shape, by some 4 % of the run: nothing at first, all that is left towards the end.
    v_width := exp(1.28 * sqrt(v_var + (0.04 / v_left) ^ 2));
    return row(v_median, v_median / v_width, v_median * v_width);
  end if;

  -- Durations taken as log-logistic: like the log-normal in the middle, closed in form, and with a tail in which the longer
  -- a job has run, the longer it is expected to go on. So a late job is never "over", and an early one is never in debt.
  v_slope := pi() / sqrt(3 * v_var);
  v_lived := least(greatest(active_s / exp(v_ln_total), 1e-9), 1e9) ^ v_slope;
  return row(
    greatest(exp(v_ln_total) * ((1 + v_lived) / 0.5 - 1) ^ (1 / v_slope) - active_s, 0.003),
    greatest(exp(v_ln_total) * ((1 + v_lived) / 0.9 - 1) ^ (1 / v_slope) - active_s, 0.001),
    greatest(exp(v_ln_total) * ((1 + v_lived) / 0.1 - 1) ^ (1 / v_slope) - active_s, 0.009)
  );
end;
$$;

comment on function milepost_private.pace_prior(milepost_private.kind_pace, float8, float8, float8) is
'Active seconds that remain and their 80 % range by a kind''s earlier runs alone.';

revoke execute on function milepost_private.pace_prior(milepost_private.kind_pace, float8, float8, float8)
  from public, anon, authenticated;
grant execute on function milepost_private.pace_prior(milepost_private.kind_pace, float8, float8, float8)
  to authenticated, service_role;

-- ==== sql/schema/20_pace_rate.sql

-- pace_rate: how many items a second a job settles now.
-- Silence beyond the usual gap is time without work, so the rate of a job that hangs sinks towards 0.
create or replace function milepost_private.pace_rate(pace milepost_private.pace, active_s float8)
returns float8
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case when (pace).work > 0 then
    (pace).recent_work / greatest((pace).recent_s + greatest(active_s - (pace).moved_s - (pace).gap_s, 0), 0.001)
  end;
end;
$$;

comment on function milepost_private.pace_rate(milepost_private.pace, float8) is
'Items a second at active_s, over about the last sixteenth of the run; null before any progress.';

revoke execute on function milepost_private.pace_rate(milepost_private.pace, float8) from public, anon, authenticated;
grant execute on function milepost_private.pace_rate(milepost_private.pace, float8) to authenticated, service_role;

-- ==== sql/schema/20_pace_share.sql

-- pace_share: which share of its time a run of a kind has behind it when this share of it is settled.
create or replace function milepost_private.pace_share(
  shape    float8[],  -- of the kind; null = even
  fraction float8     -- 0 to 1
)
returns float8
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_tenth  int;
  v_before float8;
begin
  fraction := least(greatest(fraction, 0), 1);
  if shape is not null then
    -- Straight lines between the tenths.
    v_tenth := least(floor(10 * fraction)::int, 9);
    v_before := coalesce(shape[v_tenth], 0);
    fraction := v_before + (10 * fraction - v_tenth) * (coalesce(shape[v_tenth + 1], 1) - v_before);
  end if;
  return least(greatest(fraction, 0.001), 0.999);
end;
$$;

comment on function milepost_private.pace_share(float8[], float8) is
'The share of its time that a run of this shape has behind it at this fraction; never quite 0 or 1.';

revoke execute on function milepost_private.pace_share(float8[], float8) from public, anon, authenticated;
grant execute on function milepost_private.pace_share(float8[], float8) to authenticated, service_role;

-- ==== sql/schema/20_pace_step.sql

-- pace_step: what a job's pace is after one more checkpoint.
create or replace function milepost_private.pace_step(
  pace      milepost_private.pace,  -- null = the job's start
  active_s  float8,                 -- the job's active clock; one that goes back is taken to stand still
  done      float8,                 -- settled by work: completed + failed + canceled; a fall is a retry
  remaining float8                  -- items pending; null while the total is unknown
)
returns milepost_private.pace
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_moved  float8;
  v_took   float8;
  v_keep   float8;
  v_cost   float8;
  v_growth float8;
begin
  if pace is null then
    -- What is done at second 0 was done before; what is done later was done since.
    pace := row(case when active_s > 0 then 0 else done end, done + remaining, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  end if;

  done := coalesce(done, pace.done);
  v_moved := done - pace.done;
  pace.done := done;

  -- GUARD: no advance. After a fall the same items are work again: their cost counts, their number does not go back.
  if v_moved <= 0 then
    pace.total := coalesce(pace.total, done + remaining);
    return pace;
  end if;

  -- Less than a microsecond is no time.
  active_s := case when active_s > pace.moved_s + 1e-6 then active_s else pace.moved_s end;
  v_took := active_s - pace.moved_s;
  v_cost := v_took / v_moved;

  -- A first advance that has nothing to do with the second was a jump over earlier work, or the start-up: it is no sample.
  if pace.moves = 1 and v_took > 0 and pace.spent_s not between pace.work * v_cost / 20 and pace.work * v_cost * 20 then
    pace := row(done, pace.total, pace.moved_s, 0, 0, 0, 0, 0, 0, 0, 0, pace.moved_s, 0, 0, 0, 0, 0, 0);
  end if;

  v_keep := case when pace.moved_s > 0.1 * active_s then (pace.moved_s / active_s) ^ 16 else 0 end;
  pace.moves := pace.moves + 1;
  pace.gap_s := pace.gap_s + greatest(0.05, 1.0::float8 / pace.moves) * (v_took - pace.gap_s);
  pace.moved_s := active_s;
  pace.work := pace.work + v_moved;
  pace.spent_s := pace.spent_s + v_took;
  pace.recent_work := pace.recent_work * v_keep + v_moved;
  pace.recent_s := pace.recent_s * v_keep + v_took;
  -- A total corrected all at once is no growth that goes on: it counts for no more than the items done meanwhile.
  v_growth := coalesce(done + remaining - pace.total, 0);
  v_growth := greatest(least(v_growth, v_moved), -2 * v_moved);
  pace.growth := pace.growth + v_growth;
  pace.recent_growth := pace.recent_growth * v_keep + v_growth;
  pace.total := coalesce(done + remaining, pace.total);

  -- Self-check, each time the work has grown by 3 %: what would either cost have predicted for this stretch?
  if pace.work >= 1.03 * pace.check_work and active_s > pace.check_s then
    if pace.check_mean > 0 and pace.check_recent > 0 then
      v_cost := (active_s - pace.check_s) / (pace.work - pace.check_work);
      pace.error_mean := 0.87 * pace.error_mean + least(ln(v_cost / pace.check_mean) ^ 2, 3);
      pace.error_recent := 0.87 * pace.error_recent + least(ln(v_cost / pace.check_recent) ^ 2, 3);
      pace.error_weight := 0.87 * pace.error_weight + 1;
    end if;
    pace.check_s := active_s;
    pace.check_work := pace.work;
    pace.check_mean := pace.spent_s / pace.work;
    pace.check_recent := pace.recent_s / pace.recent_work;
  end if;
  return pace;
end;
$$;

comment on function milepost_private.pace_step(milepost_private.pace, float8, float8, float8) is
'The pace after one more checkpoint at active_s, with done items settled by work and remaining ones pending (null = unknown).';

revoke execute on function milepost_private.pace_step(milepost_private.pace, float8, float8, float8)
  from public, anon, authenticated;
grant execute on function milepost_private.pace_step(milepost_private.pace, float8, float8, float8)
  to service_role;

-- ==== sql/schema/20_rhythm.sql

-- Liveness by progress: what is remembered of a job's rhythm, of its kind's, and the verdict drawn from both.
-- The rule is told in docs/liveness.md. All state is of fixed size; clocks are active seconds, which stand still
-- while a job is paused.
do $$
begin
  if to_regtype('milepost_private.rhythm') is null then
    create type milepost_private.rhythm as (
      seen_s        float8,   -- active clock at the last contact
      contact_gap_s float8,   -- longest recent time between contacts
      risen_s       float8,   -- active clock at the last counted rise, fall, resume, retry or stage, where silence begins
      base          float8,   -- settled items at that moment
      high          float8,   -- most settled items ever
      high_s        float8,   -- active clock when that was reached
      falls         int,      -- times the count fell in this attempt since the last new high
      retries       int,      -- attempts begun since the last new high
      falls_most    int,      -- most falls and retries that a new high ever followed
      gaps          int,      -- gaps between counted rises learnt from
      gap_ln        float8,   -- running mean of ln(gap)
      longest_s     float8,   -- longest recent gap
      step_ln       float8,   -- running mean of ln(step), a step being what a counted rise rose by
      first_s       float8,   -- longest first gap after a start, fall, resume, retry or stage
      fresh         boolean   -- the running gap is such a first gap, and no sample of the rhythm
    );
  end if;

  if to_regtype('milepost_private.kind_rhythm') is null then
    create type milepost_private.kind_rhythm as (
      runs      int,      -- completed runs learnt from
      gap_ln    float8,   -- mean over runs of ln(typical gap)
      spread_ln float8,   -- fading maximum over runs of ln(longest gap / typical gap)
      first_s   float8,   -- fading maximum over runs of the first gap
      falls     int       -- fading maximum over runs of the falls that a new high followed
    );
  end if;

  if to_regtype('milepost_private.liveness_verdict') is null then
    create type milepost_private.liveness_verdict as (
      liveness    text,     -- on_time, late, stalled, lost
      threshold_s float8,   -- silence that is too long
      silence_s   float8,   -- active seconds without progress
      reason      text      -- never_started, no_contact, no_net_progress, no_progress; null where on time
    );
  end if;
end;
$$;

comment on type milepost_private.rhythm is
'How regularly a job progresses, in fixed size; advanced by rhythm_step, judged by rhythm_liveness.';
comment on type milepost_private.kind_rhythm is
'What completed runs of a kind taught about its rhythm, in fixed size; advanced by kind_rhythm_learn.';
comment on type milepost_private.liveness_verdict is
'on_time, late, stalled or lost, with the silence, the threshold it was held against, and the reason.';

-- ==== sql/schema/20_rhythm_learn.sql

-- kind_rhythm_learn: what a kind's history is after one more completed run.
-- Only for runs that completed: the silence that ended in a reset or a cancel is not how long a gap of this kind is.
create or replace function milepost_private.kind_rhythm_learn(
  history milepost_private.kind_rhythm,   -- null = the first run
  rhythm  milepost_private.rhythm         -- as the run's last checkpoint left it
)
returns milepost_private.kind_rhythm
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_first_s float8;
begin
  -- GUARD: the run was never heard from
  if rhythm is null then
    return history;
  end if;

  history.runs := coalesce(history.runs, 0) + 1;

  if rhythm.gaps >= 3 then
    history.gap_ln := round(1e6 * coalesce(
      history.gap_ln + greatest(0.05, 1.0 / history.runs) * (rhythm.gap_ln - history.gap_ln),
      rhythm.gap_ln
    )) / 1e6;
    -- Completing is progress too: the gap before it may be the longest.
    history.spread_ln := greatest(
      history.spread_ln - 0.1,
      ln(greatest(rhythm.longest_s, least(rhythm.seen_s - rhythm.risen_s, 1e9))) - rhythm.gap_ln,
      0
    );
  end if;

  -- A run that never counted anything teaches how long a whole run is silent.
  v_first_s := case when rhythm.high = 0 then least(greatest(rhythm.seen_s, 0.001), 1e9) else rhythm.first_s end;
  if v_first_s is not null then
    history.first_s := greatest(0.9 * history.first_s, v_first_s);
  end if;

  history.falls := greatest(history.falls - 1, rhythm.falls_most);
  return history;
end;
$$;

comment on function milepost_private.kind_rhythm_learn(milepost_private.kind_rhythm, milepost_private.rhythm) is
'The history of a kind after one more completed run of this rhythm.';

revoke execute on function milepost_private.kind_rhythm_learn(milepost_private.kind_rhythm, milepost_private.rhythm)
  from public, anon, authenticated;
grant execute on function milepost_private.kind_rhythm_learn(milepost_private.kind_rhythm, milepost_private.rhythm)
  to service_role;

-- ==== sql/schema/20_rhythm_liveness.sql

-- rhythm_liveness: whether a running job is on time, late, stalled or lost, and why.
-- Asked of running jobs only: one that is paused, waiting or finished is on time whatever its rhythm says.
create or replace function milepost_private.rhythm_liveness(
  rhythm        milepost_private.rhythm,        -- null = never heard from
  active_s      float8,
  contact_age_s float8,                         -- wall clock seconds since the last contact; null = there was none
  stall_after_s float8,                         -- declared by the author; null = learn it
  history       milepost_private.kind_rhythm    -- null = no earlier run
)
returns milepost_private.liveness_verdict
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_verdict   milepost_private.liveness_verdict;
  v_contact_s float8;
  v_unheard   boolean;
begin
  v_verdict.threshold_s := milepost_private.rhythm_threshold_s(rhythm, stall_after_s, history);
  v_verdict.silence_s := milepost_private.rhythm_silence_s(rhythm, active_s, history);

  -- Neither clock counts a pause, so that a job is not missed for the hours it was told to wait.
  v_contact_s := least(contact_age_s, active_s - rhythm.seen_s);
  v_unheard := coalesce(v_contact_s > greatest(5 * rhythm.contact_gap_s, 60), true);

  v_verdict.liveness := case
    when v_verdict.silence_s > v_verdict.threshold_s then
      -- Nothing heard since the last progress is no contact either, however short the silence.
      case when v_unheard or v_contact_s > v_verdict.silence_s - 1 then 'lost' else 'stalled' end
    when v_verdict.silence_s > 0.5 * v_verdict.threshold_s or v_unheard and rhythm.gaps >= 3 then 'late'
    else 'on_time'
  end;

  v_verdict.reason := case
    when v_verdict.liveness = 'on_time' then null
    when coalesce(rhythm.high, 0) = 0 then 'never_started'
    when v_verdict.liveness = 'lost' or v_verdict.silence_s <= 0.5 * v_verdict.threshold_s then 'no_contact'
    when v_verdict.silence_s > active_s - rhythm.risen_s then 'no_net_progress'
    else 'no_progress'
  end;

  return v_verdict;
end;
$$;

comment on function milepost_private.rhythm_liveness(
  milepost_private.rhythm, float8, float8, float8, milepost_private.kind_rhythm
) is
'Liveness of a running job at active_s: on_time, late, stalled or lost, with silence, threshold and reason.';

revoke execute on function milepost_private.rhythm_liveness(
  milepost_private.rhythm, float8, float8, float8, milepost_private.kind_rhythm
) from public, anon, authenticated;
grant execute on function milepost_private.rhythm_liveness(
  milepost_private.rhythm, float8, float8, float8, milepost_private.kind_rhythm
) to authenticated, service_role;

-- ==== sql/schema/20_rhythm_silence_s.sql

-- rhythm_silence_s: for how many active seconds a job has made no progress.
-- Once the count has fallen so often without a new high, climbing is no progress: silence is then counted from that
-- high.
create or replace function milepost_private.rhythm_silence_s(
  rhythm   milepost_private.rhythm,        -- null = never heard from
  active_s float8,
  history  milepost_private.kind_rhythm    -- null = no earlier run
)
returns float8
language plpgsql
immutable
set search_path = ''
as $$
begin
  return greatest(
    active_s - case
      when rhythm.falls + rhythm.retries >= greatest(4, 1 + history.falls) then rhythm.high_s
      else coalesce(rhythm.risen_s, 0)
    end,
    0
  );
end;
$$;

comment on function milepost_private.rhythm_silence_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm) is
'Active seconds since the job''s last counted rise, or since its last new high where it only falls and climbs.';

revoke execute on function milepost_private.rhythm_silence_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm)
  from public, anon, authenticated;
grant execute on function milepost_private.rhythm_silence_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm)
  to authenticated, service_role;

-- ==== sql/schema/20_rhythm_stalls_in_s.sql

-- rhythm_stalls_in_s: when a running job will be stalled if it stays silent.
-- Stored as a time and indexed, it makes a sweep one range scan.
create or replace function milepost_private.rhythm_stalls_in_s(
  rhythm        milepost_private.rhythm,        -- null = never heard from
  active_s      float8,
  stall_after_s float8,                         -- declared by the author; null = learn it
  history       milepost_private.kind_rhythm    -- null = no earlier run
)
returns float8
language plpgsql
immutable
set search_path = ''
as $$
begin
  return greatest(
    milepost_private.rhythm_threshold_s(rhythm, stall_after_s, history)
      - milepost_private.rhythm_silence_s(rhythm, active_s, history),
    0
  );
end;
$$;

comment on function milepost_private.rhythm_stalls_in_s(
  milepost_private.rhythm, float8, float8, milepost_private.kind_rhythm
) is
'Active seconds from active_s until the job is stalled if it stays silent; 0 where it is.';

revoke execute on function milepost_private.rhythm_stalls_in_s(
  milepost_private.rhythm, float8, float8, milepost_private.kind_rhythm
) from public, anon, authenticated;
grant execute on function milepost_private.rhythm_stalls_in_s(
  milepost_private.rhythm, float8, float8, milepost_private.kind_rhythm
) to authenticated, service_role;

-- ==== sql/schema/20_rhythm_step.sql

-- rhythm_step: what a job's rhythm is after one more contact.
-- A rise counts when it is at least 0.15 of a usual step; smaller ones add up, so that a crawl is silence and a
-- slow-down is not.
create or replace function milepost_private.rhythm_step(
  rhythm   milepost_private.rhythm,   -- null = the job's start
  active_s float8,                    -- the job's active clock; one that goes back is taken to stand still
  done     float8,                    -- settled items: completed + failed + canceled + skipped
  event    text                       -- checkpoint, retry, resume or stage
)
returns milepost_private.rhythm
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_gap  float8;
  v_step float8;
begin
  if event is null or event not in ('checkpoint', 'retry', 'resume', 'stage') then
    raise exception 'rhythm_step: event must be checkpoint, retry, resume or stage, found %', coalesce(event, 'null')
      using errcode = 'invalid_parameter_value', hint = 'Pass one of the four words.';
  end if;

  if rhythm is null then
    rhythm := row(null, null, 0, 0, 0, 0, 0, 0, 0, 0, null, null, null, null, true);
  end if;
  active_s := greatest(active_s, rhythm.seen_s, rhythm.risen_s);
  done := greatest(coalesce(done, rhythm.base), 0);

  -- A gap is taken as 1 ms to 1e9 s, since Postgres raises an error where float8 under- or overflows.
  if rhythm.seen_s is not null then
    v_gap := least(greatest(active_s - rhythm.seen_s, 0.001), 1e9);
    rhythm.contact_gap_s := greatest(rhythm.contact_gap_s - v_gap / 200, v_gap);
  end if;
  rhythm.seen_s := active_s;

  if done > rhythm.high then
    rhythm.falls_most := greatest(rhythm.falls_most, rhythm.falls + rhythm.retries);
    rhythm.falls := 0;
    rhythm.retries := 0;
    rhythm.high := done;
    rhythm.high_s := active_s;
  end if;

  v_step := done - rhythm.base;

  if event <> 'checkpoint' then
    if event = 'retry' then
      rhythm.retries := rhythm.retries + 1;
      rhythm.falls := 0;
    elsif event = 'stage' then
      -- The stage may count other units at another pace. The old pace stays in force until the first gap replaces it.
      rhythm.gaps := 0;
      rhythm.step_ln := null;
    end if;
    rhythm.risen_s := active_s;
    rhythm.base := done;
    rhythm.fresh := true;
    return rhythm;
  end if;

  -- GUARD: a contact without progress
  if v_step = 0 or abs(v_step) < 0.15 * exp(rhythm.step_ln) and rhythm.gaps >= 3 then
    return rhythm;
  end if;

  if v_step < 0 then
    rhythm.falls := rhythm.falls + 1;
    rhythm.risen_s := active_s;
    rhythm.base := done;
    rhythm.fresh := true;
    return rhythm;
  end if;

  v_gap := least(greatest(active_s - rhythm.risen_s, 0.001), 1e9);

  if rhythm.fresh then
    if active_s > rhythm.risen_s then
      rhythm.first_s := greatest(rhythm.first_s, v_gap);
    end if;
    rhythm.fresh := false;
  -- GUARD: rises in quick succession, such as entries that were held back and come at once, are one rise
  elsif active_s = rhythm.risen_s or rhythm.gaps >= 3 and v_gap < 0.1 * exp(rhythm.gap_ln) then
    return rhythm;
  else
    rhythm.gaps := rhythm.gaps + 1;
    -- The means are rounded, since one that decays towards ln 1 would underflow.
    if rhythm.gaps = 1 then
      rhythm.gap_ln := ln(v_gap);
      rhythm.longest_s := v_gap;
    else
      rhythm.gap_ln := round(1e6 * (
        rhythm.gap_ln + greatest(0.05, 0.7 / rhythm.gaps) * least(greatest(ln(v_gap) - rhythm.gap_ln, -1), 1)
      )) / 1e6;
      rhythm.longest_s := greatest(rhythm.longest_s - v_gap / 200, v_gap);
    end if;
    -- The first steps may hold work skipped at once: the smallest of them is the usual one.
    v_step := least(greatest(ln(v_step), -600), 600);
    rhythm.step_ln := case
      when rhythm.gaps <= 3 then least(rhythm.step_ln, v_step)
      else round(1e6 * (rhythm.step_ln + 0.1 * least(greatest(v_step - rhythm.step_ln, -1), 1))) / 1e6
    end;
  end if;

  rhythm.risen_s := active_s;
  rhythm.base := done;
  return rhythm;
end;
$$;

comment on function milepost_private.rhythm_step(milepost_private.rhythm, float8, float8, text) is
'The rhythm after one more contact at active_s with done settled items; event is checkpoint, retry, resume or stage.';

revoke execute on function milepost_private.rhythm_step(milepost_private.rhythm, float8, float8, text)
  from public, anon, authenticated;
grant execute on function milepost_private.rhythm_step(milepost_private.rhythm, float8, float8, text)
  to service_role;

-- ==== sql/schema/20_rhythm_threshold_s.sql

-- rhythm_threshold_s: the silence in active seconds after which a job is stalled.
create or replace function milepost_private.rhythm_threshold_s(
  rhythm        milepost_private.rhythm,        -- null = never heard from
  stall_after_s float8,                         -- declared by the author; null = learn it
  history       milepost_private.kind_rhythm    -- null = no earlier run
)
returns float8
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_gaps      int := coalesce(rhythm.gaps, 0);
  v_gap_ln    float8;
  v_typical   float8;
  v_longest   float8;
  v_threshold float8;
  v_first     float8;
begin
  -- GUARD: the author knows best
  if stall_after_s is not null then
    return stall_after_s;
  end if;

  -- An earlier run counts as four gaps. It only ever lengthens: this run may be of a slower input or stage.
  v_gap_ln := greatest(
    rhythm.gap_ln,
    (v_gaps * coalesce(rhythm.gap_ln, 0) + 4 * history.gap_ln) / (v_gaps + 4)
  );
  v_typical := exp(v_gap_ln);
  v_longest := greatest(rhythm.longest_s, v_typical * exp(history.spread_ln), v_typical);
  v_threshold := greatest(
    10 * v_typical * power(v_longest / v_typical, 0.7) * (1 + 1.0 / greatest(v_gaps, 1)),
    2 * v_longest,
    60
  );

  -- A first gap, and a rhythm of fewer than three gaps, is allowed what starting takes.
  if v_gaps < 3 or rhythm.fresh then
    v_first := greatest(rhythm.first_s, history.first_s);
    v_threshold := greatest(
      v_threshold,
      case
        when v_first is null then 900
        when history.first_s is null then greatest(3 * v_first, 300)
        else greatest(3 * v_first, 60)
      end
    );
  end if;

  return v_threshold;
end;
$$;

comment on function milepost_private.rhythm_threshold_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm) is
'Active seconds without progress after which a job of this rhythm is stalled: declared, learnt, or from earlier runs of its kind.';

revoke execute on function milepost_private.rhythm_threshold_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm)
  from public, anon, authenticated;
grant execute on function milepost_private.rhythm_threshold_s(milepost_private.rhythm, float8, milepost_private.kind_rhythm)
  to authenticated, service_role;

-- ==== sql/schema/20_states.sql

-- transitions: the state machine, as data. Whatever is not listed here does not happen.
create table if not exists milepost_private.transitions (
  prior_state text not null,
  new_state   text not null,
  verb        text not null,
  constraint transitions_pkey primary key (prior_state, new_state, verb)
);
comment on table milepost_private.transitions is
'The permitted changes of a job''s state and the verb that causes each: report (a worker), pause, resume, cancel, retry (a person), claim, reset (the sweep).';
comment on column milepost_private.transitions.prior_state is 'From.';
comment on column milepost_private.transitions.new_state is 'To.';
comment on column milepost_private.transitions.verb is 'Who or what may do it.';

do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.transitions'::regclass) then
    alter table milepost_private.transitions enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (prior_state is not null)$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.transitions'::regclass and polname = 'the state machine is no secret') then
    create temporary table transitions (like milepost_private.transitions);
    execute 'create policy "the state machine is no secret" on pg_temp.transitions ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.transitions'::regclass, 'pg_temp.transitions'::regclass)
          and polname = 'the state machine is no secret') then
      drop table pg_temp.transitions;
      return;
    end if;
    drop table pg_temp.transitions;
    drop policy "the state machine is no secret" on milepost_private.transitions;
  end if;
  execute 'create policy "the state machine is no secret" on milepost_private.transitions ' || v_wanted;
end $guard$;
revoke all on milepost_private.transitions from public, anon, authenticated;
grant select on milepost_private.transitions to authenticated, service_role;

with wanted (prior_state, verb, new_states) as (values
  ('pending',    'report', array['running', 'canceled']),
  ('retrying',   'report', array['running', 'canceled']),
  ('running',    'report', array['paused', 'completing', 'completed', 'canceled', 'failed', 'retrying']),
  ('completing', 'report', array['completed', 'canceled', 'failed', 'retrying']),
  ('pausing',    'report', array['paused', 'completing', 'completed', 'canceled', 'failed', 'retrying']),
  ('paused',     'report', array['running', 'completed', 'canceled', 'failed', 'retrying']),
  ('canceling',  'report', array['canceled', 'completed', 'failed']),
  ('pending',    'claim',  array['running']),
  ('retrying',   'claim',  array['running']),
  ('pending',    'pause',  array['paused']),
  ('retrying',   'pause',  array['paused']),
  ('running',    'pause',  array['pausing']),
  ('pausing',    'resume', array['running']),
  ('paused',     'resume', array['running', 'pending', 'retrying']),
  ('pending',    'cancel', array['canceled']),
  ('retrying',   'cancel', array['canceled']),
  ('running',    'cancel', array['canceling']),
  ('pausing',    'cancel', array['canceling']),
  ('paused',     'cancel', array['canceling', 'canceled']),
  ('completing', 'cancel', array['canceling']),
  ('running',    'retry',  array['retrying']),
  ('completing', 'retry',  array['retrying']),
  ('pausing',    'retry',  array['retrying']),
  ('paused',     'retry',  array['retrying']),
  ('failed',     'retry',  array['retrying']),
  ('canceled',   'retry',  array['retrying']),
  ('running',    'reset',  array['retrying', 'failed']),
  ('completing', 'reset',  array['retrying', 'failed']),
  ('pausing',    'reset',  array['retrying', 'failed', 'paused']),
  ('canceling',  'reset',  array['canceled'])
), rows as (
  select w.prior_state, s.new_state, w.verb from wanted w, unnest(w.new_states) as s (new_state)
), gone as (
  delete from milepost_private.transitions t
  where not exists (select from rows r
                    where (r.prior_state, r.new_state, r.verb) = (t.prior_state, t.new_state, t.verb))
)
insert into milepost_private.transitions select r.prior_state, r.new_state, r.verb from rows r
on conflict do nothing;

-- is_terminal: has the job ended?
create or replace function milepost_private.is_terminal(state text)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return is_terminal.state in ('completed', 'canceled', 'failed');
end;
$$;
comment on function milepost_private.is_terminal(text) is 'Whether a job in this state has ended.';
revoke execute on function milepost_private.is_terminal(text) from public, anon, authenticated;
grant execute on function milepost_private.is_terminal(text) to authenticated, service_role;

-- ==== sql/schema/21_replay.sql

-- replay: what the functions that serve live jobs would have said of a job, from its checkpoints alone.
do $$
begin
  if to_regtype('milepost_private.replayed') is null then
    create type milepost_private.replayed as (
      at_s         float8,
      remaining_s  float8,
      low_s        float8,
      high_s       float8,
      liveness     text
    );
  end if;
end;
$$;

comment on type milepost_private.replayed is 'What a job''s estimate and liveness were at one moment of a replay.';

create or replace function milepost_private.replay(
  checkpoints    jsonb,     -- [{"t": seconds, "done": n, "total": n or null, "state": "running", "paused" or "retry"}, ...]
  at_s           float8[],  -- an answer for second x has seen the checkpoints with t <= x
  pace_history   milepost_private.kind_pace default null,
  rhythm_history milepost_private.kind_rhythm default null
)
returns setof milepost_private.replayed
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_line     record;
  v_pace     milepost_private.pace;
  v_rhythm   milepost_private.rhythm;
  v_estimate milepost_private.estimate;
  v_answers  milepost_private.replayed[] := '{}';
  v_now_s    float8;
  v_active_s float8 := 0;
  v_heard_s  float8;
  v_done     float8 := 0;
  v_total    float8;
  v_paused   boolean := false;
  v_event    text;
begin
  for v_line in
    select c.t, c.done, c.total, c.state, null::bigint as asked, c.place
      from rows from (
        jsonb_to_recordset(replay.checkpoints) as (t float8, done float8, total float8, state text)
      ) with ordinality as c (t, done, total, state, place)
    union all
    select a.t, null, null, null, a.place, a.place
      from unnest(replay.at_s) with ordinality as a (t, place)
    order by t, asked nulls first, place
  loop
    -- The clock starts at second 0, or at the first checkpoint where that is earlier.
    if not v_paused then
      v_active_s := v_active_s + greatest(v_line.t - coalesce(v_now_s, least(v_line.t, 0)), 0);
    end if;
    v_now_s := v_line.t;

    if v_line.asked is null then
      v_event := case
        when v_line.state = 'retry' then 'retry'
        when v_line.state = 'running' and v_paused then 'resume'
        else 'checkpoint'
      end;
      v_paused := coalesce(v_line.state = 'paused', v_paused);
      v_done := coalesce(v_line.done, v_done);
      v_total := v_line.total;
      v_heard_s := v_line.t;
      v_pace := milepost_private.pace_step(v_pace, v_active_s, v_done, v_total - v_done);
      v_rhythm := milepost_private.rhythm_step(v_rhythm, v_active_s, v_done, v_event);
    else
      v_estimate := milepost_private.pace_estimate(
        v_pace, v_active_s, v_total - v_done, pace_history, v_done / nullif(v_total, 0)
      );
      v_answers[v_line.asked] := row(
        v_line.t, v_estimate.remaining_s, v_estimate.low_s, v_estimate.high_s,
        case
          when v_paused then 'on_time'
          else (milepost_private.rhythm_liveness(v_rhythm, v_active_s, v_line.t - v_heard_s, null, rhythm_history)).liveness
        end
      );
    end if;
  end loop;
  return query select a.* from unnest(v_answers) as a;
end;
$$;

comment on function milepost_private.replay(
  jsonb, float8[], milepost_private.kind_pace, milepost_private.kind_rhythm
) is
'What the live functions would have said of these checkpoints at each asked second, in the order asked. Writes nothing.';

revoke execute on function milepost_private.replay(
  jsonb, float8[], milepost_private.kind_pace, milepost_private.kind_rhythm
) from public, anon, authenticated;
grant execute on function milepost_private.replay(
  jsonb, float8[], milepost_private.kind_pace, milepost_private.kind_rhythm
) to service_role;

-- ==== sql/schema/22_jobs.sql

-- jobs: one row a job. What a checkpoint changes carries no index, so that its updates stay HOT.
create table if not exists milepost.jobs (
  job_id             uuid not null default gen_random_uuid(),
  tenant_id          uuid not null,
  key                text not null,
  kind               text not null default 'default',
  name               text not null,
  unit               text not null default 'items',
  owner_id           uuid,
  priority           int not null default 0,
  state              text not null default 'pending',
  state_reason       text,
  state_actor        text,
  attempt            int not null default 1,
  max_attempts       int not null default 3,
  version            bigint not null default 0,
  items_total        bigint,
  items_total_given  bigint,
  items_completed    bigint not null default 0,
  items_failed       bigint not null default 0,
  items_skipped      bigint not null default 0,
  items_canceled     bigint not null default 0,
  bytes_processed    bigint not null default 0,
  counts_reported    boolean not null default false,
  has_stages         boolean not null default false,
  stages_percent     double precision,
  stages_total       bigint,
  workers_expected   int,
  message            text,
  error              text,
  rate_limited_until timestamptz,
  stall_after_ms     bigint,
  processing_deadline_ms bigint,
  retry_backoff_ms   bigint not null default 10000,
  metadata           jsonb not null default '{}',
  created_at         timestamptz not null default now(),
  run_after          timestamptz,
  started_at         timestamptz,
  attempt_started_at timestamptz,
  state_changed_at   timestamptz not null default now(),
  last_checkpoint_at timestamptz,
  last_progress_at   timestamptz,
  finished_at        timestamptz,
  search_text        text not null generated always as (lower(key || ' ' || name || ' ' || kind || coalesce(' ' || error, ''))) stored,
  ended_metadata     jsonb generated always as (case when finished_at is not null then metadata end) stored,
  constraint jobs_pkey primary key (job_id),
  constraint jobs_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade,
  constraint job_key_is_unique_in_its_tenant unique (tenant_id, key),
  constraint job_key_is_short check (length(key) between 1 and 200),
  constraint job_state_is_known check (state in ('pending', 'running', 'pausing', 'paused', 'completing', 'completed',
                                                 'canceling', 'canceled', 'failed', 'retrying')),
  constraint a_terminal_job_has_finished check ((state in ('completed', 'canceled', 'failed')) = (finished_at is not null)),
  constraint attempt_is_positive check (attempt >= 1),
  constraint counts_are_not_negative check (items_completed >= 0 and items_failed >= 0 and items_skipped >= 0
                                            and items_canceled >= 0 and bytes_processed >= 0)
) with (fillfactor = 60);

do $guard$
begin
  if to_regclass('milepost.jobs_newest_first') is null then
    create index jobs_newest_first on milepost.jobs (tenant_id, created_at desc, job_id desc);
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost.jobs_active') is null then
    create index jobs_active on milepost.jobs (tenant_id, state) where finished_at is null;
  end if;
end $guard$;
-- In the order in which they are claimed; the kind is looked at in the index.
do $guard$
begin
  if to_regclass('milepost.jobs_to_claim') is null then
    create index jobs_to_claim on milepost.jobs (tenant_id, priority desc, created_at, kind)
  where state in ('pending', 'retrying');
  end if;
end $guard$;
-- History is asked by when jobs ended. A checkpoint leaves finished_at alone.
do $guard$
begin
  if to_regclass('milepost.jobs_finished') is null then
    create index jobs_finished on milepost.jobs (tenant_id, finished_at desc, job_id desc) where finished_at is not null;
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost.jobs_by_kind') is null then
    create index jobs_by_kind on milepost.jobs (tenant_id, kind, created_at desc, job_id desc);
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost.jobs_by_owner') is null then
    create index jobs_by_owner on milepost.jobs (tenant_id, owner_id, created_at desc, job_id desc) where owner_id is not null;
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost.jobs_that_failed') is null then
    create index jobs_that_failed on milepost.jobs (tenant_id, state, created_at desc, job_id desc)
  where state in ('failed', 'canceled');
  end if;
end $guard$;
-- What failed lately is asked for again and again: were it looked for among all that ended lately, it would follow how many succeed.
do $guard$
begin
  if to_regclass('milepost.jobs_failed_last') is null then
    create index jobs_failed_last on milepost.jobs (tenant_id, finished_at desc, job_id desc) include (kind)
  where state = 'failed';
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost.jobs_with_a_limit') is null then
    create index jobs_with_a_limit on milepost.jobs (tenant_id)
  where finished_at is null and (stall_after_ms is not null or processing_deadline_ms is not null);
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost.jobs_by_metadata') is null then
    create index jobs_by_metadata on milepost.jobs using gin (ended_metadata jsonb_path_ops) where ended_metadata is not null;
  end if;
end $guard$;
do $$
begin
  if to_regclass('milepost.jobs_by_text') is null then
    -- Where an older project has the extension in another schema, its operators are there.
    execute (
      select format('create index jobs_by_text on milepost.jobs using gin (search_text %I.gin_trgm_ops) '
                    'with (gin_pending_list_limit = 512)', n.nspname)
      from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
      where e.extname = 'pg_trgm');
  end if;
end $$;
-- Of common words the planner has to know that they are.
alter table milepost.jobs alter column search_text set statistics 1000;

comment on table milepost.jobs is 'One run of something with an end. Read job_progress for figures that depend on now.';
comment on column milepost.jobs.job_id is 'Its id; part of the Realtime topic job:<job_id>.';
comment on column milepost.jobs.tenant_id is 'The tenant it belongs to.';
comment on column milepost.jobs.key is 'The client''s name for it, unique in the tenant.';
comment on column milepost.jobs.kind is 'Groups runs of the same thing.';
comment on column milepost.jobs.name is 'What people call it; the key unless said otherwise.';
comment on column milepost.jobs.unit is 'What its items are: rows, files, ...';
comment on column milepost.jobs.owner_id is 'The user it belongs to: may control it, and hears of it on user:<owner_id>.';
comment on column milepost.jobs.priority is 'Greater is claimed first.';
comment on column milepost.jobs.state is 'Its state; milepost_private.transitions lists the permitted changes.';
comment on column milepost.jobs.state_reason is 'Why it is in this state, in words.';
comment on column milepost.jobs.state_actor is 'Who brought it there: worker:<name>, user:<id>, key:<id> or system.';
comment on column milepost.jobs.attempt is 'Which try this is, and the fencing token: what an older attempt says changes nothing.';
comment on column milepost.jobs.max_attempts is 'After so many attempts a failure is final.';
comment on column milepost.jobs.version is 'How many events the job has had.';
comment on column milepost.jobs.items_total is 'Its own total: the greatest that the lanes said last, else what was given at creation, else the sum of worker_items_total. Null is unknown.';
comment on column milepost.jobs.items_total_given is 'The total given at creation; stands until a lane says one.';
comment on column milepost.jobs.items_completed is 'Items done: the sum over its lanes, or its stages, or its items.';
comment on column milepost.jobs.items_failed is 'Items that failed.';
comment on column milepost.jobs.items_skipped is 'Items skipped: they shorten what remains and are no speed.';
comment on column milepost.jobs.items_canceled is 'Items canceled.';
comment on column milepost.jobs.bytes_processed is 'Bytes processed: the sum over its lanes.';
comment on column milepost.jobs.counts_reported is 'True once a lane reported a count of the job''s own; until then they are counted from stages or items.';
comment on column milepost.jobs.has_stages is 'True once a stage is known.';
comment on column milepost.jobs.stages_percent is 'The weighted mean of its stages'' percent; null if one that runs is unknown.';
comment on column milepost.jobs.stages_total is 'The sum of its stages'' totals; null if one is unknown.';
comment on column milepost.jobs.workers_expected is 'It is completed when at least so many lanes have said so.';
comment on column milepost.jobs.message is 'What a worker said last.';
comment on column milepost.jobs.error is 'Why it failed.';
comment on column milepost.jobs.rate_limited_until is 'A worker said that it may not go on before then.';
comment on column milepost.jobs.stall_after_ms is 'Silence after which it counts as stalled, in ms; overrides what was learnt.';
comment on column milepost.jobs.processing_deadline_ms is 'How long it may take, in ms of its active clock.';
comment on column milepost.jobs.retry_backoff_ms is 'Wait before attempt 2, in ms; doubled for each further one, at most 15 minutes.';
comment on column milepost.jobs.metadata is 'The client''s own JSON.';
comment on column milepost.jobs.created_at is 'When it was created.';
comment on column milepost.jobs.run_after is 'Not to be claimed before then.';
comment on column milepost.jobs.started_at is 'When it first ran.';
comment on column milepost.jobs.attempt_started_at is 'When this attempt began.';
comment on column milepost.jobs.state_changed_at is 'When its state last changed.';
comment on column milepost.jobs.last_checkpoint_at is 'Last contact.';
comment on column milepost.jobs.last_progress_at is 'Last rise of its counts.';
comment on column milepost.jobs.finished_at is 'When it ended.';
comment on column milepost.jobs.search_text is 'What a search by text looks at: key, name, kind and error, in lower case. A checkpoint does not change it, so it may carry an index.';
comment on column milepost.jobs.ended_metadata is 'Its metadata once it has ended. A checkpoint may change metadata, so only this copy carries an index.';

do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost.jobs'::regclass) then
    alter table milepost.jobs enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost.jobs'::regclass and polname = 'members read their tenant''s jobs') then
    create temporary table jobs (like milepost.jobs);
    execute 'create policy "members read their tenant''s jobs" on pg_temp.jobs ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost.jobs'::regclass, 'pg_temp.jobs'::regclass)
          and polname = 'members read their tenant''s jobs') then
      drop table pg_temp.jobs;
      return;
    end if;
    drop table pg_temp.jobs;
    drop policy "members read their tenant's jobs" on milepost.jobs;
  end if;
  execute 'create policy "members read their tenant''s jobs" on milepost.jobs ' || v_wanted;
end $guard$;
revoke all on milepost.jobs from public, anon, authenticated;
grant select on milepost.jobs to authenticated;
grant select, insert, update, delete on milepost.jobs to service_role;

-- ==== sql/schema/23_lanes.sql

-- lanes: what each worker of a job said of its own counts. Omitted fields keep their value: for each field the greatest
-- seq that named it is kept beside it (<field>_seq), so that the order of arrival does not matter.
create table if not exists milepost.lanes (
  tenant_id          uuid not null,
  job_id             uuid not null,
  worker             text not null,
  attempt            int not null,
  seq                bigint not null default -1,
  seen               int8multirange not null default '{}',
  state              text not null default 'running',
  state_seq          bigint not null default -1,
  items_completed    bigint not null default 0,
  bytes_processed    bigint not null default 0,
  items_failed       bigint not null default 0,
  failed_seq         bigint not null default -1,
  items_skipped      bigint not null default 0,
  skipped_seq        bigint not null default -1,
  items_canceled     bigint not null default 0,
  canceled_seq       bigint not null default -1,
  items_total        bigint,
  total_seq          bigint not null default -1,
  worker_items_total bigint,
  worker_total_seq   bigint not null default -1,
  message_seq        bigint not null default -1,
  rate_limited_seq   bigint not null default -1,
  deadline_seq       bigint not null default -1,
  metadata_seq       bigint not null default -1,
  kind_seq           bigint not null default -1,
  name_seq           bigint not null default -1,
  unit_seq           bigint not null default -1,
  cursor             jsonb,
  cursor_seq         bigint not null default -1,
  cursor_at          timestamptz,
  cursor_completed   bigint not null default 0,
  cursor_failed      bigint not null default 0,
  cursor_skipped     bigint not null default 0,
  cursor_canceled    bigint not null default 0,
  cursor_bytes       bigint not null default 0,
  first_checkpoint_at timestamptz not null,
  first_work         double precision not null default 0,
  last_checkpoint_at timestamptz not null,
  last_progress_at   timestamptz,
  constraint lanes_pkey primary key (job_id, worker),
  constraint lanes_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade,
  constraint lane_state_is_known check (state in ('running', 'paused', 'completing', 'completed', 'canceled', 'failed'))
) with (fillfactor = 60);
-- Where the table is older than the column.
do $guard$
begin
  if not exists (select from pg_catalog.pg_attribute
                 where attrelid = 'milepost.lanes'::regclass and attname = 'first_work'
                   and not attisdropped) then
    alter table milepost.lanes add column first_work double precision not null default 0;
  end if;
end $guard$;

comment on table milepost.lanes is 'One lane of a job each: a process, shard or host that reports its own counts. A job''s counts are the sums over its lanes.';
comment on column milepost.lanes.tenant_id is 'The tenant it belongs to.';
comment on column milepost.lanes.job_id is 'The job.';
comment on column milepost.lanes.worker is 'The lane''s name.';
comment on column milepost.lanes.attempt is 'The attempt in which it was last seen.';
comment on column milepost.lanes.seq is 'The greatest seq it has sent in this attempt.';
comment on column milepost.lanes.seen is 'The seqs it has sent in this attempt: what repeats one of them is a duplicate.';
comment on column milepost.lanes.state is 'What it said of itself.';
comment on column milepost.lanes.state_seq is 'The seq that said so; likewise every column that ends in _seq.';
comment on column milepost.lanes.items_completed is 'Items it completed; never falls within an attempt.';
comment on column milepost.lanes.bytes_processed is 'Bytes it processed; never falls within an attempt.';
comment on column milepost.lanes.items_failed is 'Items that failed in it.';
comment on column milepost.lanes.failed_seq is 'The seq that said items_failed.';
comment on column milepost.lanes.items_skipped is 'Items it skipped.';
comment on column milepost.lanes.skipped_seq is 'The seq that said items_skipped.';
comment on column milepost.lanes.items_canceled is 'Items canceled in it.';
comment on column milepost.lanes.canceled_seq is 'The seq that said items_canceled.';
comment on column milepost.lanes.items_total is 'What it said last of the whole job''s total.';
comment on column milepost.lanes.total_seq is 'The seq that said items_total.';
comment on column milepost.lanes.worker_items_total is 'Its own share of the total.';
comment on column milepost.lanes.worker_total_seq is 'The seq that said worker_items_total.';
comment on column milepost.lanes.message_seq is 'The seq of its last message.';
comment on column milepost.lanes.rate_limited_seq is 'The seq that said rate_limited_until.';
comment on column milepost.lanes.deadline_seq is 'The seq that said processing_deadline_ms.';
comment on column milepost.lanes.metadata_seq is 'The seq that said metadata.';
comment on column milepost.lanes.kind_seq is 'The seq that said kind.';
comment on column milepost.lanes.name_seq is 'The seq that said name.';
comment on column milepost.lanes.unit_seq is 'The seq that said unit.';
comment on column milepost.lanes.cursor is 'Its own JSON from which work can resume.';
comment on column milepost.lanes.cursor_seq is 'The seq that said the cursor.';
comment on column milepost.lanes.cursor_at is 'When the cursor arrived.';
comment on column milepost.lanes.cursor_completed is 'items_completed at the cursor: where a new attempt counts on from.';
comment on column milepost.lanes.cursor_failed is 'items_failed at the cursor.';
comment on column milepost.lanes.cursor_skipped is 'items_skipped at the cursor.';
comment on column milepost.lanes.cursor_canceled is 'items_canceled at the cursor.';
comment on column milepost.lanes.cursor_bytes is 'bytes_processed at the cursor.';
comment on column milepost.lanes.first_checkpoint_at is 'First contact in its attempt.';
comment on column milepost.lanes.first_work is 'Items it had settled by work then: what was done before says nothing of its speed.';
comment on column milepost.lanes.last_checkpoint_at is 'Last contact.';
comment on column milepost.lanes.last_progress_at is 'Last rise of its counts.';

do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost.lanes'::regclass) then
    alter table milepost.lanes enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost.lanes'::regclass and polname = 'members read their tenant''s lanes') then
    create temporary table lanes (like milepost.lanes);
    execute 'create policy "members read their tenant''s lanes" on pg_temp.lanes ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost.lanes'::regclass, 'pg_temp.lanes'::regclass)
          and polname = 'members read their tenant''s lanes') then
      drop table pg_temp.lanes;
      return;
    end if;
    drop table pg_temp.lanes;
    drop policy "members read their tenant's lanes" on milepost.lanes;
  end if;
  execute 'create policy "members read their tenant''s lanes" on milepost.lanes ' || v_wanted;
end $guard$;
revoke all on milepost.lanes from public, anon, authenticated;
grant select on milepost.lanes to authenticated;
grant select, insert, update, delete on milepost.lanes to service_role;

-- ==== sql/schema/24_stages.sql

-- stages: named parts of a job with a total and a weight of their own.
create table if not exists milepost.stages (
  tenant_id       uuid not null,
  job_id          uuid not null,
  name            text not null,
  position        int not null,
  weight          double precision not null default 1,
  state           text not null default 'pending',
  items_total     bigint,
  items_total_given bigint,
  items_completed bigint not null default 0,
  items_failed    bigint not null default 0,
  items_skipped   bigint not null default 0,
  items_canceled  bigint not null default 0,
  bytes_processed bigint not null default 0,
  counts_reported boolean not null default false,
  started_at      timestamptz,
  finished_at     timestamptz,
  constraint stages_pkey primary key (job_id, name),
  constraint stages_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade,
  constraint stage_state_is_known check (state in ('pending', 'running', 'completed', 'failed', 'skipped', 'canceled')),
  constraint stage_weight_is_not_negative check (weight >= 0)
) with (fillfactor = 70);

comment on table milepost.stages is 'Named parts of a job, in order, each with its own counts.';
comment on column milepost.stages.tenant_id is 'The tenant it belongs to.';
comment on column milepost.stages.job_id is 'The job.';
comment on column milepost.stages.name is 'Its name, unique in the job.';
comment on column milepost.stages.position is 'Its place in the job, from 1.';
comment on column milepost.stages.weight is 'Its share of the job''s percent, beside the other stages'' weights: the greatest that the lanes said last, else what was given.';
comment on column milepost.stages.state is 'Its state.';
comment on column milepost.stages.items_total is 'Its total: the greatest that the lanes said last, else what was given. Null is unknown.';
comment on column milepost.stages.items_total_given is 'The total given at creation; stands until a lane says one.';
comment on column milepost.stages.items_completed is 'Items done in it: the sum over the lanes, or counted from its items.';
comment on column milepost.stages.items_failed is 'Items that failed in it.';
comment on column milepost.stages.items_skipped is 'Items skipped in it.';
comment on column milepost.stages.items_canceled is 'Items canceled in it.';
comment on column milepost.stages.bytes_processed is 'Bytes processed in it.';
comment on column milepost.stages.counts_reported is 'True once a lane reported a count for it; until then they are counted from its items.';
comment on column milepost.stages.started_at is 'When it first ran.';
comment on column milepost.stages.finished_at is 'When it ended.';

do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost.stages'::regclass) then
    alter table milepost.stages enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost.stages'::regclass and polname = 'members read their tenant''s stages') then
    create temporary table stages (like milepost.stages);
    execute 'create policy "members read their tenant''s stages" on pg_temp.stages ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost.stages'::regclass, 'pg_temp.stages'::regclass)
          and polname = 'members read their tenant''s stages') then
      drop table pg_temp.stages;
      return;
    end if;
    drop table pg_temp.stages;
    drop policy "members read their tenant's stages" on milepost.stages;
  end if;
  execute 'create policy "members read their tenant''s stages" on milepost.stages ' || v_wanted;
end $guard$;
revoke all on milepost.stages from public, anon, authenticated;
grant select on milepost.stages to authenticated;
grant select, insert, update, delete on milepost.stages to service_role;

-- stage_lanes: what each lane said of each stage, by the same rules as lanes.
create table if not exists milepost_private.stage_lanes (
  job_id          uuid not null,
  stage           text not null,
  worker          text not null,
  attempt         int not null,
  seq             bigint not null default -1,
  state           text,
  state_seq       bigint not null default -1,
  counts_reported boolean not null default false,
  items_completed bigint not null default 0,
  bytes_processed bigint not null default 0,
  items_failed    bigint not null default 0,
  failed_seq      bigint not null default -1,
  items_skipped   bigint not null default 0,
  skipped_seq     bigint not null default -1,
  items_canceled  bigint not null default 0,
  canceled_seq    bigint not null default -1,
  items_total     bigint,
  total_seq       bigint not null default -1,
  weight          double precision,
  weight_seq      bigint not null default -1,
  cursor_seq      bigint not null default -1,
  cursor_completed bigint not null default 0,
  cursor_failed   bigint not null default 0,
  cursor_skipped  bigint not null default 0,
  cursor_canceled bigint not null default 0,
  cursor_bytes    bigint not null default 0,
  constraint stage_lanes_pkey primary key (job_id, stage, worker),
  constraint stage_lanes_stage_exists foreign key (job_id, stage) references milepost.stages (job_id, name) on delete cascade
) with (fillfactor = 70);
comment on table milepost_private.stage_lanes is 'What each lane said of each stage; a stage''s counts are the sums.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.stage_lanes'::regclass) then
    alter table milepost_private.stage_lanes enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (exists (select from milepost.jobs j where j.job_id = stage_lanes.job_id))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.stage_lanes'::regclass and polname = 'members read what lanes of jobs they see said of stages') then
    create temporary table stage_lanes (like milepost_private.stage_lanes);
    execute 'create policy "members read what lanes of jobs they see said of stages" on pg_temp.stage_lanes ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.stage_lanes'::regclass, 'pg_temp.stage_lanes'::regclass)
          and polname = 'members read what lanes of jobs they see said of stages') then
      drop table pg_temp.stage_lanes;
      return;
    end if;
    drop table pg_temp.stage_lanes;
    drop policy "members read what lanes of jobs they see said of stages" on milepost_private.stage_lanes;
  end if;
  execute 'create policy "members read what lanes of jobs they see said of stages" on milepost_private.stage_lanes ' || v_wanted;
end $guard$;
revoke all on milepost_private.stage_lanes from public, anon, authenticated;
grant select on milepost_private.stage_lanes to authenticated;
grant select, insert, update, delete on milepost_private.stage_lanes to service_role;

-- ==== sql/schema/25_items.sql

-- items: units tracked by name within their stage, or within the job (stage '').
create table if not exists milepost.items (
  tenant_id   uuid not null,
  job_id      uuid not null,
  stage       text not null default '',
  key         text not null,
  state       text not null,
  percent     double precision,
  duration_ms double precision,
  payload     jsonb,
  error       text,
  worker      text not null,
  attempt     int not null,
  seq         bigint not null,
  received_at timestamptz not null,
  item_id     bigint generated always as identity,
  others      jsonb,
  constraint items_pkey primary key (job_id, stage, key),
  constraint items_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade,
  constraint item_state_is_known check (state in ('pending', 'processing', 'completed', 'failed', 'skipped', 'canceled')),
  constraint item_percent_is_a_percentage check (percent between 0 and 100)
) with (fillfactor = 80);
do $guard$
begin
  if to_regclass('milepost.items_in_order') is null then
    create unique index items_in_order on milepost.items (job_id, item_id);
  end if;
end $guard$;

comment on table milepost.items is 'Units of a job that are tracked by name: files, videos, ...';
comment on column milepost.items.tenant_id is 'The tenant it belongs to.';
comment on column milepost.items.job_id is 'The job.';
comment on column milepost.items.stage is 'Its stage; empty for the job itself. The same key may pass through several stages.';
comment on column milepost.items.key is 'Its name.';
comment on column milepost.items.state is 'Its state.';
comment on column milepost.items.percent is 'How far it is, 0 to 100; null is unknown.';
comment on column milepost.items.duration_ms is 'How long it took, in ms.';
comment on column milepost.items.payload is 'The worker''s own JSON.';
comment on column milepost.items.error is 'Why it failed.';
comment on column milepost.items.worker is 'The lane whose word this is.';
comment on column milepost.items.attempt is 'The attempt in which it was said.';
comment on column milepost.items.seq is 'The seq of the checkpoint that said it.';
comment on column milepost.items.received_at is 'When that arrived.';
comment on column milepost.items.item_id is 'Order of first appearance, for paging.';
comment on column milepost.items.others is 'What the other lanes said last of it; null while only one lane spoke.';

do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost.items'::regclass) then
    alter table milepost.items enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost.items'::regclass and polname = 'members read their tenant''s items') then
    create temporary table items (like milepost.items);
    execute 'create policy "members read their tenant''s items" on pg_temp.items ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost.items'::regclass, 'pg_temp.items'::regclass)
          and polname = 'members read their tenant''s items') then
      drop table pg_temp.items;
      return;
    end if;
    drop table pg_temp.items;
    drop policy "members read their tenant's items" on milepost.items;
  end if;
  execute 'create policy "members read their tenant''s items" on milepost.items ' || v_wanted;
end $guard$;
revoke all on milepost.items from public, anon, authenticated;
grant select on milepost.items to authenticated;
grant select, insert, update, delete on milepost.items to service_role;

-- item_tallies: how many items of a stage (or of the job: stage '') are in each settled state, kept incrementally.
create table if not exists milepost_private.item_tallies (
  job_id    uuid not null,
  stage     text not null default '',
  completed bigint not null default 0,
  failed    bigint not null default 0,
  skipped   bigint not null default 0,
  canceled  bigint not null default 0,
  constraint item_tallies_pkey primary key (job_id, stage),
  constraint item_tallies_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade
) with (fillfactor = 50);
comment on table milepost_private.item_tallies is 'Items by settled state, for the stages and jobs whose counts are not reported.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.item_tallies'::regclass) then
    alter table milepost_private.item_tallies enable row level security;
  end if;
end $guard$;
revoke all on milepost_private.item_tallies from public, anon, authenticated;
grant select, insert, update, delete on milepost_private.item_tallies to service_role;

-- ==== sql/schema/26_history.sql

-- checkpoints and events: history, partitioned by day. Partitions live in milepost_private, so that the API shows one table each.

create table if not exists milepost.checkpoints (
  checkpoint_id   bigint generated always as identity,
  tenant_id       uuid not null,
  job_id          uuid not null,
  attempt         int not null,
  worker          text not null,
  seq             bigint not null,
  at              timestamptz not null,
  received_at     timestamptz not null,
  state           text,
  items_total     bigint,
  items_completed bigint,
  items_failed    bigint,
  items_skipped   bigint,
  items_canceled  bigint,
  bytes_processed bigint,
  batch_items     bigint,
  batch_duration_ms double precision,
  batch_bytes     bigint,
  stages          jsonb,
  message         text,
  has_cursor      boolean not null default false,
  job_done        bigint,
  job_total       bigint,
  job_skipped     bigint,
  traceparent     text,
  constraint checkpoints_pkey primary key (job_id, checkpoint_id, received_at)
) partition by range (received_at);

comment on table milepost.checkpoints is 'Every accepted checkpoint, as it was said. Kept by day and dropped by day.';
comment on column milepost.checkpoints.checkpoint_id is 'Order of arrival.';
comment on column milepost.checkpoints.tenant_id is 'The tenant it belongs to.';
comment on column milepost.checkpoints.job_id is 'The job.';
comment on column milepost.checkpoints.attempt is 'The attempt that said it.';
comment on column milepost.checkpoints.worker is 'The lane that said it.';
comment on column milepost.checkpoints.seq is 'Its number within the lane; -1 marks what a new attempt began with.';
comment on column milepost.checkpoints.at is 'When the worker took it: its own spacing, anchored at the time of receipt.';
comment on column milepost.checkpoints.received_at is 'When it arrived.';
comment on column milepost.checkpoints.state is 'The state it named.';
comment on column milepost.checkpoints.items_total is 'The job''s total as it said.';
comment on column milepost.checkpoints.items_completed is 'The lane''s count as it said; likewise the other counts. Null where it said none.';
comment on column milepost.checkpoints.items_failed is 'As it said.';
comment on column milepost.checkpoints.items_skipped is 'As it said.';
comment on column milepost.checkpoints.items_canceled is 'As it said.';
comment on column milepost.checkpoints.bytes_processed is 'As it said.';
comment on column milepost.checkpoints.batch_items is 'Items of the batch it closes.';
comment on column milepost.checkpoints.batch_duration_ms is 'How long that batch took, in ms.';
comment on column milepost.checkpoints.batch_bytes is 'Bytes of that batch.';
comment on column milepost.checkpoints.stages is 'The stages it named, as it said.';
comment on column milepost.checkpoints.message is 'Its message.';
comment on column milepost.checkpoints.has_cursor is 'Whether it carried a cursor.';
comment on column milepost.checkpoints.job_done is 'The whole job''s settled items once its request was recorded.';
comment on column milepost.checkpoints.job_total is 'The whole job''s total then.';
comment on column milepost.checkpoints.job_skipped is 'How many of job_done were skipped.';
comment on column milepost.checkpoints.traceparent is 'The worker''s span that it belongs to, as W3C Trace Context writes it.';

create table if not exists milepost.events (
  event_id       bigint generated always as identity,
  tenant_id      uuid not null,
  job_id         uuid not null,
  version        bigint not null,
  type           text not null,
  ts             timestamptz not null,
  correlation_id uuid not null,
  data           jsonb not null default '{}',
  constraint events_pkey primary key (job_id, version, ts)
) partition by range (ts);
do $guard$
begin
  if to_regclass('milepost.events_by_tenant') is null then
    create index events_by_tenant on milepost.events (tenant_id, event_id);
  end if;
end $guard$;

-- Writers look at it before they draw an id: see stream_events.
grant usage, select on sequence milepost.events_event_id_seq to service_role;

comment on table milepost.events is 'The history of jobs: one row, one version and one message on each topic for each event.';
comment on column milepost.events.event_id is 'Order of writing.';
comment on column milepost.events.tenant_id is 'The tenant it belongs to.';
comment on column milepost.events.job_id is 'The job.';
comment on column milepost.events.version is 'The job''s version: 1, 2, 3, ... without a gap.';
comment on column milepost.events.type is 'job.started, job.progress, job.state_changed, job.completed, job.failed, job.stalled, job.recovered, job.priority_changed, stage.changed, item.changed.';
comment on column milepost.events.ts is 'When it happened.';
comment on column milepost.events.correlation_id is 'The request that caused it.';
comment on column milepost.events.data is 'What happened.';

do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost.checkpoints'::regclass) then
    alter table milepost.checkpoints enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost.checkpoints'::regclass and polname = 'members read their tenant''s checkpoints') then
    create temporary table checkpoints (like milepost.checkpoints);
    execute 'create policy "members read their tenant''s checkpoints" on pg_temp.checkpoints ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost.checkpoints'::regclass, 'pg_temp.checkpoints'::regclass)
          and polname = 'members read their tenant''s checkpoints') then
      drop table pg_temp.checkpoints;
      return;
    end if;
    drop table pg_temp.checkpoints;
    drop policy "members read their tenant's checkpoints" on milepost.checkpoints;
  end if;
  execute 'create policy "members read their tenant''s checkpoints" on milepost.checkpoints ' || v_wanted;
end $guard$;
revoke all on milepost.checkpoints from public, anon, authenticated;
grant select on milepost.checkpoints to authenticated;
grant select, insert, update, delete on milepost.checkpoints to service_role;
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost.events'::regclass) then
    alter table milepost.events enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost.events'::regclass and polname = 'members read their tenant''s events') then
    create temporary table events (like milepost.events);
    execute 'create policy "members read their tenant''s events" on pg_temp.events ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost.events'::regclass, 'pg_temp.events'::regclass)
          and polname = 'members read their tenant''s events') then
      drop table pg_temp.events;
      return;
    end if;
    drop table pg_temp.events;
    drop policy "members read their tenant's events" on milepost.events;
  end if;
  execute 'create policy "members read their tenant''s events" on milepost.events ' || v_wanted;
end $guard$;
revoke all on milepost.events from public, anon, authenticated;
grant select on milepost.events to authenticated;
grant select, insert, update, delete on milepost.events to service_role;

-- make_partitions: one partition a day, made ahead, and a default one, so that a missing day never loses a checkpoint. What went
-- to the default one moves when its day is made.
create or replace function milepost_private.make_partitions(first_day date, last_day date)
returns int
language plpgsql
volatile
security definer                -- the sweep calls it as service_role, which owns nothing
set search_path = ''
-- Whoever reads or writes the default partition holds this up. It gives up before Postgres would look for a deadlock and stop
-- a worker's request: the next sweep tries again.
set lock_timeout = '500ms'
as $$
declare
  v_table   text;
  v_moment  text;
  v_default text;
  v_name    text;
  v_day     date;
  v_days    date[];
  v_made    int := 0;
begin
  foreach v_table in array array['checkpoints', 'events'] loop
    v_moment := case v_table when 'checkpoints' then 'received_at' else 'ts' end;
    v_default := v_table || '_default';
    if to_regclass('milepost_private.' || v_default) is null then
      execute format('create table milepost_private.%I partition of milepost.%I default', v_default, v_table);
      execute format('alter table milepost_private.%I enable row level security', v_default);
      execute format('revoke all on milepost_private.%I from public, anon, authenticated', v_default);
    end if;
    execute format('select array_agg(distinct (%I at time zone ''utc'')::date) from milepost_private.%I', v_moment, v_default) into v_days;
    for v_day in
      select d::date from generate_series(first_day, last_day, interval '1 day') d union select unnest(v_days) order by 1
    loop
      v_name := format('%s_%s', v_table, to_char(v_day, 'YYYYMMDD'));
      continue when to_regclass('milepost_private.' || v_name) is not null;
      -- Filled before it is attached: so nothing is written twice, and no event is broadcast twice.
      execute format('lock table milepost_private.%I in access exclusive mode', v_default);
      execute format('create table milepost_private.%I (like milepost.%I including defaults including constraints including storage)',
                     v_name, v_table);
      execute format('alter table milepost_private.%I enable row level security', v_name);
      execute format('revoke all on milepost_private.%I from public, anon, authenticated', v_name);
      execute format('with moved as (delete from milepost_private.%I where %I >= $1 and %2$I < $2 returning *) '
                     'insert into milepost_private.%I select * from moved', v_default, v_moment, v_name)
        using v_day::timestamp at time zone 'utc', (v_day + 1)::timestamp at time zone 'utc';
      execute format('alter table milepost.%I attach partition milepost_private.%I for values from (%L) to (%L)',
                     v_table, v_name, v_day::text || ' 00:00:00+00', (v_day + 1)::text || ' 00:00:00+00');
      v_made := v_made + 1;
    end loop;
  end loop;
  return v_made;
exception when lock_not_available then
  return 0;
end;
$$;
comment on function milepost_private.make_partitions(date, date) is
'Makes the daily partitions of checkpoints and events from the first to the last day (UTC), and of the days that lie in the default partition; returns how many were made, 0 where somebody held it up.';
revoke execute on function milepost_private.make_partitions(date, date) from public, anon, authenticated;
grant execute on function milepost_private.make_partitions(date, date) to service_role;

select milepost_private.make_partitions((now() at time zone 'utc')::date - 1, (now() at time zone 'utc')::date + 7);

-- ==== sql/schema/27_kinds.sql

-- kinds: what earlier runs of a kind taught, in constant space.
create table if not exists milepost_private.kinds (
  tenant_id  uuid not null,
  kind       text not null,
  pace       milepost_private.kind_pace,
  rhythm     milepost_private.kind_rhythm,
  trend      milepost_private.kind_trend,
  updated_at timestamptz not null default now(),
  constraint kinds_pkey primary key (tenant_id, kind),
  constraint kinds_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade
);
comment on table milepost_private.kinds is 'Per kind: how long runs took, how fast, how large they were, how many items failed, and what gaps between checkpoints are usual. Updated when a job completes.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.kinds'::regclass) then
    alter table milepost_private.kinds enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.kinds'::regclass and polname = 'members read what their kinds taught') then
    create temporary table kinds (like milepost_private.kinds);
    execute 'create policy "members read what their kinds taught" on pg_temp.kinds ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.kinds'::regclass, 'pg_temp.kinds'::regclass)
          and polname = 'members read what their kinds taught') then
      drop table pg_temp.kinds;
      return;
    end if;
    drop table pg_temp.kinds;
    drop policy "members read what their kinds taught" on milepost_private.kinds;
  end if;
  execute 'create policy "members read what their kinds taught" on milepost_private.kinds ' || v_wanted;
end $guard$;
revoke all on milepost_private.kinds from public, anon, authenticated;
grant select on milepost_private.kinds to authenticated;
grant select, insert, update, delete on milepost_private.kinds to service_role;

-- ==== sql/schema/27_percent.sql

-- percent: 100 * (completed + skipped) / total, cut (not rounded) to four places, so that 100 means all.
create or replace function milepost_private.percent(completed numeric, skipped numeric, total numeric)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case when total > 0 then (div(1000000 * (completed + skipped), total) / 10000)::double precision
              when total = 0 then 100 end;
end;
$$;
comment on function milepost_private.percent(numeric, numeric, numeric) is
'100 * (completed + skipped) / total; null while the total is unknown; 100 where there is nothing to do.';
revoke execute on function milepost_private.percent(numeric, numeric, numeric) from public, anon, authenticated;
grant execute on function milepost_private.percent(numeric, numeric, numeric) to authenticated, service_role;

-- ==== sql/schema/28_progress_interval_ms.sql

-- progress_interval_ms: how far apart a job's progress events are, so that all jobs at work together keep within the budget.
create or replace function milepost_private.progress_interval_ms(messages_per_s double precision, jobs_at_work int, topics int)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
begin
  return 1000.0 * greatest(jobs_at_work, 1) * topics / messages_per_s;
end;
$$;
comment on function milepost_private.progress_interval_ms(double precision, int, int) is
'Least time between two progress events of a job, in ms: each is one message on each topic, and the jobs at work share the budget.';
revoke execute on function milepost_private.progress_interval_ms(double precision, int, int) from public, anon, authenticated;
grant execute on function milepost_private.progress_interval_ms(double precision, int, int) to authenticated, service_role;

-- ==== sql/schema/28_progress_slot.sql

-- progress_slot: each job may speak once in each of its slots of time. Each job's slots begin at another moment, so that jobs
-- which began together do not speak together.
create or replace function milepost_private.progress_slot(job_id uuid, at timestamptz, interval_ms double precision)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
begin
  return floor(extract(epoch from at)::double precision * 1000 / interval_ms
    + (uuid_hash(job_id)::bigint + 2147483648) / 4294967296.0);
end;
$$;
comment on function milepost_private.progress_slot(uuid, timestamptz, double precision) is
'The number of the slot of so many ms in which a job is at a moment. Jobs'' slots are shifted against each other.';
revoke execute on function milepost_private.progress_slot(uuid, timestamptz, double precision) from public, anon, authenticated;
grant execute on function milepost_private.progress_slot(uuid, timestamptz, double precision) to authenticated, service_role;

-- ==== sql/schema/28_pulses.sql

-- pulses: the narrow private row that every checkpoint updates: active clock, pace (for the ETA), rhythm (for liveness).
create table if not exists milepost_private.pulses (
  job_id           uuid not null,
  tenant_id        uuid not null,
  active_s         double precision not null default 0,
  active_at        timestamptz not null,
  running          boolean not null default false,
  pace             milepost_private.pace,
  effort           milepost_private.pace,
  last_lane        milepost_private.last_lane,
  rhythm           milepost_private.rhythm,
  settled          double precision not null default 0,
  progress_event_at timestamptz,
  progress_event_percent double precision,
  held_back        boolean not null default false,
  coalesced        bigint not null default 0,
  stalled_at       timestamptz,
  tenth            smallint not null default -1,
  constraint pulses_pkey primary key (job_id),
  constraint pulses_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade
) with (fillfactor = 50);
-- Who asks for what is stuck looks at those at work, not at the pulses of all that ended. A checkpoint leaves `running` alone.
do $guard$
begin
  if to_regclass('milepost_private.pulses_running') is null then
    create index pulses_running on milepost_private.pulses (tenant_id, job_id) where running;
  end if;
end $guard$;
comment on table milepost_private.pulses is 'Per job: its active clock, its pace and its rhythm.';
comment on column milepost_private.pulses.active_s is 'The active clock at active_at, in seconds: time spent running, pauses and waits excluded.';
comment on column milepost_private.pulses.running is 'Whether the active clock has run since active_at.';
comment on column milepost_private.pulses.pace is 'Its pace in items.';
comment on column milepost_private.pulses.effort is 'Of a job that counts by stages: its pace in percent of its effort, from which its ETA comes.';
comment on column milepost_private.pulses.last_lane is 'Of a job whose lanes have shares of their own: the lane that will finish last.';
comment on column milepost_private.pulses.settled is 'The job''s settled items at the last checkpoint.';
comment on column milepost_private.pulses.held_back is 'Whether a progress event is due that was held back.';
comment on column milepost_private.pulses.coalesced is 'Progress events that were held back and went out with a later one.';
comment on column milepost_private.pulses.stalled_at is 'When a sweep found it stalled; null again once it makes progress.';
comment on column milepost_private.pulses.tenth is 'The last tenth of its progress for which a prediction was kept; -1 before the first.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.pulses'::regclass) then
    alter table milepost_private.pulses enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.pulses'::regclass and polname = 'members read their tenant''s pulses') then
    create temporary table pulses (like milepost_private.pulses);
    execute 'create policy "members read their tenant''s pulses" on pg_temp.pulses ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.pulses'::regclass, 'pg_temp.pulses'::regclass)
          and polname = 'members read their tenant''s pulses') then
      drop table pg_temp.pulses;
      return;
    end if;
    drop table pg_temp.pulses;
    drop policy "members read their tenant's pulses" on milepost_private.pulses;
  end if;
  execute 'create policy "members read their tenant''s pulses" on milepost_private.pulses ' || v_wanted;
end $guard$;
revoke all on milepost_private.pulses from public, anon, authenticated;
grant select on milepost_private.pulses to authenticated;
grant select, insert, update, delete on milepost_private.pulses to service_role;

-- active_clock: seconds a job has been at work.
create or replace function milepost_private.active_clock(
  active_s double precision, active_at timestamptz, running boolean, at timestamptz
)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
begin
  return active_s + case when running then greatest(extract(epoch from at - active_at)::double precision, 0) else 0 end;
end;
$$;
comment on function milepost_private.active_clock(double precision, timestamptz, boolean, timestamptz) is
'Seconds of work at the given time: the clock stands still while running is false.';
revoke execute on function milepost_private.active_clock(double precision, timestamptz, boolean, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.active_clock(double precision, timestamptz, boolean, timestamptz) to authenticated, service_role;

-- ==== sql/schema/28_stage_percent.sql

-- stage_percent: how far a stage is. One that has not begun stands at 0; one that runs without a total is unknown.
create or replace function milepost_private.stage_percent(s milepost.stages)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when s.state = 'pending' and s.items_completed = 0 and s.items_skipped = 0 then 0
    when s.items_total is null and s.state not in ('completed', 'skipped') then null
    else milepost_private.percent(s.items_completed, s.items_skipped, greatest(s.items_total,
      s.items_completed::numeric + s.items_failed + s.items_skipped + s.items_canceled))
  end;
end;
$$;
comment on function milepost_private.stage_percent(milepost.stages) is
'100 * (completed + skipped) / total of a stage; 0 before it begins; null while it runs without a total.';
revoke execute on function milepost_private.stage_percent(milepost.stages) from public, anon, authenticated;
grant execute on function milepost_private.stage_percent(milepost.stages) to authenticated, service_role;

-- ==== sql/schema/29_alert_rules.sql

-- alert_defaults: what is watched in every tenant, with no configuration at all.
create or replace function milepost_private.alert_defaults()
returns table (rule text, severity text, threshold double precision, unit text, window_s int, for_s int, meaning text)
language plpgsql
immutable
set search_path = ''
as $$
begin
  return query values
    ('job_failed',    'critical', null::double precision, null::text, 86400, 0, 'A job failed, and has not been retried since.'),
    ('job_stuck',     'critical', null, null, null::int, 0, 'A job is stalled or lost, or was reset and has made no progress since.'),
    ('job_late',      'warning',  null, null, null, 120, 'A job is late: silent for longer than is usual for it, but not stalled yet.'),
    ('failure_rate',  'warning',  10, 'percent', 3600, 0, 'More of a kind''s runs that ended within the window failed; of five or more.'),
    ('update_delay',  'warning',  500, 'ms', 300, 60, 'One of twenty checkpoints within the window took longer to be recorded and sent on; of twenty or more.'),
    ('queue_depth',   'warning',  50, 'jobs', null, 60, 'More jobs wait for a worker.'),
    ('past_deadline', 'warning',  null, null, null, 0, 'A job is expected to end after its processing_deadline_ms, or has passed it.'),
    ('missed_run',    'warning',  20, 'percent', null, 0, 'A kind that runs regularly did not: it is late by more of its usual interval.');
end;
$$;
comment on function milepost_private.alert_defaults() is
'The alert rules and their defaults. for_s: how long it has to be so before it is told. window_s: how far back is looked.';
revoke execute on function milepost_private.alert_defaults() from public, anon, authenticated;
grant execute on function milepost_private.alert_defaults() to authenticated, service_role;

-- alert_rules: where a tenant wants it otherwise. Null is the default.
create table if not exists milepost_private.alert_rules (
  tenant_id uuid not null,
  rule      text not null,
  is_on     boolean not null default true,
  threshold double precision,
  window_s  int,
  for_s     int,
  constraint alert_rules_pkey primary key (tenant_id, rule),
  constraint alert_rules_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade,
  constraint alert_threshold_is_not_negative check (threshold >= 0),
  constraint alert_window_is_sensible check (window_s between 60 and 2592000),
  constraint alert_patience_is_sensible check (for_s between 0 and 86400)
);
comment on table milepost_private.alert_rules is 'What a tenant changed of alert_defaults.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.alert_rules'::regclass) then
    alter table milepost_private.alert_rules enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.alert_rules'::regclass and polname = 'members read their tenant''s alert rules') then
    create temporary table alert_rules (like milepost_private.alert_rules);
    execute 'create policy "members read their tenant''s alert rules" on pg_temp.alert_rules ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.alert_rules'::regclass, 'pg_temp.alert_rules'::regclass)
          and polname = 'members read their tenant''s alert rules') then
      drop table pg_temp.alert_rules;
      return;
    end if;
    drop table pg_temp.alert_rules;
    drop policy "members read their tenant's alert rules" on milepost_private.alert_rules;
  end if;
  execute 'create policy "members read their tenant''s alert rules" on milepost_private.alert_rules ' || v_wanted;
end $guard$;
revoke all on milepost_private.alert_rules from public, anon, authenticated;
grant select on milepost_private.alert_rules to authenticated;
grant select, insert, update, delete on milepost_private.alert_rules to service_role;

-- alert_rules_in_force: each tenant's rules with what it changed of them.
do $guard$
declare
  v_wanted constant text := $wanted$with (security_invoker = true) as
select t.tenant_id, d.rule, coalesce(r.is_on, true) as is_on, d.severity, coalesce(r.threshold, d.threshold) as threshold, d.unit,
       coalesce(r.window_s, d.window_s) as window_s, coalesce(r.for_s, d.for_s) as for_s, r.rule is null as is_default, d.meaning
from milepost.tenants t
cross join milepost_private.alert_defaults() d
left join milepost_private.alert_rules r on r.tenant_id = t.tenant_id and r.rule = d.rule$wanted$;
begin
  if to_regclass('milepost_private.alert_rules_in_force') is not null then
    execute 'create temporary view alert_rules_in_force ' || v_wanted;
    if (select count(distinct row(reloptions, pg_get_viewdef(oid))) = 1
        from pg_catalog.pg_class
        where oid in ('milepost_private.alert_rules_in_force'::regclass, 'pg_temp.alert_rules_in_force'::regclass)) then
      drop view pg_temp.alert_rules_in_force;
      return;
    end if;
    drop view pg_temp.alert_rules_in_force;
  end if;
  execute 'create or replace view milepost_private.alert_rules_in_force ' || v_wanted;
end $guard$;
comment on view milepost_private.alert_rules_in_force is 'Every tenant''s alert rules: the defaults, and what the tenant changed of them.';
revoke all on milepost_private.alert_rules_in_force from public, anon, authenticated;
grant select on milepost_private.alert_rules_in_force to authenticated, service_role;

-- alert_mutes: what a tenant does not want to hear of for a while. Null is any.
create table if not exists milepost_private.alert_mutes (
  mute_id   uuid not null default gen_random_uuid(),
  tenant_id uuid not null,
  rule      text,
  kind      text,
  job_id    uuid,
  until     timestamptz not null,
  reason    text,
  actor     text not null,
  constraint alert_mutes_pkey primary key (mute_id),
  constraint alert_mutes_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade,
  constraint one_mute_for_each_scope unique nulls not distinct (tenant_id, rule, kind, job_id)
);
comment on table milepost_private.alert_mutes is 'Alerts that nobody is told of until then: of a rule, a kind, a job, or all of a tenant''s.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.alert_mutes'::regclass) then
    alter table milepost_private.alert_mutes enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.alert_mutes'::regclass and polname = 'members read their tenant''s mutes') then
    create temporary table alert_mutes (like milepost_private.alert_mutes);
    execute 'create policy "members read their tenant''s mutes" on pg_temp.alert_mutes ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.alert_mutes'::regclass, 'pg_temp.alert_mutes'::regclass)
          and polname = 'members read their tenant''s mutes') then
      drop table pg_temp.alert_mutes;
      return;
    end if;
    drop table pg_temp.alert_mutes;
    drop policy "members read their tenant's mutes" on milepost_private.alert_mutes;
  end if;
  execute 'create policy "members read their tenant''s mutes" on milepost_private.alert_mutes ' || v_wanted;
end $guard$;
revoke all on milepost_private.alert_mutes from public, anon, authenticated;
grant select on milepost_private.alert_mutes to authenticated;
grant select, insert, update, delete on milepost_private.alert_mutes to service_role;

-- ==== sql/schema/29_alerts.sql

-- alerts: what was found to be wrong, from when to when. At most one that is not over for each rule and subject.
create table if not exists milepost_private.alerts (
  alert_id     uuid not null default gen_random_uuid(),
  tenant_id    uuid not null,
  rule         text not null,
  subject      text not null,
  job_id       uuid,
  job          text,
  kind         text,
  severity     text not null,
  message      text not null,
  value        double precision,
  threshold    double precision,
  began_at     timestamptz not null,
  opened_at    timestamptz,
  resolved_at  timestamptz,
  resolution   text,
  announcement bigint,
  constraint alerts_pkey primary key (alert_id),
  constraint alerts_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade,
  constraint resolution_is_known check (resolution in ('recovered', 'expired', 'turned_off'))
);
do $guard$
begin
  if to_regclass('milepost_private.one_live_alert_for_each_subject') is null then
    create unique index one_live_alert_for_each_subject on milepost_private.alerts (tenant_id, rule, subject)
  where resolved_at is null;
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost_private.alerts_newest_first') is null then
    create index alerts_newest_first on milepost_private.alerts (tenant_id, opened_at desc, alert_id desc)
  where opened_at is not null;
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost_private.alerts_announced') is null then
    create index alerts_announced on milepost_private.alerts (tenant_id, announcement) where announcement is not null;
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost_private.alerts_over') is null then
    create index alerts_over on milepost_private.alerts (resolved_at) where resolved_at is not null;
  end if;
end $guard$;
-- Numbers what is to be told: a channel knows up to which it was. The evaluation, of which there is one at a time, draws them.
create sequence if not exists milepost_private.announcements;

comment on table milepost_private.alerts is 'Alerts, open and over. One with no opened_at has not been so for its rule''s for_s yet. Kept for 30 days.';
comment on column milepost_private.alerts.subject is 'What it is about: a job''s id, a kind, or empty for the tenant.';
comment on column milepost_private.alerts.job is 'The job''s key.';
comment on column milepost_private.alerts.message is 'What is wrong, in words; once it recovered, how it is now.';
comment on column milepost_private.alerts.began_at is 'When it was first found so.';
comment on column milepost_private.alerts.opened_at is 'When it had been so for its rule''s for_s.';
comment on column milepost_private.alerts.resolution is 'recovered; expired: it is as it was, but nobody needs to hear of it any more; turned_off: its rule was.';
comment on column milepost_private.alerts.announcement is 'The number of its last change that channels are told of; null while it is muted or waits.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.alerts'::regclass) then
    alter table milepost_private.alerts enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.alerts'::regclass and polname = 'members read their tenant''s alerts') then
    create temporary table alerts (like milepost_private.alerts);
    execute 'create policy "members read their tenant''s alerts" on pg_temp.alerts ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.alerts'::regclass, 'pg_temp.alerts'::regclass)
          and polname = 'members read their tenant''s alerts') then
      drop table pg_temp.alerts;
      return;
    end if;
    drop table pg_temp.alerts;
    drop policy "members read their tenant's alerts" on milepost_private.alerts;
  end if;
  execute 'create policy "members read their tenant''s alerts" on milepost_private.alerts ' || v_wanted;
end $guard$;
revoke all on milepost_private.alerts from public, anon, authenticated;
grant select on milepost_private.alerts to authenticated;
grant select, insert, update, delete on milepost_private.alerts to service_role;
revoke all on sequence milepost_private.announcements from public, anon, authenticated;
grant usage, select on sequence milepost_private.announcements to service_role;

-- alert_channels: where a tenant's alerts go. What opens a channel (its address, its secret) is for the service only.
create table if not exists milepost_private.alert_channels (
  channel_id  uuid not null default gen_random_uuid(),
  tenant_id   uuid not null,
  type        text not null,
  name        text not null,
  address     text not null,
  secret      text,
  shown       text not null,
  quiet_from  time,
  quiet_until time,
  time_zone   text not null default 'UTC',
  told        bigint not null,
  created_at  timestamptz not null default now(),
  constraint alert_channels_pkey primary key (channel_id),
  constraint alert_channels_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade,
  constraint channel_type_is_known check (type in ('webhook', 'slack', 'email')),
  constraint channel_name_is_short check (length(name) between 1 and 200),
  constraint channel_address_is_short check (length(address) between 1 and 2000),
  constraint quiet_hours_begin_and_end check ((quiet_from is null) = (quiet_until is null))
);
do $guard$
begin
  if to_regclass('milepost_private.alert_channels_by_tenant') is null then
    create index alert_channels_by_tenant on milepost_private.alert_channels (tenant_id);
  end if;
end $guard$;
comment on table milepost_private.alert_channels is 'Where a tenant''s alerts go: a webhook, Slack, or e-mail.';
comment on column milepost_private.alert_channels.address is 'A URL, or e-mail addresses with commas between them. A URL may be a secret, so nobody but the service reads it.';
comment on column milepost_private.alert_channels.secret is 'What a webhook''s requests are signed with.';
comment on column milepost_private.alert_channels.shown is 'What people see of the address: a URL''s host, or the e-mail addresses.';
comment on column milepost_private.alert_channels.quiet_from is 'From then until quiet_until, on its time zone''s clock, nothing is sent.';
comment on column milepost_private.alert_channels.told is 'The last announcement that it was told of, or that lies in its outbox.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.alert_channels'::regclass) then
    alter table milepost_private.alert_channels enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.managed_tenants(array['admin']))))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.alert_channels'::regclass and polname = 'admins see channels') then
    create temporary table alert_channels (like milepost_private.alert_channels);
    execute 'create policy "admins see channels" on pg_temp.alert_channels ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.alert_channels'::regclass, 'pg_temp.alert_channels'::regclass)
          and polname = 'admins see channels') then
      drop table pg_temp.alert_channels;
      return;
    end if;
    drop table pg_temp.alert_channels;
    drop policy "admins see channels" on milepost_private.alert_channels;
  end if;
  execute 'create policy "admins see channels" on milepost_private.alert_channels ' || v_wanted;
end $guard$;
revoke all on milepost_private.alert_channels from public, anon, authenticated;
grant select (channel_id, tenant_id, type, name, shown, quiet_from, quiet_until, time_zone, created_at)
  on milepost_private.alert_channels to authenticated;
grant select, insert, update, delete on milepost_private.alert_channels to service_role;

-- alert_deliveries: the outbox. A channel has at most one that is not done: what changes meanwhile waits for the next, so that
-- messages stay in order and their number is bounded however much goes wrong.
create table if not exists milepost_private.alert_deliveries (
  delivery_id  uuid not null default gen_random_uuid(),
  tenant_id    uuid not null,
  channel_id   uuid not null,
  body         jsonb not null,
  created_at   timestamptz not null,
  due_at       timestamptz not null,
  attempts     int not null default 0,
  lease_id     uuid,
  delivered_at timestamptz,
  gave_up_at   timestamptz,
  last_error   text,
  constraint alert_deliveries_pkey primary key (delivery_id),
  constraint alert_deliveries_channel_exists foreign key (channel_id) references milepost_private.alert_channels (channel_id) on delete cascade
);
do $guard$
begin
  if to_regclass('milepost_private.one_delivery_at_a_time') is null then
    create unique index one_delivery_at_a_time on milepost_private.alert_deliveries (channel_id)
  where delivered_at is null and gave_up_at is null;
  end if;
end $guard$;
do $guard$
begin
  if to_regclass('milepost_private.alert_deliveries_by_channel') is null then
    create index alert_deliveries_by_channel on milepost_private.alert_deliveries (channel_id, created_at desc);
  end if;
end $guard$;
comment on table milepost_private.alert_deliveries is 'Messages to channels: what they say, how often it was tried, and how it ended. Kept for a week.';
comment on column milepost_private.alert_deliveries.due_at is 'When it is tried next. While somebody tries: when that counts as given up, and another may.';
comment on column milepost_private.alert_deliveries.lease_id is 'Who tries: only a result under this id counts.';
comment on column milepost_private.alert_deliveries.gave_up_at is 'When the last attempt had failed.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.alert_deliveries'::regclass) then
    alter table milepost_private.alert_deliveries enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.managed_tenants(array['admin']))))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.alert_deliveries'::regclass and polname = 'admins see how deliveries go') then
    create temporary table alert_deliveries (like milepost_private.alert_deliveries);
    execute 'create policy "admins see how deliveries go" on pg_temp.alert_deliveries ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.alert_deliveries'::regclass, 'pg_temp.alert_deliveries'::regclass)
          and polname = 'admins see how deliveries go') then
      drop table pg_temp.alert_deliveries;
      return;
    end if;
    drop table pg_temp.alert_deliveries;
    drop policy "admins see how deliveries go" on milepost_private.alert_deliveries;
  end if;
  execute 'create policy "admins see how deliveries go" on milepost_private.alert_deliveries ' || v_wanted;
end $guard$;
revoke all on milepost_private.alert_deliveries from public, anon, authenticated;
grant select on milepost_private.alert_deliveries to authenticated;
grant select, insert, update, delete on milepost_private.alert_deliveries to service_role;

-- ==== sql/schema/29_effort.sql

-- effort: which share of its work a job that counts by stages has behind it. Runs of its kind tell how much each stage is.
create or replace function milepost_private.effort(job milepost.jobs, shares jsonb)
returns double precision
language plpgsql
stable
set search_path = ''
as $$
declare
  v_effort double precision;
begin
  -- GUARD: it counts items of its own
  if not job.has_stages or job.counts_reported and job.items_total is not null then
    return null;
  end if;
  -- A stage that earlier runs did not have counts by its weight, one that has not been named yet by their share.
  select case when bool_and(s.percent is not null) then
           sum(s.share * s.percent) / nullif(sum(s.share) + (
             select coalesce(sum(o.value::double precision), 0) from jsonb_each_text(shares) as o
             where o.key <> all (array_agg(s.name))), 0) end
  into v_effort
  from (
    select x.name, milepost_private.stage_percent(x) as percent,
           coalesce((shares ->> x.name)::double precision, x.weight / nullif(sum(x.weight) over (), 0), 0) as share
    from milepost.stages x where x.job_id = job.job_id
  ) s;
  return round(v_effort::numeric, 6);
end;
$$;
comment on function milepost_private.effort(milepost.jobs, jsonb) is
'Percent of a job''s work that its stages have behind them, each by its share (by name) of the time of earlier runs, else by its weight. Null where the job counts items of its own, or a stage that runs is unknown.';
revoke execute on function milepost_private.effort(milepost.jobs, jsonb) from public, anon, authenticated;
grant execute on function milepost_private.effort(milepost.jobs, jsonb) to service_role;

-- ==== sql/schema/29_liveness_of.sql

-- liveness_of: is the job on time, late, stalled or lost? Only a job that is at work can be anything but on time.
create or replace function milepost_private.liveness_of(
  job   milepost.jobs,
  pulse milepost_private.pulses,
  kind  milepost_private.kinds,
  at    timestamptz
)
returns milepost_private.liveness_verdict
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_on_time  milepost_private.liveness_verdict;
  v_verdict  milepost_private.liveness_verdict;
  v_active_s double precision := milepost_private.active_clock(pulse.active_s, pulse.active_at, pulse.running, at);
  v_free_s   double precision;
begin
  -- GUARD: not at work, or waiting for a rate limit to end
  if job.state not in ('running', 'completing', 'pausing', 'canceling') or job.rate_limited_until > at then
    v_on_time.liveness := 'on_time';
    return v_on_time;
  end if;
  -- Silence during a rate limit was no fault of the worker's: it counts from the limit's end.
  if job.rate_limited_until is not null and not pulse.rhythm is null then
    v_free_s := v_active_s - extract(epoch from at - job.rate_limited_until);
    pulse.rhythm.risen_s := greatest((pulse.rhythm).risen_s, v_free_s);
    pulse.rhythm.high_s := greatest((pulse.rhythm).high_s, v_free_s);
  end if;
  v_verdict := milepost_private.rhythm_liveness(
    pulse.rhythm,
    v_active_s,
    extract(epoch from at - greatest(
      coalesce(job.last_checkpoint_at, job.attempt_started_at, job.created_at), job.rate_limited_until))::double precision,
    job.stall_after_ms / 1000.0,
    kind.rhythm);
  -- The deadline is a clock of its own: what passes it is late, however lively, and never reset for it.
  if v_verdict.liveness = 'on_time' and v_active_s * 1000 > job.processing_deadline_ms then
    v_verdict.liveness := 'late';
    v_verdict.reason := 'past_deadline';
  end if;
  return v_verdict;
end;
$$;
comment on function milepost_private.liveness_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) is
'The job''s liveness at the given time, with the threshold used and the reason.';
revoke execute on function milepost_private.liveness_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.liveness_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) to authenticated, service_role;

-- ==== sql/schema/29_measurements.sql

-- measurements and totals: what counters are made of. Writers only append, so that no two of them wait for each other; the
-- sweep adds what is older than five minutes up. A counter is a total and the measurements that are not in it yet: it never
-- falls, whichever instance answers, and whatever jobs are deleted.
create table if not exists milepost_private.measurements (
  tenant_id       uuid not null,
  measurement_id  bigint generated always as identity,
  measured_at     timestamptz not null default now(),
  kind            text,
  checkpoints     bigint,
  duration_ms     double precision,
  items_completed bigint,
  items_failed    bigint,
  items_skipped   bigint,
  items_canceled  bigint,
  bytes_processed bigint,
  ended           text,
  job_s           double precision,
  -- No foreign key: each request would lock the row of its tenant, which all the others lock too.
  constraint measurements_pkey primary key (tenant_id, measurement_id)
);
comment on table milepost_private.measurements is
'What happened within the last minutes: a recorded request (checkpoints, duration_ms), or a rise of a job''s counts or its end.';
comment on column milepost_private.measurements.kind is 'The job''s kind; null for a request, which may have several.';
comment on column milepost_private.measurements.duration_ms is 'How long the database had the request, in ms.';
comment on column milepost_private.measurements.items_completed is 'By how much it rose; likewise the other counts.';
comment on column milepost_private.measurements.ended is 'completed, failed or canceled, where the job ended.';
comment on column milepost_private.measurements.job_s is 'How long it had taken then on its active clock, in seconds.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.measurements'::regclass) then
    alter table milepost_private.measurements enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.measurements'::regclass and polname = 'members read their tenant''s measurements') then
    create temporary table measurements (like milepost_private.measurements);
    execute 'create policy "members read their tenant''s measurements" on pg_temp.measurements ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.measurements'::regclass, 'pg_temp.measurements'::regclass)
          and polname = 'members read their tenant''s measurements') then
      drop table pg_temp.measurements;
      return;
    end if;
    drop table pg_temp.measurements;
    drop policy "members read their tenant's measurements" on milepost_private.measurements;
  end if;
  execute 'create policy "members read their tenant''s measurements" on milepost_private.measurements ' || v_wanted;
end $guard$;
revoke all on milepost_private.measurements from public, anon, authenticated;
grant select on milepost_private.measurements to authenticated;
grant select, insert, update, delete on milepost_private.measurements to service_role;

-- buckets: how many of these values are at most each bound; the last counts all.
create or replace function milepost_private.buckets(measured double precision[], bounds double precision[])
returns bigint[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (select array_agg((select count(*) from unnest(measured) v where v <= b.bound) order by b.bound)
          from unnest(bounds || 'infinity'::double precision) as b (bound));
end;
$$;
comment on function milepost_private.buckets(double precision[], double precision[]) is
'A histogram as Prometheus counts it: for each bound the values that are at most it, and last of all their number.';
revoke execute on function milepost_private.buckets(double precision[], double precision[]) from public, anon, authenticated;
grant execute on function milepost_private.buckets(double precision[], double precision[]) to authenticated, service_role;

create or replace function milepost_private.added(a bigint[], b bigint[])
returns bigint[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (select array_agg(coalesce(u.x, 0) + coalesce(u.y, 0) order by u.n)
          from unnest(a, b) with ordinality as u (x, y, n));
end;
$$;
comment on function milepost_private.added(bigint[], bigint[]) is 'The sums of two arrays, place by place; null counts as nothing.';
revoke execute on function milepost_private.added(bigint[], bigint[]) from public, anon, authenticated;
grant execute on function milepost_private.added(bigint[], bigint[]) to authenticated, service_role;

-- histogram_bounds: of requests in ms, of jobs in seconds. Totals hold histograms of these: changing them changes history.
create or replace function milepost_private.ingest_bounds_ms()
returns double precision[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return array[1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000];
end;
$$;
create or replace function milepost_private.job_bounds_s()
returns double precision[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return array[1, 10, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200];
end;
$$;
comment on function milepost_private.ingest_bounds_ms() is 'Bounds of the histogram of requests, in ms.';
comment on function milepost_private.job_bounds_s() is 'Bounds of the histogram of jobs'' durations, in seconds.';
revoke execute on function milepost_private.ingest_bounds_ms(), milepost_private.job_bounds_s() from public, anon, authenticated;
grant execute on function milepost_private.ingest_bounds_ms(), milepost_private.job_bounds_s() to authenticated, service_role;

create table if not exists milepost_private.totals (
  tenant_id       uuid not null,
  kind            text not null,
  place           bigint not null,
  checkpoints     bigint not null default 0,
  ingest_ms       double precision not null default 0,
  ingest_buckets  bigint[],
  items_completed numeric not null default 0,
  items_failed    numeric not null default 0,
  items_skipped   numeric not null default 0,
  items_canceled  numeric not null default 0,
  bytes_processed numeric not null default 0,
  jobs_completed  bigint not null default 0,
  jobs_failed     bigint not null default 0,
  jobs_canceled   bigint not null default 0,
  job_s           double precision not null default 0,
  job_buckets     bigint[],
  constraint totals_pkey primary key (tenant_id, kind),
  constraint totals_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade
);
comment on table milepost_private.totals is
'Per kind, all that was ever measured: items by outcome, bytes, ended jobs and how long they took. Requests are under the kind ''''.';
comment on column milepost_private.totals.place is 'The number of its first measurement: kinds in the order in which they came up.';
comment on column milepost_private.totals.ingest_ms is 'How long the database had all requests, in ms.';
comment on column milepost_private.totals.ingest_buckets is 'Requests that took at most each of ingest_bounds_ms, and last of all their number.';
comment on column milepost_private.totals.job_s is 'How long all ended jobs took on their active clocks, in seconds.';
comment on column milepost_private.totals.job_buckets is 'Ended jobs that took at most each of job_bounds_s, and last of all their number.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.totals'::regclass) then
    alter table milepost_private.totals enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.totals'::regclass and polname = 'members read their tenant''s totals') then
    create temporary table totals (like milepost_private.totals);
    execute 'create policy "members read their tenant''s totals" on pg_temp.totals ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.totals'::regclass, 'pg_temp.totals'::regclass)
          and polname = 'members read their tenant''s totals') then
      drop table pg_temp.totals;
      return;
    end if;
    drop table pg_temp.totals;
    drop policy "members read their tenant's totals" on milepost_private.totals;
  end if;
  execute 'create policy "members read their tenant''s totals" on milepost_private.totals ' || v_wanted;
end $guard$;
revoke all on milepost_private.totals from public, anon, authenticated;
grant select on milepost_private.totals to authenticated;
grant select, insert, update, delete on milepost_private.totals to service_role;

-- measured: measurements added up as totals are.
create or replace function milepost_private.measured(before timestamptz)
returns setof milepost_private.totals
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select m.tenant_id, coalesce(m.kind, ''), min(m.measurement_id), coalesce(sum(m.checkpoints), 0)::bigint, coalesce(sum(m.duration_ms), 0),
         milepost_private.buckets(array_agg(m.duration_ms) filter (where m.duration_ms is not null), milepost_private.ingest_bounds_ms()),
         coalesce(sum(m.items_completed), 0), coalesce(sum(m.items_failed), 0),
         coalesce(sum(m.items_skipped), 0), coalesce(sum(m.items_canceled), 0), coalesce(sum(m.bytes_processed), 0),
         count(*) filter (where m.ended = 'completed'), count(*) filter (where m.ended = 'failed'),
         count(*) filter (where m.ended = 'canceled'), coalesce(sum(m.job_s), 0),
         milepost_private.buckets(array_agg(m.job_s) filter (where m.job_s is not null), milepost_private.job_bounds_s())
  from milepost_private.measurements m
  where m.measured_at < before
  group by m.tenant_id, m.kind;
end;
$$;
comment on function milepost_private.measured(timestamptz) is 'Measurements before this moment that are not in the totals yet, added up per kind.';
revoke execute on function milepost_private.measured(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.measured(timestamptz) to authenticated, service_role;

-- roll_up_measurements: moves measurements into the totals. One statement, so that each is in one of the two at any moment.
create or replace function milepost_private.roll_up_measurements(before timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- GUARD: another sweep is at it
  if not pg_try_advisory_xact_lock(hashtextextended('milepost_private.totals', 0)) then
    return;
  end if;
  with gone as (
    delete from milepost_private.measurements m where m.measured_at < roll_up_measurements.before
  )
  insert into milepost_private.totals as t
  select m.* from milepost_private.measured(roll_up_measurements.before) m
  where exists (select from milepost.tenants n where n.tenant_id = m.tenant_id)  -- those of a tenant that is gone go, too
  on conflict on constraint totals_pkey do update set
    checkpoints = t.checkpoints + excluded.checkpoints, ingest_ms = t.ingest_ms + excluded.ingest_ms,
    ingest_buckets = milepost_private.added(t.ingest_buckets, excluded.ingest_buckets),
    items_completed = t.items_completed + excluded.items_completed, items_failed = t.items_failed + excluded.items_failed,
    items_skipped = t.items_skipped + excluded.items_skipped, items_canceled = t.items_canceled + excluded.items_canceled,
    bytes_processed = t.bytes_processed + excluded.bytes_processed,
    jobs_completed = t.jobs_completed + excluded.jobs_completed, jobs_failed = t.jobs_failed + excluded.jobs_failed,
    jobs_canceled = t.jobs_canceled + excluded.jobs_canceled, job_s = t.job_s + excluded.job_s,
    job_buckets = milepost_private.added(t.job_buckets, excluded.job_buckets);
end;
$$;
comment on function milepost_private.roll_up_measurements(timestamptz) is 'Moves measurements before this moment into the totals.';
revoke execute on function milepost_private.roll_up_measurements(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.roll_up_measurements(timestamptz) to service_role;

-- measure_job: a job's counts rose, or it ended.
create or replace function milepost_private.measure_job()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_ends boolean := old.finished_at is null and new.finished_at is not null;
begin
  insert into milepost_private.measurements (tenant_id, kind, items_completed, items_failed, items_skipped, items_canceled,
    bytes_processed, ended, job_s)
  values (new.tenant_id, new.kind, greatest(new.items_completed - old.items_completed, 0), greatest(new.items_failed - old.items_failed, 0),
    greatest(new.items_skipped - old.items_skipped, 0), greatest(new.items_canceled - old.items_canceled, 0),
    greatest(new.bytes_processed - old.bytes_processed, 0), case when v_ends then new.state end,
    case when v_ends then (
      select milepost_private.active_clock(p.active_s, p.active_at, p.running, new.finished_at)
      from milepost_private.pulses p where p.job_id = new.job_id) end);
  return null;
end;
$$;
comment on function milepost_private.measure_job() is 'Measures by how much a job''s counts rose, and its end. What an attempt does again counts again.';
revoke execute on function milepost_private.measure_job() from public, anon, authenticated;

do $guard$
declare
  v_wanted constant text := $wanted$for each row when (new.items_completed > old.items_completed or new.items_failed > old.items_failed
    or new.items_skipped > old.items_skipped or new.items_canceled > old.items_canceled
    or new.bytes_processed > old.bytes_processed or old.finished_at is null and new.finished_at is not null)
  execute function milepost_private.measure_job()$wanted$;
begin
  if exists (select from pg_catalog.pg_trigger
             where tgrelid = 'milepost.jobs'::regclass and tgname = 'job_is_measured') then
    create temporary table jobs (like milepost.jobs);
    execute 'create trigger job_is_measured after update on pg_temp.jobs ' || v_wanted;
    if (select count(distinct row(tgenabled, regexp_replace(pg_get_triggerdef(oid), ' ON \S+ ', ' '))) = 1
        from pg_catalog.pg_trigger
        where tgrelid in ('milepost.jobs'::regclass, 'pg_temp.jobs'::regclass)
          and tgname = 'job_is_measured') then
      drop table pg_temp.jobs;
      return;
    end if;
    drop table pg_temp.jobs;
  end if;
  execute 'create or replace trigger job_is_measured after update on milepost.jobs ' || v_wanted;
end $guard$;

-- ==== sql/schema/29_predictions.sql

-- predictions: what was said of a job's remaining time when it first reached each tenth of its progress.
create table if not exists milepost_private.predictions (
  job_id      uuid not null,
  tenth       smallint not null,
  active_s    double precision not null,
  said_at     timestamptz not null,
  remaining_s double precision,
  low_s       double precision,
  high_s      double precision,
  constraint predictions_pkey primary key (job_id, tenth),
  constraint predictions_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade,
  constraint tenth_is_one_of_ten check (tenth between 0 and 9)
);
comment on table milepost_private.predictions is 'Per job and tenth of its progress: the active clock, and what was predicted to remain.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.predictions'::regclass) then
    alter table milepost_private.predictions enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (exists (select from milepost.jobs j where j.job_id = predictions.job_id))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.predictions'::regclass and polname = 'members read predictions of jobs they see') then
    create temporary table predictions (like milepost_private.predictions);
    execute 'create policy "members read predictions of jobs they see" on pg_temp.predictions ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.predictions'::regclass, 'pg_temp.predictions'::regclass)
          and polname = 'members read predictions of jobs they see') then
      drop table pg_temp.predictions;
      return;
    end if;
    drop table pg_temp.predictions;
    drop policy "members read predictions of jobs they see" on milepost_private.predictions;
  end if;
  execute 'create policy "members read predictions of jobs they see" on milepost_private.predictions ' || v_wanted;
end $guard$;
revoke all on milepost_private.predictions from public, anon, authenticated;
grant select on milepost_private.predictions to authenticated;
grant select, insert, update, delete on milepost_private.predictions to service_role;

-- eta_scores: how right these were, once the job was done.
create table if not exists milepost_private.eta_scores (
  job_id    uuid not null,
  tenth     smallint not null,
  tenant_id uuid not null,
  kind      text not null,
  log_error double precision not null,
  covered   boolean,
  width     double precision,
  scored_at timestamptz not null default now(),
  constraint eta_scores_pkey primary key (job_id, tenth),
  constraint eta_scores_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade
);
do $guard$
begin
  if to_regclass('milepost_private.eta_scores_by_kind') is null then
    create index eta_scores_by_kind on milepost_private.eta_scores (tenant_id, kind);
  end if;
end $guard$;
comment on table milepost_private.eta_scores is 'ln(predicted / true) of each prediction of completed jobs, whether the range held the truth, and how wide it was.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.eta_scores'::regclass) then
    alter table milepost_private.eta_scores enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.eta_scores'::regclass and polname = 'members read how right predictions were') then
    create temporary table eta_scores (like milepost_private.eta_scores);
    execute 'create policy "members read how right predictions were" on pg_temp.eta_scores ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.eta_scores'::regclass, 'pg_temp.eta_scores'::regclass)
          and polname = 'members read how right predictions were') then
      drop table pg_temp.eta_scores;
      return;
    end if;
    drop table pg_temp.eta_scores;
    drop policy "members read how right predictions were" on milepost_private.eta_scores;
  end if;
  execute 'create policy "members read how right predictions were" on milepost_private.eta_scores ' || v_wanted;
end $guard$;
revoke all on milepost_private.eta_scores from public, anon, authenticated;
grant select on milepost_private.eta_scores to authenticated;
grant select, insert, update, delete on milepost_private.eta_scores to service_role;

-- ==== sql/schema/29_shares.sql

-- shares: links by which anybody may follow one job, until they expire or are revoked (then the
-- row is gone). Only the token's hash is kept.
create table if not exists milepost_private.shares (
  share_id   uuid not null default gen_random_uuid(),
  job_id     uuid not null,
  token_hash text not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  constraint shares_pkey primary key (share_id),
  constraint shares_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade,
  constraint share_token_hash_is_unique unique (token_hash),
  constraint share_token_hash_is_sha256 check (token_hash ~ '^[0-9a-f]{64}$'),
  constraint a_share_ends check (expires_at <= created_at + interval '366 days')
);
do $guard$
begin
  if to_regclass('milepost_private.shares_by_job') is null then
    create index shares_by_job on milepost_private.shares (job_id, created_at);
  end if;
end $guard$;

comment on table milepost_private.shares is 'Share links: a read-only view of one job for who has the token. Expiring, revocable.';
comment on column milepost_private.shares.share_id is 'Its id, to revoke it by; opens nothing.';
comment on column milepost_private.shares.job_id is 'The one job that it shows.';
comment on column milepost_private.shares.token_hash is 'sha256 of the token, hex.';
comment on column milepost_private.shares.created_by is 'Who made it: user:<id> or key:<id>.';
comment on column milepost_private.shares.created_at is 'When it was made.';
comment on column milepost_private.shares.expires_at is 'Until when it holds.';

do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.shares'::regclass) then
    alter table milepost_private.shares enable row level security;
  end if;
end $guard$;
revoke all on milepost_private.shares from public, anon, authenticated;
grant select, insert, update, delete on milepost_private.shares to service_role;

-- ==== sql/schema/29_silence_in_words.sql

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

-- ==== sql/schema/29_tally.sql

-- tally: what a job's counts come to.
do $$ begin
  if to_regtype('milepost_private.tally') is null then
    create type milepost_private.tally as (
      total double precision, settled double precision, work double precision, pending double precision, percent double precision
    );
  end if;
end $$;
comment on type milepost_private.tally is
'Total, settled items, work (settled, but not skipped), pending items and percent of a job; null where unknown.';

create or replace function milepost_private.tally_of(job milepost.jobs)
returns milepost_private.tally
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_own     boolean := job.counts_reported or not job.has_stages;
  v_settled numeric := job.items_completed::numeric + job.items_failed + job.items_skipped + job.items_canceled;
  v_total   numeric := case when v_own then job.items_total else coalesce(job.stages_total, job.items_total) end;
  v_percent double precision;
begin
  if v_total is null and job.state = 'completed' then
    v_total := v_settled;
  end if;
  -- A total that was exceeded was too small: it is at least what has been settled.
  if v_total < v_settled then
    v_total := v_settled;
  end if;
  v_percent := case
    -- Stages that ended without counts say nothing of what the job's own counts leave open or failed.
    when job.has_stages and (not v_own or v_total is null) then
      case when job.stages_percent = 100 and (v_total > v_settled or greatest(job.items_failed, job.items_canceled) > 0) then 99.9999
           else job.stages_percent end
    else milepost_private.percent(job.items_completed, job.items_skipped, v_total) end;
  return row(v_total, v_settled, v_settled - job.items_skipped, v_total - v_settled, v_percent)::milepost_private.tally;
end;
$$;
comment on function milepost_private.tally_of(milepost.jobs) is
'Total, settled, work, pending and percent of a job. A job with stages and no counts of its own has its stages''.';
revoke execute on function milepost_private.tally_of(milepost.jobs) from public, anon, authenticated;
grant execute on function milepost_private.tally_of(milepost.jobs) to authenticated, service_role;

-- ==== sql/schema/29_trend.sql

-- trend_of: is this run slower, more erroneous or larger than its kind's runs were at the same progress? docs/health.md tells the rule.
do $$ begin
  if to_regtype('milepost_private.trend') is null then
    create type milepost_private.trend as (
      slower       float8,  -- how many times as long as usual it took to get this far; null where that is usual or unknown
      spent_s      float8,  -- active seconds it took
      usual_s      float8,  -- active seconds that are usual
      failed_share float8,  -- share of its settled items that failed; null where that is usual or unknown
      usual_failed float8,  -- share that is usual
      larger       float8,  -- how many times as many items as usual; null where that is usual or unknown
      usual_items  float8,
      runs         int      -- runs that this was learnt from
    );
  end if;
end $$;
comment on type milepost_private.trend is 'In what a run is out of the ordinary of its kind, with both figures; null where it is not, or nothing is known.';

create or replace function milepost_private.trend_of(
  job   milepost.jobs,
  pulse milepost_private.pulses,
  kind  milepost_private.kinds,
  tally milepost_private.tally
)
returns milepost_private.trend
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_trend     milepost_private.trend;
  v_by_stages boolean := job.has_stages and (not job.counts_reported or tally.total is null) and (pulse.effort).done is not null;
  v_reached   float8;
  v_begun     float8;
  v_expected  float8;
  v_usual     float8;
begin
  -- GUARD: no history to speak of, or no progress
  if coalesce((kind.pace).runs, 0) < 3 then
    return v_trend;
  end if;
  v_trend.runs := (kind.pace).runs;

  -- SLOWER: the time of its last advance, since silence after it is liveness' business, beside what was usual for the way there.
  if v_by_stages then
    v_reached := (pulse.effort).done / 100;
    v_trend.spent_s := case when job.finished_at is null then (pulse.effort).moved_s else pulse.active_s end;
    v_trend.usual_s := exp((kind.pace).ln_duration) * v_reached;
    v_usual := (kind.pace).ln_duration_var;
  elsif tally.total > 0 and (kind.pace).ln_cost is not null then
    v_reached := tally.settled / tally.total;
    v_trend.spent_s := case when job.finished_at is null then (pulse.pace).moved_s else pulse.active_s end;
    -- What was done before it was tracked took no time here; what a retry did twice took it twice.
    v_begun := greatest(v_reached - (pulse.pace).work / tally.total, 0);
    v_trend.usual_s := exp((kind.pace).ln_cost) * (greatest((pulse.pace).work - tally.settled, 0)
      + tally.total * (milepost_private.pace_share((kind.pace).shape, v_reached) - milepost_private.pace_share((kind.pace).shape, v_begun)));
    v_usual := (kind.pace).ln_cost_var;
  end if;
  if v_reached >= 0.05 and v_trend.usual_s > 0 and v_trend.spent_s > 0
    and ln(v_trend.spent_s / v_trend.usual_s) > greatest(ln(1.5::float8), 2 * sqrt(v_usual + 0.02 / v_reached)) then
    v_trend.slower := v_trend.spent_s / v_trend.usual_s;
  end if;

  if (kind.trend).runs >= 3 then
    -- MORE ERRORS than twice what is usual, and than chance would have three times in a thousand.
    v_expected := greatest((kind.trend).failed_share, 0.001) * tally.settled;
    if job.items_failed >= 3 and job.items_failed > 2 * v_expected + 3 * sqrt(v_expected) then
      v_trend.failed_share := job.items_failed / tally.settled;
      v_trend.usual_failed := (kind.trend).failed_share;
    end if;
    if tally.total > 0 and ln(tally.total) - (kind.trend).ln_items > greatest(ln(1.5::float8), 2 * sqrt((kind.trend).ln_items_var)) then
      v_trend.usual_items := exp((kind.trend).ln_items);
      v_trend.larger := tally.total / v_trend.usual_items;
    end if;
  end if;
  return v_trend;
end;
$$;
comment on function milepost_private.trend_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, milepost_private.tally) is
'In what a run is out of the ordinary of its kind at the same progress. Null where it is not, or the kind has fewer than three completed runs.';
revoke execute on function milepost_private.trend_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, milepost_private.tally) from public, anon, authenticated;
grant execute on function milepost_private.trend_of(milepost.jobs, milepost_private.pulses, milepost_private.kinds, milepost_private.tally) to authenticated, service_role;

-- ==== sql/schema/30_figures.sql

-- figures: everything about a job that is computed: a pure function of (its rows, at).
do $$ begin
  if to_regtype('milepost_private.figures') is null then
    create type milepost_private.figures as (
      percent_complete   double precision,
      items_total        bigint,
      items_pending      bigint,
      work_done          double precision,
      rate_per_s         double precision,
      bytes_per_s        double precision,
      average_duration_ms_per_item double precision,
      eta_ms             bigint,
      eta_low_ms         bigint,
      eta_high_ms        bigint,
      estimated_completion_at timestamptz,
      eta_reason         text,
      liveness           text,
      liveness_reason    text,
      threshold_s        double precision,
      health             text,
      time_to_start_ms   bigint,
      time_processing_ms bigint,
      rate_limited       boolean
    );
  end if;
end $$;
comment on type milepost_private.figures is 'What is computed of a job at one moment.';

create or replace function milepost_private.figures(
  job   milepost.jobs,
  pulse milepost_private.pulses,
  kind  milepost_private.kinds,
  at    timestamptz
)
returns milepost_private.figures
language plpgsql
immutable
set search_path = ''
as $$
declare
  f          milepost_private.figures;
  t          milepost_private.tally := milepost_private.tally_of(job);
  v_active_s double precision;
  v_pace     milepost_private.pace := pulse.pace;
  v_history  milepost_private.kind_pace := kind.pace;
  v_pending  double precision := t.pending;
  v_fraction double precision := t.settled / nullif(t.total, 0);
  v_estimate milepost_private.estimate;
  v_verdict  milepost_private.liveness_verdict;
  v_wait_s   double precision;
  v_pace_s   double precision;
  v_trend    milepost_private.trend;
begin
  f.percent_complete := t.percent;
  f.items_total := case when t.total is not null then least(t.total::numeric, 9223372036854775807) end;  -- least() skips nulls
  f.items_pending := case when t.pending is not null then least(t.pending::numeric, 9223372036854775807) end;
  f.work_done := t.work;

  v_active_s := coalesce(milepost_private.active_clock(pulse.active_s, pulse.active_at, pulse.running, at), 0);
  f.time_to_start_ms := extract(epoch from job.started_at - job.created_at) * 1000;
  f.time_processing_ms := case when job.started_at is not null then v_active_s * 1000 end;
  f.rate_limited := coalesce(job.rate_limited_until > at, false) and job.finished_at is null;
  v_wait_s := case when f.rate_limited then extract(epoch from job.rate_limited_until - at) else 0 end;
  f.rate_per_s := milepost_private.pace_rate(pulse.pace, v_active_s);
  -- What was done before it was tracked says nothing of its speed.
  if job.finished_at is not null then
    f.rate_per_s := case when (v_pace).work > 0 and v_active_s > 0 then (v_pace).work / v_active_s end;
  end if;
  f.bytes_per_s := case when job.bytes_processed > 0 and v_active_s > 0 then job.bytes_processed / v_active_s end;
  f.average_duration_ms_per_item := case when (v_pace).work > 0 and v_active_s > 0 then v_active_s * 1000 / (v_pace).work end;

  v_verdict := milepost_private.liveness_of(job, pulse, kind, at);
  f.liveness := v_verdict.liveness;
  f.liveness_reason := v_verdict.reason;
  f.threshold_s := v_verdict.threshold_s;

  -- A job that counts by stages is estimated by their percent. It has no shape beside what its stages' shares tell, and no cost
  -- per item, since an item of one stage is not one of another.
  if job.has_stages and (not job.counts_reported or t.total is null) and t.percent is not null and (pulse.effort).done is not null then
    v_pace := pulse.effort;
    v_pending := 100 - v_pace.done;
    v_fraction := v_pace.done / 100;
    v_history.shape := null;
    v_history.costed_runs := 0;
  end if;

  f.eta_reason := case
    when job.finished_at is not null or v_pending = 0 then 'finished'
    when job.state in ('pending', 'retrying') then 'not_started'
    when job.state = 'paused' then 'paused'
    when f.liveness in ('stalled', 'lost') then 'stalled' end;
  if f.eta_reason is null then
    -- The wait for a rate limit is added as a whole, so it is no silence as well.
    v_pace_s := v_active_s;
    if pulse.running and job.rate_limited_until > pulse.active_at then
      v_pace_s := v_pace_s - greatest(extract(epoch from least(at, job.rate_limited_until) - pulse.active_at), 0);
    end if;
    v_estimate := milepost_private.pace_estimate_lanes(
      milepost_private.pace_estimate(v_pace, v_pace_s, v_pending, v_history, v_fraction), pulse.last_lane, v_pace_s);
    if v_estimate.remaining_s is null then
      f.eta_reason := case when f.rate_limited then 'rate_limited'
                           when v_pending is null then 'no_total' else 'no_progress' end;
    else
      f.eta_ms := least((v_estimate.remaining_s + v_wait_s) * 1000, 1e15);
      f.eta_low_ms := least((v_estimate.low_s + v_wait_s) * 1000, 1e15);
      f.eta_high_ms := least((v_estimate.high_s + v_wait_s) * 1000, 1e15);
      f.estimated_completion_at := at + least(v_estimate.remaining_s + v_wait_s, 1e11) * interval '1 second';
    end if;
  end if;

  v_trend := milepost_private.trend_of(job, pulse, kind, t);
  f.health := case
    when job.state = 'failed' or f.liveness in ('stalled', 'lost') then 'poor'
    when job.items_failed > 0.2 * t.settled or v_trend.slower >= 4 then 'poor'
    when f.liveness = 'late' or job.items_failed > 0.05 * t.settled or v_trend.slower is not null or v_trend.failed_share is not null then 'fair'
    when job.items_failed > 0 or job.attempt > 1 then 'good'
    else 'excellent' end;
  return f;
end;
$$;
comment on function milepost_private.figures(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) is
'Percent, rate, ETA with its range, liveness and health of a job at the given time. Reads nothing but its arguments.';
revoke execute on function milepost_private.figures(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.figures(milepost.jobs, milepost_private.pulses, milepost_private.kinds, timestamptz) to authenticated, service_role;

-- ==== sql/schema/30_ingest_latency.sql

-- ingest_latency: how long the database has had the latest requests of a tenant.
create or replace function milepost_private.ingest_latency(tenant_id uuid, at timestamptz, window_s int)
returns table (requests bigint, p50_ms double precision, p95_ms double precision, p99_ms double precision)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select count(*), percentile_cont(0.5) within group (order by l.duration_ms),
         percentile_cont(0.95) within group (order by l.duration_ms), percentile_cont(0.99) within group (order by l.duration_ms)
  from (
    select m.duration_ms, m.measured_at from milepost_private.measurements m
    where m.tenant_id = ingest_latency.tenant_id and m.duration_ms is not null
    order by m.measurement_id desc limit 1000
  ) l
  where l.measured_at > ingest_latency.at - ingest_latency.window_s * interval '1 second' and l.measured_at <= ingest_latency.at;
end;
$$;
comment on function milepost_private.ingest_latency(uuid, timestamptz, int) is
'Of the last thousand requests, those within the window before at: their number, and half, 95 and 99 of a hundred took at most so many ms.';
revoke execute on function milepost_private.ingest_latency(uuid, timestamptz, int) from public, anon, authenticated;
grant execute on function milepost_private.ingest_latency(uuid, timestamptz, int) to authenticated, service_role;

-- ==== sql/schema/31_iso.sql

-- iso: how times are written in JSON.
create or replace function milepost_private.iso(ts timestamptz)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return to_char(ts at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
end;
$$;
comment on function milepost_private.iso(timestamptz) is 'RFC 3339, UTC, milliseconds.';
revoke execute on function milepost_private.iso(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.iso(timestamptz) to authenticated, service_role;

-- ==== sql/schema/32_progress_fields.sql

-- progress_fields: the part of a job that a progress event carries.
create or replace function milepost_private.progress_fields(job milepost.jobs, f milepost_private.figures)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'job', job.key, 'kind', job.kind, 'name', job.name, 'unit', job.unit,
    'state', job.state, 'attempt', job.attempt, 'liveness', f.liveness, 'health', f.health,
    'percent_complete', f.percent_complete, 'items_total', f.items_total, 'items_completed', job.items_completed,
    'items_failed', job.items_failed, 'items_skipped', job.items_skipped, 'items_canceled', job.items_canceled,
    'items_pending', f.items_pending, 'bytes_processed', job.bytes_processed,
    'rate_per_s', f.rate_per_s, 'bytes_per_s', f.bytes_per_s,
    'eta_ms', f.eta_ms, 'eta_low_ms', f.eta_low_ms, 'eta_high_ms', f.eta_high_ms,
    'estimated_completion_at', milepost_private.iso(f.estimated_completion_at), 'eta_reason', f.eta_reason,
    'time_processing_ms', f.time_processing_ms, 'rate_limited', f.rate_limited, 'message', job.message,
    'last_checkpoint_at', milepost_private.iso(job.last_checkpoint_at));
end;
$$;
comment on function milepost_private.progress_fields(milepost.jobs, milepost_private.figures) is
'A job''s progress as job.progress and the terminal events carry it.';
revoke execute on function milepost_private.progress_fields(milepost.jobs, milepost_private.figures) from public, anon, authenticated;
grant execute on function milepost_private.progress_fields(milepost.jobs, milepost_private.figures) to service_role;

-- ==== sql/schema/33_job_by_ref.sql

-- job_by_ref: a job by what a client calls it: its uuid, else its key.
create or replace function milepost_private.job_by_ref(tenant_id uuid, job text)
returns setof milepost.jobs
language plpgsql
stable
rows 1
set search_path = ''
as $$
begin
  return query
  select j.* from milepost.jobs j
  where j.tenant_id = job_by_ref.tenant_id and j.key = job_by_ref.job and not pg_input_is_valid(job_by_ref.job, 'uuid')
  union all
  select j.* from milepost.jobs j
  where pg_input_is_valid(job_by_ref.job, 'uuid') and j.tenant_id = job_by_ref.tenant_id
    and j.job_id = (case when pg_input_is_valid(job_by_ref.job, 'uuid') then job_by_ref.job end)::uuid;
end;
$$;
comment on function milepost_private.job_by_ref(uuid, text) is
'The tenant''s job with this uuid, or, if the text is no uuid, with this key.';
revoke execute on function milepost_private.job_by_ref(uuid, text) from public, anon, authenticated;
grant execute on function milepost_private.job_by_ref(uuid, text) to authenticated, service_role;

-- ==== sql/schema/33_jobs_by_refs.sql

-- jobs_by_refs: jobs by what a client calls them: by uuid, else by key.
create or replace function milepost_private.jobs_by_refs(tenant_id uuid, refs text[])
returns uuid[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array(
    select case when pg_input_is_valid(r.job, 'uuid')
      then (select j.job_id from milepost.jobs j where j.job_id = r.job::uuid and j.tenant_id = jobs_by_refs.tenant_id)
      else (select j.job_id from milepost.jobs j where j.tenant_id = jobs_by_refs.tenant_id and j.key = r.job) end
    from unnest(refs) with ordinality as r (job, n) order by r.n);
end;
$$;
comment on function milepost_private.jobs_by_refs(uuid, text[]) is
'The tenant''s jobs with these uuids or, where a text is no uuid, these keys, in the same order; null where there is none.';
revoke execute on function milepost_private.jobs_by_refs(uuid, text[]) from public, anon, authenticated;
grant execute on function milepost_private.jobs_by_refs(uuid, text[]) to service_role;

-- ==== sql/schema/34_add_job.sql

-- add_job: a new row for a key that has none. Returns nothing where another request was first.
create or replace function milepost_private.add_job(tenant_id uuid, job jsonb, at timestamptz)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job_id uuid;
begin
  with added as (
    insert into milepost.jobs as n (tenant_id, key, kind, name, unit, owner_id, priority, max_attempts, items_total,
      items_total_given, workers_expected, stall_after_ms, processing_deadline_ms, retry_backoff_ms, metadata,
      created_at, run_after, state_changed_at)
    select add_job.tenant_id, r.job, coalesce(r.kind, 'default'), coalesce(r.name, r.job), coalesce(r.unit, 'items'), r.owner_id,
           coalesce(r.priority, 0), coalesce(r.max_attempts, 3), r.items_total, r.items_total, r.workers_expected,
           r.stall_after_ms, r.processing_deadline_ms, coalesce(r.retry_backoff_ms, 10000),
           -- To the millisecond, which is what clients see: they sort a list as the database does.
           coalesce(nullif(r.metadata, 'null'), '{}'), date_trunc('milliseconds', add_job.at), r.run_after, add_job.at
    from jsonb_to_record(add_job.job) as r (job text, kind text, name text, unit text, owner_id uuid, priority int,
      max_attempts int, items_total bigint, workers_expected int, stall_after_ms bigint, processing_deadline_ms bigint,
      retry_backoff_ms bigint, metadata jsonb, run_after timestamptz)
    on conflict on constraint job_key_is_unique_in_its_tenant do nothing
    returning n.job_id, n.tenant_id
  ), pulse as (
    insert into milepost_private.pulses (job_id, tenant_id, active_at)
    select a.job_id, a.tenant_id, add_job.at from added a
  ), stages as (
    insert into milepost.stages (tenant_id, job_id, name, position, weight, items_total, items_total_given)
    select a.tenant_id, a.job_id, s.value ->> 'name', row_number() over (order by s.n),
           coalesce((s.value ->> 'weight')::double precision, 1), (s.value ->> 'items_total')::bigint,
           (s.value ->> 'items_total')::bigint
    from added a, jsonb_array_elements(nullif(add_job.job -> 'stages', 'null')) with ordinality as s (value, n)
    on conflict do nothing
  )
  select a.job_id into v_job_id from added a;
  return v_job_id;
end;
$$;
comment on function milepost_private.add_job(uuid, jsonb, timestamptz) is
'Inserts a job with its pulse and stages from a body of POST /v1/jobs; null if the key exists.';
revoke execute on function milepost_private.add_job(uuid, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.add_job(uuid, jsonb, timestamptz) to service_role;

-- ==== sql/schema/35_check_range.sql

-- check_range: a range of time ends after it begins.
create or replace function milepost_private.check_range(since timestamptz, until timestamptz)
returns void
language plpgsql
stable
set search_path = ''
as $$
begin
  -- GUARD: backwards
  if since >= until then
    perform milepost_private.refuse(422, 'invalid_value',
      format('Expected `since` before `until`; found %s and %s.', milepost_private.iso(since), milepost_private.iso(until)),
      'Exchange the two, or leave one out.');
  end if;
end;
$$;
comment on function milepost_private.check_range(timestamptz, timestamptz) is 'Refuses with invalid_value where since is not before until.';
revoke execute on function milepost_private.check_range(timestamptz, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.check_range(timestamptz, timestamptz) to authenticated, service_role;

-- ==== sql/schema/35_check_text.sql

-- check_name, check_reason: what people type, within the limits that the functions' models have too.
create or replace function milepost_private.check_name(field text, value text)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if value = '' then
    perform milepost_private.refuse(422, 'too_short', format('%s: expected at least 1 character, found none.', field),
      'Send a text, or leave the field out.');
  elsif length(value) > 200 then
    perform milepost_private.refuse(422, 'too_long', format('%s: expected at most 200 characters, found %s.', field, length(value)), 'Shorten it.');
  elsif value ~ '[\u0001-\u001f\u007f-\u009f]' then
    perform milepost_private.refuse(422, 'invalid_value', format('%s: expected text without control characters.', field),
      'Remove line breaks and control characters.');
  end if;
end;
$$;
comment on function milepost_private.check_name(text, text) is
'Refuses a name that is empty, longer than 200 characters, or has control characters; null is none.';
revoke execute on function milepost_private.check_name(text, text) from public, anon, authenticated;
grant execute on function milepost_private.check_name(text, text) to authenticated, service_role;

create or replace function milepost_private.check_reason(reason text)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if length(reason) > 2000 then
    perform milepost_private.refuse(422, 'too_long', format('reason: expected at most 2000 characters, found %s.', length(reason)), 'Shorten it.');
  end if;
end;
$$;
comment on function milepost_private.check_reason(text) is 'Refuses a reason of more than 2,000 characters; null is none.';
revoke execute on function milepost_private.check_reason(text) from public, anon, authenticated;
grant execute on function milepost_private.check_reason(text) to authenticated, service_role;

-- ==== sql/schema/35_error_pattern.sql

-- error_pattern: what is the same in errors that differ by numbers, names and places.
create or replace function milepost_private.error_pattern(error text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_lines text[] := regexp_split_to_array(btrim(left(error, 8000), E' \n\r\t'), '\s*\n\s*');
  -- A Python traceback says in its last line what went wrong, everything else in its first.
  v_text  text := left(case when v_lines[1] like 'Traceback (most recent call last)%' then v_lines[cardinality(v_lines)] else v_lines[1] end, 400);
begin
  v_text := regexp_replace(v_text, '[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}', '<uuid>', 'gi');
  v_text := regexp_replace(v_text, '"[^"]*"|`[^`]*`', '<text>', 'g');
  -- The apostrophe of "can't" quotes nothing: a quotation does not begin within a word.
  v_text := regexp_replace(v_text, '(^|[^[:alnum:]])''[^'']*''', '\1<text>', 'g');
  v_text := regexp_replace(v_text, '[a-z][a-z0-9+.-]*://[^[:space:]<>]+', '<url>', 'gi');
  v_text := regexp_replace(v_text, '(^|[[:space:](=:,\[])((~|\.{1,2}|[a-z]:)?[/\\][^[:space:],;:)\]]+|[[:alnum:]_.-]+(/[[:alnum:]_.-]+)+\.[[:alnum:]]+)', '\1<path>', 'gi');
  v_text := regexp_replace(v_text, '0x[0-9a-f]+', '<n>', 'gi');
  v_text := regexp_replace(v_text, '\m(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{12,}\M', '<n>', 'gi');
  -- Dates, times, versions and addresses are numbers too.
  v_text := regexp_replace(v_text, '[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9:]+)?)?', '<n>', 'g');
  v_text := regexp_replace(v_text, '[0-9]+([.,:][0-9]+)*', '<n>', 'g');
  return left(regexp_replace(v_text, '\s+', ' ', 'g'), 200);
end;
$$;
comment on function milepost_private.error_pattern(text) is
'An error''s text with <uuid>, <text>, <url>, <path> and <n> in place of what differs from one occurrence to the next; of many lines, the one that says what went wrong. At most 200 characters.';
revoke execute on function milepost_private.error_pattern(text) from public, anon, authenticated;
grant execute on function milepost_private.error_pattern(text) to authenticated, service_role;

-- ==== sql/schema/36_lane_counts.sql

-- lane_counts, lane_work: what a lane has done, by whatever it counts.
create or replace function milepost_private.lane_counts(l milepost.lanes)
returns milepost.lanes
language plpgsql
stable
set search_path = ''
as $$
begin
  -- A lane that counts by stage only has its stages' sums.
  if l.items_completed = 0 and l.items_failed = 0 and l.items_skipped = 0 and l.items_canceled = 0 then
    select least(coalesce(sum(x.items_completed), 0), 9223372036854775807),
           least(coalesce(sum(x.items_failed), 0), 9223372036854775807),
           least(coalesce(sum(x.items_skipped), 0), 9223372036854775807),
           least(coalesce(sum(x.items_canceled), 0), 9223372036854775807),
           least(greatest(coalesce(sum(x.bytes_processed), 0), l.bytes_processed), 9223372036854775807)
    into l.items_completed, l.items_failed, l.items_skipped, l.items_canceled, l.bytes_processed
    from milepost_private.stage_lanes x where x.job_id = l.job_id and x.worker = l.worker;
  end if;
  return l;
end;
$$;
comment on function milepost_private.lane_counts(milepost.lanes) is 'The lane with its counts, which are its stages'' where it has none of its own.';
revoke execute on function milepost_private.lane_counts(milepost.lanes) from public, anon, authenticated;
grant execute on function milepost_private.lane_counts(milepost.lanes) to authenticated, service_role;

create or replace function milepost_private.lane_work(l milepost.lanes)
returns double precision
language plpgsql
stable
set search_path = ''
as $$
begin
  l := milepost_private.lane_counts(l);
  return l.items_completed::double precision + l.items_failed + l.items_canceled;
end;
$$;
comment on function milepost_private.lane_work(milepost.lanes) is 'Items that the lane has settled by work, which skipping is not.';
revoke execute on function milepost_private.lane_work(milepost.lanes) from public, anon, authenticated;
grant execute on function milepost_private.lane_work(milepost.lanes) to authenticated, service_role;

-- ==== sql/schema/36_parts_json.sql

-- stage_json, lane_json: a stage and a lane as the API shows them.
create or replace function milepost_private.stage_json(s milepost.stages)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'name', s.name, 'position', s.position, 'state', s.state, 'weight', s.weight,
    'items_total', s.items_total, 'items_completed', s.items_completed, 'items_failed', s.items_failed,
    'items_skipped', s.items_skipped, 'items_canceled', s.items_canceled, 'bytes_processed', s.bytes_processed,
    'percent_complete', milepost_private.stage_percent(s),
    'started_at', milepost_private.iso(s.started_at), 'finished_at', milepost_private.iso(s.finished_at));
end;
$$;
comment on function milepost_private.stage_json(milepost.stages) is 'A stage as the API shows it.';
revoke execute on function milepost_private.stage_json(milepost.stages) from public, anon, authenticated;
grant execute on function milepost_private.stage_json(milepost.stages) to authenticated, service_role;

create or replace function milepost_private.lane_json(l milepost.lanes)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_work double precision;
begin
  l := milepost_private.lane_counts(l);
  v_work := milepost_private.lane_work(l) - l.first_work;
  return jsonb_build_object(
    'worker', l.worker, 'attempt', l.attempt, 'seq', l.seq, 'state', l.state,
    'items_total', l.items_total, 'worker_items_total', l.worker_items_total, 'items_completed', l.items_completed,
    'items_failed', l.items_failed, 'items_skipped', l.items_skipped, 'items_canceled', l.items_canceled,
    'bytes_processed', l.bytes_processed,
    'rate_per_s', case when l.last_checkpoint_at > l.first_checkpoint_at and v_work > 0 then
      v_work / extract(epoch from l.last_checkpoint_at - l.first_checkpoint_at)::double precision end,
    'last_checkpoint_at', milepost_private.iso(l.last_checkpoint_at),
    'last_progress_at', milepost_private.iso(l.last_progress_at), 'cursor', l.cursor);
end;
$$;
comment on function milepost_private.lane_json(milepost.lanes) is 'A lane as the API shows it.';
revoke execute on function milepost_private.lane_json(milepost.lanes) from public, anon, authenticated;
grant execute on function milepost_private.lane_json(milepost.lanes) to authenticated, service_role;

-- ==== sql/schema/37_learn_kind.sql

-- learn_kind: what a run that completed teaches about its kind, and how right its predictions were.
create or replace function milepost_private.learn_kind(job_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job       milepost.jobs;
  v_pulse     milepost_private.pulses;
  v_kind      milepost_private.kinds;
  v_reached   double precision[];
  v_predicted double precision[];
  v_work      double precision;
  v_stages_s  jsonb;
begin
  select * into v_job from milepost.jobs j where j.job_id = learn_kind.job_id;
  select * into v_pulse from milepost_private.pulses p where p.job_id = learn_kind.job_id;
  -- GUARD: it never ran
  if v_pulse.active_s is null or v_pulse.active_s <= 0 then
    return;
  end if;

  insert into milepost_private.eta_scores (job_id, tenth, tenant_id, kind, log_error, covered, width)
  select p.job_id, p.tenth, v_job.tenant_id, v_job.kind, ln(p.remaining_s / t.true_s),
         t.true_s between p.low_s and p.high_s, (p.high_s - p.low_s) / t.true_s
  from milepost_private.predictions p
  cross join lateral (select v_pulse.active_s - p.active_s as true_s) t
  where p.job_id = learn_kind.job_id and p.remaining_s > 0 and t.true_s > 0
  on conflict do nothing;

  select array_agg(p.active_s order by g.tenth), array_agg(p.remaining_s order by g.tenth) into v_reached, v_predicted
  from generate_series(0, 9) as g (tenth)
  left join milepost_private.predictions p on p.job_id = learn_kind.job_id and p.tenth = g.tenth;

  -- GUARD: jobs that were given no kind have nothing in common
  if v_job.kind = 'default' then
    return;
  end if;

  v_work := v_job.items_completed::double precision + v_job.items_failed + v_job.items_canceled;
  -- Stages keep the times of the wall: a run that paused or waited is no measure of them.
  if v_job.has_stages and v_pulse.active_s > 0.95 * extract(epoch from v_job.finished_at - v_job.started_at) then
    select jsonb_object_agg(s.name, extract(epoch from s.finished_at - s.started_at)) into v_stages_s
    from milepost.stages s where s.job_id = learn_kind.job_id and s.finished_at > s.started_at;
  end if;

  -- Runs of a kind that end at the same moment learn one after the other.
  insert into milepost_private.kinds (tenant_id, kind) values (v_job.tenant_id, v_job.kind) on conflict do nothing;
  select * into v_kind from milepost_private.kinds k
  where k.tenant_id = v_job.tenant_id and k.kind = v_job.kind for no key update;
  update milepost_private.kinds k set
    pace = milepost_private.kind_pace_learn(v_kind.pace, v_pulse.active_s,
             -- What was done before it was tracked cost it nothing, what a retry did twice is one item.
             least((v_pulse.pace).work + v_work - (v_pulse.pace).done, v_work),
             v_reached, v_predicted, v_stages_s),
    rhythm = milepost_private.kind_rhythm_learn(v_kind.rhythm, v_pulse.rhythm),
    trend = milepost_private.kind_trend_learn(v_kind.trend, v_work + v_job.items_skipped, v_job.items_failed),
    updated_at = now()
  where k.tenant_id = v_job.tenant_id and k.kind = v_job.kind;
end;
$$;
comment on function milepost_private.learn_kind(uuid) is
'Takes a completed job''s pace and rhythm into what its kind remembers, and scores its predictions.';
revoke execute on function milepost_private.learn_kind(uuid) from public, anon, authenticated;
grant execute on function milepost_private.learn_kind(uuid) to service_role;

-- ==== sql/schema/38_backoff_ms.sql

-- backoff_ms: how long an attempt waits. base, doubled for each attempt after the second, at most 15 minutes, +-20 % jitter.
create or replace function milepost_private.backoff_ms(base_ms bigint, attempt int)
returns double precision
language plpgsql
volatile
set search_path = ''
as $$
begin
  return least(base_ms * 2 ^ least(greatest(attempt - 2, 0), 30), 900000) * (0.8 + 0.4 * random());
end;
$$;
comment on function milepost_private.backoff_ms(bigint, int) is
'Wait before the given attempt, in ms: the base before attempt 2, doubled for each further one, at most 15 minutes, +-20 % jitter.';
revoke execute on function milepost_private.backoff_ms(bigint, int) from public, anon, authenticated;
grant execute on function milepost_private.backoff_ms(bigint, int) to service_role;

-- ==== sql/schema/39_actor_in_words.sql

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

-- ==== sql/schema/39_correlation_id.sql

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

-- ==== sql/schema/39_stream_lock_base.sql

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

-- ==== sql/schema/40_emit.sql

-- emit: append events to jobs. The only place that raises a version.
do $$ begin
  if to_regtype('milepost_private.event_draft') is null then
    create type milepost_private.event_draft as (job_id uuid, type text, data jsonb);
  end if;
end $$;
comment on type milepost_private.event_draft is 'An event before it has its version.';

create or replace function milepost_private.emit(drafts milepost_private.event_draft[], at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- Before an id is drawn: see stream_events.
  perform pg_advisory_xact_lock_shared(milepost_private.stream_lock_base()
    + coalesce(pg_catalog.pg_sequence_last_value('milepost.events_event_id_seq'::regclass), 0));
  with drafted as (
    select d.job_id, d.type, d.data, row_number() over (partition by d.job_id order by d.n) as nth
    from unnest(drafts) with ordinality as d (job_id, type, data, n)
  ), raised as (
    -- The job's row lock makes versions gapless: whoever raises it holds it until the end of the transaction.
    update milepost.jobs j set version = j.version + c.events
    from (select job_id, count(*) as events from drafted group by job_id) c
    where j.job_id = c.job_id
    returning j.job_id, j.tenant_id, j.version - c.events as before
  )
  insert into milepost.events (tenant_id, job_id, version, type, ts, correlation_id, data)
  select r.tenant_id, d.job_id, r.before + d.nth, d.type, at, milepost_private.correlation_id(), d.data
  from drafted d join raised r on r.job_id = d.job_id
  order by d.job_id, d.nth;
end;
$$;
comment on function milepost_private.emit(milepost_private.event_draft[], timestamptz) is
'Appends events; each raises its job''s version by one. The caller holds the jobs'' row locks.';
revoke execute on function milepost_private.emit(milepost_private.event_draft[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.emit(milepost_private.event_draft[], timestamptz) to service_role;

-- ==== sql/schema/41_broadcast_event.sql

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

do $guard$
declare
  v_wanted constant text := $wanted$for each row execute function milepost_private.broadcast_event()$wanted$;
begin
  if exists (select from pg_catalog.pg_trigger
             where tgrelid = 'milepost.events'::regclass and tgname = '_900_broadcast') then
    create temporary table events (like milepost.events);
    execute 'create trigger _900_broadcast after insert on pg_temp.events ' || v_wanted;
    if (select count(distinct row(tgenabled, regexp_replace(pg_get_triggerdef(oid), ' ON \S+ ', ' '))) = 1
        from pg_catalog.pg_trigger
        where tgrelid in ('milepost.events'::regclass, 'pg_temp.events'::regclass)
          and tgname = '_900_broadcast') then
      drop table pg_temp.events;
      return;
    end if;
    drop table pg_temp.events;
  end if;
  execute 'create or replace trigger _900_broadcast after insert on milepost.events ' || v_wanted;
end $guard$;

-- ==== sql/schema/42_sum_job.sql

-- sum_job: jobs' and their stages' counts from what lanes, stages and items say. The hot path adds differences instead;
-- this is for what is rare: a first stage, a first count, a reset.
create or replace function milepost_private.sum_job(variadic job_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update milepost.stages s set
    counts_reported = coalesce(l.reported, false),
    items_total     = coalesce(l.total, s.items_total_given),
    items_completed = case when l.reported then l.completed else coalesce(t.completed, 0) end,
    items_failed    = case when l.reported then l.failed    else coalesce(t.failed, 0) end,
    items_skipped   = case when l.reported then l.skipped   else coalesce(t.skipped, 0) end,
    items_canceled  = case when l.reported then l.canceled  else coalesce(t.canceled, 0) end,
    bytes_processed = coalesce(l.bytes, 0)
  from milepost.stages m
  left join lateral (
    select bool_or(x.counts_reported) as reported, max(x.items_total) as total,
           least(coalesce(sum(x.items_completed), 0), 9223372036854775807)::bigint as completed,
           least(coalesce(sum(x.items_failed), 0), 9223372036854775807)::bigint as failed,
           least(coalesce(sum(x.items_skipped), 0), 9223372036854775807)::bigint as skipped,
           least(coalesce(sum(x.items_canceled), 0), 9223372036854775807)::bigint as canceled,
           least(coalesce(sum(x.bytes_processed), 0), 9223372036854775807)::bigint as bytes
    from milepost_private.stage_lanes x where x.job_id = m.job_id and x.stage = m.name
  ) l on true
  left join milepost_private.item_tallies t on t.job_id = m.job_id and t.stage = m.name
  where m.job_id = any (job_ids) and s.job_id = m.job_id and s.name = m.name;

  update milepost.jobs j set
    has_stages      = s.stages > 0,
    stages_percent  = s.percent,
    stages_total    = s.total,
    items_total     = coalesce(l.total, j.items_total_given, l.shares),
    items_completed = case when j.counts_reported then l.completed when s.stages > 0 then s.completed else coalesce(t.completed, 0) end,
    items_failed    = case when j.counts_reported then l.failed    when s.stages > 0 then s.failed    else coalesce(t.failed, 0) end,
    items_skipped   = case when j.counts_reported then l.skipped   when s.stages > 0 then s.skipped   else coalesce(t.skipped, 0) end,
    items_canceled  = case when j.counts_reported then l.canceled  when s.stages > 0 then s.canceled  else coalesce(t.canceled, 0) end,
    bytes_processed = case when l.bytes > 0 or s.stages = 0 then l.bytes else s.bytes end
  from unnest(job_ids) as u (job_id)
  cross join lateral (
    select max(x.items_total) as total, case when count(x.worker_items_total) > 0  -- least() skips nulls
                then least(sum(x.worker_items_total), 9223372036854775807)::bigint end as shares,
           least(coalesce(sum(x.items_completed), 0), 9223372036854775807)::bigint as completed,
           least(coalesce(sum(x.items_failed), 0), 9223372036854775807)::bigint as failed,
           least(coalesce(sum(x.items_skipped), 0), 9223372036854775807)::bigint as skipped,
           least(coalesce(sum(x.items_canceled), 0), 9223372036854775807)::bigint as canceled,
           least(coalesce(sum(x.bytes_processed), 0), 9223372036854775807)::bigint as bytes
    from milepost.lanes x where x.job_id = u.job_id
  ) l
  cross join lateral (
    select count(*) as stages,
           least(coalesce(sum(x.items_completed), 0), 9223372036854775807)::bigint as completed,
           least(coalesce(sum(x.items_failed), 0), 9223372036854775807)::bigint as failed,
           least(coalesce(sum(x.items_skipped), 0), 9223372036854775807)::bigint as skipped,
           least(coalesce(sum(x.items_canceled), 0), 9223372036854775807)::bigint as canceled,
           least(coalesce(sum(x.bytes_processed), 0), 9223372036854775807)::bigint as bytes,
           case when bool_and(x.items_total is not null)
                then least(sum(greatest(x.items_total, x.items_completed::numeric + x.items_failed + x.items_skipped + x.items_canceled)),
                           9223372036854775807)::bigint end as total,
           -- Unknown if a stage that has begun is unknown; one that has not begun stands at 0. Only where all stages are at
           -- 100 is the job: a weight that vanishes beside the others may not round it up.
           case when bool_and(p.percent is not distinct from 100) then 100
                when bool_and(p.percent is not null) and sum(x.weight) > 0
                then least(trunc((sum(p.percent * x.weight) / sum(x.weight))::numeric, 4)::double precision, 99.9999) end as percent
    from milepost.stages x
    cross join lateral milepost_private.stage_percent(x) as p (percent)
    where x.job_id = u.job_id
  ) s
  left join milepost_private.item_tallies t on t.job_id = u.job_id and t.stage = ''
  where j.job_id = u.job_id;
end;
$$;
comment on function milepost_private.sum_job(uuid[]) is
'Sets jobs'' and their stages'' counts, totals and percent from their lanes, stage lanes and item tallies.';
revoke execute on function milepost_private.sum_job(uuid[]) from public, anon, authenticated;
grant execute on function milepost_private.sum_job(uuid[]) to service_role;

-- ==== sql/schema/43_begin_attempt.sql

-- begin_attempt: the next attempt of a job. Raising the attempt fences every worker of the old one at once.
-- Each lane goes back to its counts at its last cursor, since what came after was not committed.
create or replace function milepost_private.begin_attempt(job_id uuid, at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update milepost.jobs j set
    attempt = j.attempt + 1, max_attempts = greatest(j.max_attempts, j.attempt + 1), attempt_started_at = null,
    error = null, rate_limited_until = null
  where j.job_id = begin_attempt.job_id;

  update milepost.lanes l set
    items_completed = l.cursor_completed, items_failed = l.cursor_failed, items_skipped = l.cursor_skipped,
    items_canceled = l.cursor_canceled, bytes_processed = l.cursor_bytes,
    seq = -1, seen = '{}', state = 'running', state_seq = -1, failed_seq = -1, skipped_seq = -1, canceled_seq = -1,
    total_seq = -1, worker_total_seq = -1, message_seq = -1, rate_limited_seq = -1, deadline_seq = -1,
    metadata_seq = -1, kind_seq = -1, name_seq = -1, unit_seq = -1, cursor_seq = -1
  where l.job_id = begin_attempt.job_id;

  update milepost_private.stage_lanes l set
    items_completed = l.cursor_completed, items_failed = l.cursor_failed, items_skipped = l.cursor_skipped,
    items_canceled = l.cursor_canceled, bytes_processed = l.cursor_bytes,
    seq = -1, state = case when l.state in ('completed', 'skipped') then l.state end, state_seq = -1,
    failed_seq = -1, skipped_seq = -1, canceled_seq = -1, total_seq = -1, weight_seq = -1, cursor_seq = -1
  where l.job_id = begin_attempt.job_id;

  update milepost.lanes l set first_work = milepost_private.lane_work(l) where l.job_id = begin_attempt.job_id;

  -- What each lane begins with is part of its history: a cursor that arrives late is counted from here.
  insert into milepost.checkpoints (tenant_id, job_id, attempt, worker, seq, at, received_at, items_completed,
                                    items_failed, items_skipped, items_canceled, bytes_processed, has_cursor, stages)
  select l.tenant_id, l.job_id, j.attempt, l.worker, -1, begin_attempt.at, begin_attempt.at, l.items_completed,
         l.items_failed, l.items_skipped, l.items_canceled, l.bytes_processed, l.cursor is not null,
         (select jsonb_agg(jsonb_build_object('name', s.stage, 'items_completed', s.items_completed, 'items_failed', s.items_failed,
            'items_skipped', s.items_skipped, 'items_canceled', s.items_canceled, 'bytes_processed', s.bytes_processed))
          from milepost_private.stage_lanes s where s.job_id = l.job_id and s.worker = l.worker)
  from milepost.lanes l join milepost.jobs j on j.job_id = l.job_id
  where l.job_id = begin_attempt.job_id;

  update milepost.items i set state = 'pending', percent = null, others = null
  where i.job_id = begin_attempt.job_id and i.state = 'processing';

  update milepost.stages s set state = 'pending', finished_at = null
  where s.job_id = begin_attempt.job_id and s.state in ('running', 'failed', 'canceled');

  perform milepost_private.sum_job(begin_attempt.job_id);

  update milepost_private.pulses p set
    rhythm = milepost_private.rhythm_step(p.rhythm, milepost_private.active_clock(p.active_s, p.active_at, p.running, begin_attempt.at),
                                          f.work_done + j.items_skipped, 'retry'),
    pace = milepost_private.pace_step(p.pace, milepost_private.active_clock(p.active_s, p.active_at, p.running, begin_attempt.at),
                                      f.work_done, f.items_pending),
    settled = f.work_done + j.items_skipped,
    effort = case when not p.effort is null then milepost_private.pace_step(
      p.effort, milepost_private.active_clock(p.active_s, p.active_at, p.running, begin_attempt.at), s.effort, 100 - s.effort) end,
    -- Its lanes may be others from now on.
    last_lane = null
  from milepost.jobs j,
  lateral milepost_private.figures(j, null, null, begin_attempt.at) f,
  lateral milepost_private.effort(j, (select (k.pace).stages from milepost_private.kinds k
                                      where k.tenant_id = j.tenant_id and k.kind = j.kind)) s (effort)
  -- A composite `is not null` only where all of its fields are.
  where j.job_id = begin_attempt.job_id and p.job_id = j.job_id and not p.pace is null;
end;
$$;
comment on function milepost_private.begin_attempt(uuid, timestamptz) is
'Begins the next attempt: fences the old one, puts lanes back to their counts at their last cursor and items in processing back to pending.';
revoke execute on function milepost_private.begin_attempt(uuid, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.begin_attempt(uuid, timestamptz) to service_role;

-- ==== sql/schema/44_transition.sql

-- transition: change a job's state. The only place that does; what the state machine does not list is refused.
create or replace function milepost_private.transition(
  job_id    uuid,
  new_state text,
  verb      text,
  reason    text,
  actor     text,
  at        timestamptz
)
returns void
language plpgsql
volatile
set search_path = ''
set plan_cache_mode = 'force_generic_plan'  -- planning these statements anew takes longer than running them
as $$
declare
  v_job     milepost.jobs;
  v_prior   text;
  v_allowed text;
  v_drafts  milepost_private.event_draft[];
  v_fields  jsonb;
  v_load    int;
begin
  select * into v_job from milepost.jobs j where j.job_id = transition.job_id for no key update;
  v_prior := v_job.state;

  -- GUARD: not permitted
  if not exists (select from milepost_private.transitions t
                 where (t.prior_state, t.new_state, t.verb) = (v_prior, transition.new_state, transition.verb)) then
    select string_agg(distinct t.verb, ', ') into v_allowed from milepost_private.transitions t
    where t.prior_state = v_prior and t.verb in ('pause', 'resume', 'cancel', 'retry');
    perform milepost_private.refuse(409, 'invalid_transition',
      format('Expected a job that permits %s; %s is %s.', transition.verb, v_job.key, v_prior),
      case when v_allowed is null then 'A job that is ' || v_prior || ' permits none of pause, resume, cancel, retry.'
           else 'A job that is ' || v_prior || ' permits: ' || v_allowed || '.' end,
      coalesce(v_allowed, ''));
  end if;

  -- A job that was paused while it waited goes on waiting: no new attempt.
  if new_state = 'retrying' and verb <> 'resume' then
    perform milepost_private.begin_attempt(transition.job_id, transition.at);
  end if;

  update milepost.jobs j set
    state = transition.new_state, state_reason = transition.reason, state_actor = transition.actor,
    state_changed_at = transition.at,
    started_at = coalesce(j.started_at, case when transition.new_state = 'running' then transition.at end),
    attempt_started_at = case when transition.new_state = 'running' then coalesce(j.attempt_started_at, transition.at)
                              else j.attempt_started_at end,
    finished_at = case when milepost_private.is_terminal(transition.new_state) then transition.at end,
    error = case when transition.new_state = 'failed' then coalesce(transition.reason, 'failed') else j.error end,
    run_after = case
      when transition.new_state <> 'retrying' then j.run_after
      when transition.verb in ('retry', 'resume') then transition.at
      else transition.at + milepost_private.backoff_ms(j.retry_backoff_ms, j.attempt) * interval '1 millisecond' end
  where j.job_id = transition.job_id;

  -- What people do, and the sweep in their place; not that it ends what they asked for.
  if verb in ('pause', 'resume', 'cancel', 'retry') or verb = 'reset' and new_state in ('retrying', 'failed') then
    perform milepost_private.write_audit(v_job.tenant_id, transition.actor, verb, v_job.key,
      jsonb_build_object('prior_state', v_prior, 'new_state', new_state, 'attempt', v_job.attempt), reason, v_job.job_id, at);
  end if;

  if milepost_private.is_terminal(new_state) then
    update milepost.stages s set state = transition.new_state, finished_at = coalesce(s.finished_at, transition.at)
    where s.job_id = transition.job_id and s.state = 'running';
    if found then
      perform milepost_private.sum_job(transition.job_id);
    end if;
  end if;

  insert into milepost_private.pulses (job_id, tenant_id, active_at)
  values (transition.job_id, v_job.tenant_id, transition.at) on conflict do nothing;
  update milepost_private.pulses p set
    active_s = milepost_private.active_clock(p.active_s, p.active_at, p.running, transition.at),
    active_at = greatest(p.active_at, transition.at),
    running = transition.new_state in ('running', 'completing', 'pausing', 'canceling')
  where p.job_id = transition.job_id;
  if new_state = 'running' and v_prior <> 'pausing' then
    update milepost_private.pulses p set rhythm = milepost_private.rhythm_step(p.rhythm, p.active_s,
      (select j.items_completed::double precision + j.items_failed + j.items_canceled + j.items_skipped
       from milepost.jobs j where j.job_id = p.job_id), 'resume')
    where p.job_id = transition.job_id and not p.rhythm is null;
  end if;
  v_load := (new_state in ('running', 'completing', 'pausing', 'canceling'))::int - (v_prior in ('running', 'completing', 'pausing', 'canceling'))::int;
  -- Also by 0 before a kind learns: whoever locks a kind's row holds its tenant's first, so that requests cannot deadlock.
  if v_load <> 0 or new_state = 'completed' then
    insert into milepost_private.tenant_loads as t (tenant_id, jobs_at_work)
    values (v_job.tenant_id, greatest(v_load, 0))
    on conflict on constraint tenant_loads_pkey do update set jobs_at_work = greatest(t.jobs_at_work + v_load, 0);
  end if;
  if new_state = 'completed' then
    perform milepost_private.learn_kind(transition.job_id);
  end if;

  v_fields := (
    select milepost_private.progress_fields(j, milepost_private.figures(j, p, k, transition.at))
    from milepost.jobs j
    left join milepost_private.pulses p on p.job_id = j.job_id
    left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
    where j.job_id = transition.job_id);
  if new_state = 'running' and v_job.started_at is null then
    v_drafts := v_drafts || row(job_id, 'job.started', v_fields)::milepost_private.event_draft;
  end if;
  v_drafts := v_drafts || row(job_id, 'job.state_changed', v_fields || jsonb_build_object(
    'prior_state', v_prior, 'new_state', new_state, 'reason', reason, 'actor', actor))::milepost_private.event_draft;
  if new_state in ('completed', 'failed') then
    v_drafts := v_drafts || row(job_id, 'job.' || new_state, v_fields || jsonb_build_object(
      'error', (select j.error from milepost.jobs j where j.job_id = transition.job_id)))::milepost_private.event_draft;
  end if;
  perform milepost_private.emit(v_drafts, at);
end;
$$;
comment on function milepost_private.transition(uuid, text, text, text, text, timestamptz) is
'Brings a job into a state: checks that the verb may, keeps the active clock, ends its stages, leaves the events. Refuses with 409 and what is allowed.';
revoke execute on function milepost_private.transition(uuid, text, text, text, text, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.transition(uuid, text, text, text, text, timestamptz) to service_role;

-- check_transition: what writes a state past transition() keeps to the state machine, too.
create or replace function milepost_private.check_transition()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
begin
  if not exists (select from milepost_private.transitions t
                 where t.prior_state = old.state and t.new_state = new.state) then
    perform milepost_private.refuse(409, 'invalid_transition',
      format('Expected a permitted change of state; %s is %s and cannot become %s.', old.key, old.state, new.state),
      'Use pause_job, resume_job, cancel_job, retry_job, or report as its worker.');
  end if;
  return new;
end;
$$;
comment on function milepost_private.check_transition() is 'Refuses a change of a job''s state that milepost_private.transitions does not list.';
revoke execute on function milepost_private.check_transition() from public, anon, authenticated;

do $guard$
declare
  v_wanted constant text := $wanted$for each row when (old.state is distinct from new.state) execute function milepost_private.check_transition()$wanted$;
begin
  if exists (select from pg_catalog.pg_trigger
             where tgrelid = 'milepost.jobs'::regclass and tgname = 'job_state_follows_the_state_machine') then
    create temporary table jobs (like milepost.jobs);
    execute 'create trigger job_state_follows_the_state_machine before update of state on pg_temp.jobs ' || v_wanted;
    if (select count(distinct row(tgenabled, regexp_replace(pg_get_triggerdef(oid), ' ON \S+ ', ' '))) = 1
        from pg_catalog.pg_trigger
        where tgrelid in ('milepost.jobs'::regclass, 'pg_temp.jobs'::regclass)
          and tgname = 'job_state_follows_the_state_machine') then
      drop table pg_temp.jobs;
      return;
    end if;
    drop table pg_temp.jobs;
  end if;
  execute 'create or replace trigger job_state_follows_the_state_machine before update of state on milepost.jobs ' || v_wanted;
end $guard$;

-- ==== sql/schema/45_begin_jobs.sql

-- begin_jobs: brings waiting jobs to running, all at once: transition for the one change that a request may make to a thousand
-- jobs, since each of its checkpoints may be a job's first.
create or replace function milepost_private.begin_jobs(job_ids uuid[], actors text[], at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_priors text[];
  v_firsts boolean[];
  v_drafts milepost_private.event_draft[];
begin
  -- The caller holds the jobs' row locks.
  select array_agg(j.state order by b.n), array_agg(j.started_at is null order by b.n) into v_priors, v_firsts
  from unnest(job_ids) with ordinality as b (job_id, n) join milepost.jobs j on j.job_id = b.job_id;

  update milepost.jobs j set
    state = 'running', state_reason = null, state_actor = b.actor, state_changed_at = begin_jobs.at,
    started_at = coalesce(j.started_at, begin_jobs.at), attempt_started_at = coalesce(j.attempt_started_at, begin_jobs.at)
  from unnest(job_ids, actors) as b (job_id, actor)
  where j.job_id = b.job_id;

  insert into milepost_private.pulses (job_id, tenant_id, active_at)
  select j.job_id, j.tenant_id, begin_jobs.at from milepost.jobs j where j.job_id = any (job_ids)
  on conflict do nothing;
  update milepost_private.pulses p set
    active_at = greatest(p.active_at, begin_jobs.at), running = true,
    rhythm = case when not p.rhythm is null then milepost_private.rhythm_step(p.rhythm, p.active_s,
      j.items_completed::double precision + j.items_failed + j.items_canceled + j.items_skipped, 'resume') end
  from milepost.jobs j
  where j.job_id = any (job_ids) and p.job_id = j.job_id;

  -- Before a kind's row is locked: see transition.
  insert into milepost_private.tenant_loads as t (tenant_id, jobs_at_work)
  select j.tenant_id, count(*) from milepost.jobs j where j.job_id = any (job_ids) group by j.tenant_id
  on conflict on constraint tenant_loads_pkey do update set jobs_at_work = t.jobs_at_work + excluded.jobs_at_work;

  with begun as (
    select j.job_id, b.prior, b.is_first, b.actor,
           milepost_private.progress_fields(j, milepost_private.figures(j, p, k, begin_jobs.at)) as fields
    from unnest(job_ids, v_priors, v_firsts, actors) as b (job_id, prior, is_first, actor)
    join milepost.jobs j on j.job_id = b.job_id
    left join milepost_private.pulses p on p.job_id = j.job_id
    left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  )
  select array_agg(d.draft order by b.job_id, d.n) into v_drafts
  from begun b
  cross join lateral (
    select 1 as n, row(b.job_id, 'job.started', b.fields)::milepost_private.event_draft as draft where b.is_first
    union all
    select 2, row(b.job_id, 'job.state_changed', b.fields || jsonb_build_object(
      'prior_state', b.prior, 'new_state', 'running', 'reason', null, 'actor', b.actor))::milepost_private.event_draft
  ) d;
  perform milepost_private.emit(v_drafts, at);
end;
$$;
comment on function milepost_private.begin_jobs(uuid[], text[], timestamptz) is
'Brings jobs that are pending or retrying to running, with the actor of each: state, active clock, load, events. The caller holds their row locks.';
revoke execute on function milepost_private.begin_jobs(uuid[], text[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.begin_jobs(uuid[], text[], timestamptz) to service_role;

-- ==== sql/schema/45_entry.sql

-- entry: one checkpoint of a request, parsed once.
do $$ begin
  if to_regtype('milepost_private.entry') is null then
    create type milepost_private.entry as (
      n                  int,
      job                text,
      job_id             uuid,
      worker             text,
      attempt            int,
      seq                bigint,
      is_duplicate       boolean,
      refusal            text,
      current_attempt    int,
      at                 timestamptz,
      state              text,
      reason             text,
      message            text,
      names_message      boolean,
      items_total        bigint,
      names_total        boolean,
      worker_items_total bigint,
      names_worker_total boolean,
      items_completed    bigint,
      items_failed       bigint,
      items_skipped      bigint,
      items_canceled     bigint,
      bytes_processed    bigint,
      batch              jsonb,
      stages             jsonb,
      items              jsonb,
      cursor             jsonb,
      names_cursor       boolean,
      rate_limited_until timestamptz,
      names_rate_limit   boolean,
      processing_deadline_ms bigint,
      names_deadline     boolean,
      metadata           jsonb,
      kind               text,
      name               text,
      unit               text,
      traceparent        text
    );
  end if;
end $$;
comment on type milepost_private.entry is
'One checkpoint as it was said. names_... tells a field that was said to be null from one that was left out.';

-- ==== sql/schema/45_said.sql

-- said: a request's checkpoints as they came, in either shape:
--   {"checkpoints": [{"job": ..., "seq": ...}, ...]}
--   {"columns": {"jobs": [...], "workers": [...], "lane": "{1,1,2}", "seq": "{7,8,1}", "message": ["...", null, null], ...}}
-- The functions have read the request anyway and send columns, which are read several times faster: jobs and workers name the
-- lanes, `lane` says which of them a checkpoint is of, numbers are arrays as Postgres writes them, all else is JSON's, and
-- `nulls` has, also as such arrays, the places (from 1) at which a field was said to be null.
create or replace function milepost_private.said(body jsonb)
returns table (
  n int, lane int, job text, worker text, attempt int, seq bigint, at timestamptz, state text, reason text,
  message text, names_message boolean, items_total bigint, names_total boolean, worker_items_total bigint, names_worker_total boolean,
  items_completed bigint, items_failed bigint, items_skipped bigint, items_canceled bigint, bytes_processed bigint,
  batch jsonb, stages jsonb, items jsonb, cursor jsonb, names_cursor boolean, rate_limited_until timestamptz, names_rate_limit boolean,
  processing_deadline_ms bigint, names_deadline boolean, metadata jsonb, kind text, name text, unit text, traceparent text
)
language plpgsql
stable
rows 100
set search_path = ''
as $$
declare
  c         jsonb := body -> 'columns';
  v_jobs    text[];
  v_workers text[];
  -- Arrays, and not JSON that each row would have to be made into JSON for.
  v_no_message    int[] := (c -> 'nulls' ->> 'message')::int[];
  v_no_total      int[] := (c -> 'nulls' ->> 'items_total')::int[];
  v_no_share      int[] := (c -> 'nulls' ->> 'worker_items_total')::int[];
  v_no_cursor     int[] := (c -> 'nulls' ->> 'cursor')::int[];
  v_no_rate_limit int[] := (c -> 'nulls' ->> 'rate_limited_until')::int[];
  v_no_deadline   int[] := (c -> 'nulls' ->> 'processing_deadline_ms')::int[];
begin
  if c is null then
    return query
    select t.n::int, dense_rank() over (order by r.job collate "C", coalesce(r.worker, 'main') collate "C")::int,
           r.job, coalesce(r.worker, 'main'), r.attempt, r.seq, r.at, r.state, r.reason, r.message, t.e ? 'message',
           r.items_total, t.e ? 'items_total', r.worker_items_total, t.e ? 'worker_items_total', r.items_completed, r.items_failed,
           r.items_skipped, r.items_canceled, r.bytes_processed, r.batch,
           case jsonb_typeof(r.stage) when 'object' then jsonb_build_array(r.stage) when 'array' then r.stage end,
           case when jsonb_typeof(r.items) = 'array' then r.items end,
           r.cursor, t.e ? 'cursor', r.rate_limited_until, t.e ? 'rate_limited_until', r.processing_deadline_ms,
           t.e ? 'processing_deadline_ms', r.metadata, r.kind, r.name, r.unit, r.traceparent
    from jsonb_array_elements(body -> 'checkpoints') with ordinality as t (e, n),
    lateral jsonb_to_record(t.e) as r (
      job text, worker text, attempt int, seq bigint, at timestamptz, state text, reason text, message text,
      items_total bigint, worker_items_total bigint, items_completed bigint, items_failed bigint, items_skipped bigint,
      items_canceled bigint, bytes_processed bigint, batch jsonb, stage jsonb, items jsonb, cursor jsonb,
      rate_limited_until timestamptz, processing_deadline_ms bigint, metadata jsonb, kind text, name text, unit text, traceparent text);
    return;
  end if;
  v_jobs := array(select jsonb_array_elements_text(c -> 'jobs'));
  v_workers := array(select jsonb_array_elements_text(c -> 'workers'));
  return query
  select t.n::int, t.lane, v_jobs[t.lane], v_workers[t.lane], t.attempt, t.seq, t.at::timestamptz, t.state, t.reason,
         t.message, t.message is not null or coalesce(t.n = any (v_no_message), false),
         t.items_total, t.items_total is not null or coalesce(t.n = any (v_no_total), false),
         t.worker_items_total, t.worker_items_total is not null or coalesce(t.n = any (v_no_share), false),
         t.items_completed, t.items_failed, t.items_skipped, t.items_canceled, t.bytes_processed, nullif(t.batch, 'null'),
         case jsonb_typeof(t.stage) when 'object' then jsonb_build_array(t.stage) when 'array' then t.stage end,
         nullif(t.items, 'null'), nullif(t.cursor, 'null'), nullif(t.cursor, 'null') is not null or coalesce(t.n = any (v_no_cursor), false),
         t.rate_limited_until::timestamptz, t.rate_limited_until is not null or coalesce(t.n = any (v_no_rate_limit), false),
         t.processing_deadline_ms, t.processing_deadline_ms is not null or coalesce(t.n = any (v_no_deadline), false),
         nullif(t.metadata, 'null'), t.kind, t.name, t.unit, t.traceparent
  from rows from (
    unnest((c ->> 'lane')::int[]), unnest((c ->> 'attempt')::int[]), unnest((c ->> 'seq')::bigint[]),
    jsonb_array_elements_text(c -> 'at'), jsonb_array_elements_text(c -> 'state'), jsonb_array_elements_text(c -> 'reason'),
    jsonb_array_elements_text(c -> 'message'), unnest((c ->> 'items_total')::bigint[]), unnest((c ->> 'worker_items_total')::bigint[]),
    unnest((c ->> 'items_completed')::bigint[]), unnest((c ->> 'items_failed')::bigint[]), unnest((c ->> 'items_skipped')::bigint[]),
    unnest((c ->> 'items_canceled')::bigint[]), unnest((c ->> 'bytes_processed')::bigint[]), jsonb_array_elements(c -> 'batch'),
    jsonb_array_elements(c -> 'stage'), jsonb_array_elements(c -> 'items'), jsonb_array_elements(c -> 'cursor'),
    jsonb_array_elements_text(c -> 'rate_limited_until'), unnest((c ->> 'processing_deadline_ms')::bigint[]),
    jsonb_array_elements(c -> 'metadata'), jsonb_array_elements_text(c -> 'kind'), jsonb_array_elements_text(c -> 'name'),
    jsonb_array_elements_text(c -> 'unit'), jsonb_array_elements_text(c -> 'traceparent')
  ) with ordinality as t (lane, attempt, seq, at, state, reason, message, items_total, worker_items_total, items_completed,
    items_failed, items_skipped, items_canceled, bytes_processed, batch, stage, items, cursor, rate_limited_until,
    processing_deadline_ms, metadata, kind, name, unit, traceparent, n);
end;
$$;
comment on function milepost_private.said(jsonb) is
'The checkpoints of a request, from objects or from columns, in their order; n counts from 1, lane numbers the pairs of job and worker.';
revoke execute on function milepost_private.said(jsonb) from public, anon, authenticated;
grant execute on function milepost_private.said(jsonb) to service_role;

-- ==== sql/schema/46_parse_checkpoints.sql

-- parse_checkpoints: a request's checkpoints, each with its job, attempt and seq found, and the reason if it is refused.
-- Call it with the jobs' rows locked: an entry without seq takes its lane's next one.
create or replace function milepost_private.parse_checkpoints(
  caller milepost_private.caller, body jsonb, refs text[], job_ids uuid[], at timestamptz,
  out entries milepost_private.entry[], out some_refused boolean, out some_stages boolean, out some_items boolean, out some_cursors boolean,
  out some_facts boolean
)
returns record
language plpgsql
stable
set search_path = ''
as $$
begin
  with said as materialized (
    select * from milepost_private.said(body)
  ), known as materialized (
    select d.lane, j.job_id, j.attempt, j.kind, l.seq, l.seen
    from (select distinct s.lane, s.job, s.worker from said s) d
    left join unnest(refs, job_ids) as r (job, job_id) on r.job = d.job
    left join milepost.jobs j on j.job_id = r.job_id
    left join milepost.lanes l on l.job_id = j.job_id and l.worker = d.worker
  ), places as materialized (
    -- Apart from all else that was said: a window keeps and copies whole rows.
    select g.*, max(g.seq) over (partition by g.lane) as last_seq,
           max(g.at) filter (where g.refusal is null) over (partition by g.lane) as last_at,
           row_number() over (partition by g.lane, g.attempt, g.seq order by g.n) as nth
    from (
      select s.n, s.lane, s.attempt, s.seq, s.at, k.job_id, k.attempt as current_attempt, k.seq as lane_seq, k.seen,
             case when coalesce(k.kind, s.kind, 'default') <> all (caller.kinds) or s.kind <> all (caller.kinds) then 'not_allowed'
                  when k.job_id is null then case when s.attempt > 1 then 'unknown_attempt' else 'job_not_found' end
                  when s.attempt < k.attempt then 'stale_attempt'
                  when s.attempt > k.attempt then 'unknown_attempt' end as refusal
      from said s join known k on k.lane = s.lane
    ) g
  )
  select array_agg(row(
      s.n, s.job, p.job_id, s.worker, coalesce(s.attempt, p.current_attempt),
      -- Without seq, nth counts the lane's entries without one.
      coalesce(s.seq, least(greatest(p.lane_seq, p.last_seq, -1)::numeric + p.nth, 9223372036854775806)::bigint),
      s.seq is not null and (p.nth > 1 or coalesce(p.seen @> s.seq, false)),
      p.refusal, p.current_attempt, coalesce(parse_checkpoints.at - (p.last_at - s.at), parse_checkpoints.at), s.state, s.reason,
      s.message, s.names_message, s.items_total, s.names_total, s.worker_items_total, s.names_worker_total,
      s.items_completed, s.items_failed, s.items_skipped, s.items_canceled, s.bytes_processed,
      s.batch, s.stages, s.items, s.cursor, s.names_cursor, s.rate_limited_until, s.names_rate_limit,
      s.processing_deadline_ms, s.names_deadline, s.metadata, s.kind, s.name, s.unit, s.traceparent
    )::milepost_private.entry),
    bool_or(p.refusal is not null), bool_or(s.stages is not null), bool_or(s.items is not null), bool_or(s.names_cursor),
    bool_or(s.names_rate_limit or s.names_deadline or coalesce(s.kind, s.name, s.unit) is not null or s.metadata is not null)
  into entries, some_refused, some_stages, some_items, some_cursors, some_facts
  from said s join places p on p.n = s.n;
end;
$$;
comment on function milepost_private.parse_checkpoints(milepost_private.caller, jsonb, text[], uuid[], timestamptz) is
'A request''s checkpoints as entries in no order, and whether some are refused, have stages, items, cursors or facts. refs and job_ids say which job is meant by which name.';
revoke execute on function milepost_private.parse_checkpoints(milepost_private.caller, jsonb, text[], uuid[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.parse_checkpoints(milepost_private.caller, jsonb, text[], uuid[], timestamptz) to service_role;

-- ==== sql/schema/46_record_stages.sql

-- record_stage_lanes: what each lane says of each stage, by the lanes' rules.
create or replace function milepost_private.record_stage_lanes(entries milepost_private.entry[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  with said as (
    select e.job_id, r.name as stage, e.worker, e.attempt, e.seq, r.state, r.items_total,
           s.value ? 'items_total' as names_total, r.items_completed, r.items_failed, r.items_skipped, r.items_canceled,
           r.bytes_processed, r.weight
    from unnest(entries) e, jsonb_array_elements(e.stages) as s (value),
    lateral jsonb_to_record(s.value) as r (name text, state text, items_total bigint, items_completed bigint,
      items_failed bigint, items_skipped bigint, items_canceled bigint, bytes_processed bigint, weight double precision)
  ), folded as (
    select d.job_id, d.stage, d.worker, max(d.attempt) as attempt, max(d.seq) as seq,
           (array_agg(d.state order by d.seq desc) filter (where d.state is not null))[1] as state,
           max(d.seq) filter (where d.state is not null) as state_seq,
           bool_or(coalesce(d.items_completed, d.items_failed, d.items_skipped, d.items_canceled) is not null) as reported,
           max(d.items_completed) as completed, max(d.bytes_processed) as bytes,
           (array_agg(d.items_failed order by d.seq desc) filter (where d.items_failed is not null))[1] as failed,
           max(d.seq) filter (where d.items_failed is not null) as failed_seq,
           (array_agg(d.items_skipped order by d.seq desc) filter (where d.items_skipped is not null))[1] as skipped,
           max(d.seq) filter (where d.items_skipped is not null) as skipped_seq,
           (array_agg(d.items_canceled order by d.seq desc) filter (where d.items_canceled is not null))[1] as canceled,
           max(d.seq) filter (where d.items_canceled is not null) as canceled_seq,
           (array_agg(d.items_total order by d.seq desc) filter (where d.names_total))[1] as total,
           max(d.seq) filter (where d.names_total) as total_seq,
           (array_agg(d.weight order by d.seq desc) filter (where d.weight is not null))[1] as weight,
           max(d.seq) filter (where d.weight is not null) as weight_seq
    from said d group by d.job_id, d.stage, d.worker
  )
  insert into milepost_private.stage_lanes as l (job_id, stage, worker, attempt, seq, state, state_seq, counts_reported,
    items_completed, bytes_processed, items_failed, failed_seq, items_skipped, skipped_seq, items_canceled, canceled_seq,
    items_total, total_seq, weight, weight_seq)
  select f.job_id, f.stage, f.worker, f.attempt, f.seq, f.state, coalesce(f.state_seq, -1), f.reported,
         coalesce(f.completed, 0), coalesce(f.bytes, 0), coalesce(f.failed, 0), coalesce(f.failed_seq, -1),
         coalesce(f.skipped, 0), coalesce(f.skipped_seq, -1), coalesce(f.canceled, 0), coalesce(f.canceled_seq, -1),
         f.total, coalesce(f.total_seq, -1), f.weight, coalesce(f.weight_seq, -1)
  from folded f
  order by f.job_id, f.stage, f.worker
  on conflict on constraint stage_lanes_pkey do update set
    attempt = excluded.attempt,
    seq = greatest(l.seq, excluded.seq),
    counts_reported = l.counts_reported or excluded.counts_reported,
    items_completed = greatest(l.items_completed, excluded.items_completed),
    bytes_processed = greatest(l.bytes_processed, excluded.bytes_processed),
    state = case when excluded.state_seq > l.state_seq then excluded.state else l.state end,
    state_seq = greatest(l.state_seq, excluded.state_seq),
    items_failed = case when excluded.failed_seq > l.failed_seq then excluded.items_failed else l.items_failed end,
    failed_seq = greatest(l.failed_seq, excluded.failed_seq),
    items_skipped = case when excluded.skipped_seq > l.skipped_seq then excluded.items_skipped else l.items_skipped end,
    skipped_seq = greatest(l.skipped_seq, excluded.skipped_seq),
    items_canceled = case when excluded.canceled_seq > l.canceled_seq then excluded.items_canceled else l.items_canceled end,
    canceled_seq = greatest(l.canceled_seq, excluded.canceled_seq),
    items_total = case when excluded.total_seq > l.total_seq then excluded.items_total else l.items_total end,
    total_seq = greatest(l.total_seq, excluded.total_seq),
    weight = case when excluded.weight_seq > l.weight_seq then excluded.weight else l.weight end,
    weight_seq = greatest(l.weight_seq, excluded.weight_seq);
end;
$$;
comment on function milepost_private.record_stage_lanes(milepost_private.entry[]) is
'Records what checkpoints say of stages, for each lane and stage.';
revoke execute on function milepost_private.record_stage_lanes(milepost_private.entry[]) from public, anon, authenticated;
grant execute on function milepost_private.record_stage_lanes(milepost_private.entry[]) to service_role;

-- record_stages: what entries say of stages. Counts follow the lanes' rules, for each lane and stage.
create or replace function milepost_private.record_stages(entries milepost_private.entry[], at timestamptz)
returns milepost_private.event_draft[]
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_jobs   uuid[];
  v_before jsonb;
  v_committed milepost_private.entry[];
  v_open   milepost_private.entry[];
  v_drafts milepost_private.event_draft[];
  v_job_id uuid;
begin
  select array_agg(distinct e.job_id) into v_jobs from unnest(entries) e where e.stages is not null or e.items is not null;

  select jsonb_object_agg(s.job_id || ' ' || s.name, s.state) into v_before
  from milepost.stages s where s.job_id = any (v_jobs);

  -- New stages, in the order in which they are named. An item may name one that no checkpoint has described.
  insert into milepost.stages (tenant_id, job_id, name, position)
  select j.tenant_id, n.job_id, n.name,
         (select coalesce(max(s.position), 0) from milepost.stages s where s.job_id = n.job_id)
         + row_number() over (partition by n.job_id order by n.first)
  from (
    select m.job_id, m.name, min(m.first) as first
    from (
      select e.job_id, s.value ->> 'name' as name, e.n * 1000.0 + s.k as first
      from unnest(entries) e, jsonb_array_elements(e.stages) with ordinality as s (value, k)
      union all
      select e.job_id, i.value ->> 'stage', e.n * 1000.0 + 999
      from unnest(entries) e, jsonb_array_elements(e.items) as i (value)
      where i.value ->> 'stage' is not null
    ) m group by m.job_id, m.name
  ) n
  join milepost.jobs j on j.job_id = n.job_id
  on conflict do nothing;

  -- A cursor commits what the lane's stages had counted when it was said, so what precedes it is recorded first.
  select array_agg(e) filter (where e.seq <= m.seq), array_agg(e) filter (where m.seq is null or e.seq > m.seq)
  into v_committed, v_open
  from unnest(entries) e
  left join (select c.job_id, c.worker, max(c.seq) as seq from unnest(entries) c where c.names_cursor group by c.job_id, c.worker) m
    on m.job_id = e.job_id and m.worker = e.worker;
  perform milepost_private.record_stage_lanes(v_committed);
  perform milepost_private.commit_stage_counts(v_committed);
  perform milepost_private.record_stage_lanes(v_open);

  -- Of a lane that counts by stage, what it had done at first contact.
  update milepost.lanes l set first_work = milepost_private.lane_work(l)
  where l.job_id = any (v_jobs) and l.first_checkpoint_at = record_stages.at;

  -- Weights, and states from what the lanes say: failed if one failed, completed once all that spoke of it have.
  update milepost.stages s set
    weight = coalesce(w.weight, s.weight),
    state = d.state,
    started_at = coalesce(s.started_at, case when d.state <> 'pending' then at end),
    finished_at = case when d.state in ('completed', 'failed', 'skipped', 'canceled') then coalesce(s.finished_at, at) end
  from milepost.stages m
  cross join lateral (
    select max(l.weight) as weight from milepost_private.stage_lanes l where l.job_id = m.job_id and l.stage = m.name
  ) w
  cross join lateral (
    select case
      -- The job has ended: what arrives later still counts, but changes no state.
      when (select j.finished_at is not null from milepost.jobs j where j.job_id = m.job_id) then m.state
      when bool_or(w.state = 'failed') then 'failed'
      when bool_and(w.state = 'skipped') then 'skipped'
      when bool_and(w.state in ('completed', 'skipped')) then 'completed'
      when bool_and(w.state in ('completed', 'skipped', 'canceled')) then 'canceled'
      when bool_and(w.state = 'pending') then 'pending'
      when count(*) > 0 then 'running'
      when exists (select from unnest(entries) e, jsonb_array_elements(e.items) i
                   where e.job_id = m.job_id and i ->> 'stage' = m.name) and m.state = 'pending' then 'running'
      else m.state end as state
    from (select coalesce(l.state, 'running') as state
          from milepost_private.stage_lanes l
          where l.job_id = m.job_id and l.stage = m.name
            -- A lane of an older attempt that left the stage unfinished is gone: it no longer holds the stage open.
            and (l.state is not null or l.attempt = (select j.attempt from milepost.jobs j where j.job_id = m.job_id))
         ) w
  ) d
  where m.job_id = any (v_jobs) and s.job_id = m.job_id and s.name = m.name
    and (d.state <> s.state or w.weight is distinct from s.weight and w.weight is not null);

  foreach v_job_id in array coalesce(v_jobs, '{}') loop
    perform milepost_private.sum_job(v_job_id);
  end loop;

  select array_agg(row(s.job_id, 'stage.changed', milepost_private.stage_json(s))::milepost_private.event_draft order by s.job_id, s.position) into v_drafts
  from milepost.stages s
  where s.job_id = any (v_jobs) and s.state is distinct from coalesce(v_before ->> (s.job_id || ' ' || s.name), 'pending');
  return v_drafts;
end;
$$;
comment on function milepost_private.record_stages(milepost_private.entry[], timestamptz) is
'Records what checkpoints say of stages, sums the jobs anew and returns the stage.changed events.';
revoke execute on function milepost_private.record_stages(milepost_private.entry[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.record_stages(milepost_private.entry[], timestamptz) to service_role;

-- ==== sql/schema/47_commit_stage_counts.sql

-- commit_stage_counts: a cursor commits what the lane's stages had counted when it was said.
create or replace function milepost_private.commit_stage_counts(entries milepost_private.entry[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update milepost_private.stage_lanes l set
    cursor_seq = c.seq,
    -- A cursor that was said to be null commits nothing: work would begin anew.
    cursor_completed = case when c.commits then l.items_completed else 0 end, cursor_failed = case when c.commits then l.items_failed else 0 end,
    cursor_skipped = case when c.commits then l.items_skipped else 0 end, cursor_canceled = case when c.commits then l.items_canceled else 0 end,
    cursor_bytes = case when c.commits then l.bytes_processed else 0 end
  from (select e.job_id, e.worker, max(e.seq) as seq, (array_agg(e.cursor order by e.seq desc))[1] is not null as commits
        from unnest(entries) e where e.names_cursor group by e.job_id, e.worker) c
  -- What the lane has said of the stage since is not in this cursor.
  where l.job_id = c.job_id and l.worker = c.worker and c.seq > l.cursor_seq and l.seq <= c.seq;
end;
$$;
comment on function milepost_private.commit_stage_counts(milepost_private.entry[]) is
'Keeps, for each lane that says a cursor, its stages'' counts as they are at it.';
revoke execute on function milepost_private.commit_stage_counts(milepost_private.entry[]) from public, anon, authenticated;
grant execute on function milepost_private.commit_stage_counts(milepost_private.entry[]) to service_role;

-- ==== sql/schema/47_record_facts.sql

-- record_facts: what entries say of their jobs beside counts: kind, name, unit, metadata, deadline and rate limit. Of each
-- lane and field the greatest seq counts; between lanes the later receipt wins. Call it when the lanes are there.
create or replace function milepost_private.record_facts(entries milepost_private.entry[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  with folded as (
    select e.job_id, e.worker, max(e.n) as n,
           (array_agg(e.rate_limited_until order by e.seq desc) filter (where e.names_rate_limit))[1] as rate_limited_until,
           coalesce(max(e.seq) filter (where e.names_rate_limit), -1) as rate_limited_seq,
           (array_agg(e.processing_deadline_ms order by e.seq desc) filter (where e.names_deadline))[1] as deadline_ms,
           coalesce(max(e.seq) filter (where e.names_deadline), -1) as deadline_seq,
           (array_agg(e.metadata order by e.seq desc) filter (where e.metadata is not null))[1] as metadata,
           coalesce(max(e.seq) filter (where e.metadata is not null), -1) as metadata_seq,
           (array_agg(e.kind order by e.seq desc) filter (where e.kind is not null))[1] as kind,
           coalesce(max(e.seq) filter (where e.kind is not null), -1) as kind_seq,
           (array_agg(e.name order by e.seq desc) filter (where e.name is not null))[1] as name,
           coalesce(max(e.seq) filter (where e.name is not null), -1) as name_seq,
           (array_agg(e.unit order by e.seq desc) filter (where e.unit is not null))[1] as unit,
           coalesce(max(e.seq) filter (where e.unit is not null), -1) as unit_seq
    from unnest(entries) e
    group by e.job_id, e.worker
  ), news as (
    select f.*, f.rate_limited_seq > l.rate_limited_seq as has_rate_limit, f.deadline_seq > l.deadline_seq as has_deadline,
           f.metadata_seq > l.metadata_seq as has_metadata, f.kind_seq > l.kind_seq as has_kind,
           f.name_seq > l.name_seq as has_name, f.unit_seq > l.unit_seq as has_unit
    from folded f join milepost.lanes l on l.job_id = f.job_id and l.worker = f.worker
  ), kept as (
    update milepost.lanes l set
      rate_limited_seq = greatest(l.rate_limited_seq, n.rate_limited_seq), deadline_seq = greatest(l.deadline_seq, n.deadline_seq),
      metadata_seq = greatest(l.metadata_seq, n.metadata_seq), kind_seq = greatest(l.kind_seq, n.kind_seq),
      name_seq = greatest(l.name_seq, n.name_seq), unit_seq = greatest(l.unit_seq, n.unit_seq)
    from news n where l.job_id = n.job_id and l.worker = n.worker
      and (n.has_rate_limit or n.has_deadline or n.has_metadata or n.has_kind or n.has_name or n.has_unit)
  )
  update milepost.jobs j set
    rate_limited_until = case when c.has_rate_limit then c.rate_limited_until else j.rate_limited_until end,
    processing_deadline_ms = case when c.has_deadline then c.deadline_ms else j.processing_deadline_ms end,
    metadata = coalesce(c.metadata, j.metadata), kind = coalesce(c.kind, j.kind), name = coalesce(c.name, j.name),
    unit = coalesce(c.unit, j.unit)
  from (
    select n.job_id, bool_or(n.has_rate_limit) as has_rate_limit, bool_or(n.has_deadline) as has_deadline,
           (array_agg(n.rate_limited_until order by n.n desc) filter (where n.has_rate_limit))[1] as rate_limited_until,
           (array_agg(n.deadline_ms order by n.n desc) filter (where n.has_deadline))[1] as deadline_ms,
           (array_agg(n.metadata order by n.n desc) filter (where n.has_metadata))[1] as metadata,
           (array_agg(n.kind order by n.n desc) filter (where n.has_kind))[1] as kind,
           (array_agg(n.name order by n.n desc) filter (where n.has_name))[1] as name,
           (array_agg(n.unit order by n.n desc) filter (where n.has_unit))[1] as unit
    from news n
    where n.has_rate_limit or n.has_deadline or n.has_metadata or n.has_kind or n.has_name or n.has_unit
    group by n.job_id
  ) c
  where j.job_id = c.job_id;
end;
$$;
comment on function milepost_private.record_facts(milepost_private.entry[]) is
'Records what checkpoints say of kind, name, unit, metadata, deadline and rate limit of their jobs.';
revoke execute on function milepost_private.record_facts(milepost_private.entry[]) from public, anon, authenticated;
grant execute on function milepost_private.record_facts(milepost_private.entry[]) to service_role;

-- ==== sql/schema/47_record_items.sql

-- record_items: what entries say of items. Of each lane its greatest (attempt, seq) counts; between lanes a settled state
-- beats an unsettled one, then the later receipt wins. The words of lanes that lost are kept beside the item (others),
-- so that what arrives late is compared with its own lane's word.
create or replace function milepost_private.record_items(entries milepost_private.entry[], at timestamptz)
returns milepost_private.event_draft[]
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_drafts milepost_private.event_draft[];
begin
  with said as (
    select distinct on (m.job_id, m.stage, m.key, m.worker) m.*
    from (
      select e.job_id, e.worker, e.attempt, e.seq, e.n, r.key, r.state, r.percent, r.duration_ms,
             nullif(r.payload, 'null') as payload, r.error,
             coalesce(r.stage, case when jsonb_array_length(e.stages) = 1 then e.stages -> 0 ->> 'name' end, '') as stage, i.k
      from unnest(entries) e, jsonb_array_elements(e.items) with ordinality as i (value, k),
      lateral jsonb_to_record(i.value) as r (key text, stage text, state text, percent double precision,
        duration_ms double precision, payload jsonb, error text)
    ) m
    order by m.job_id, m.stage, m.key, m.worker, m.attempt desc, m.seq desc, m.n desc, m.k desc
  ), touched as (
    select distinct s.job_id, s.stage, s.key from said s
  ), known as (
    select i.* from milepost.items i join touched t on (t.job_id, t.stage, t.key) = (i.job_id, i.stage, i.key)
  ), words as (
    -- Each lane's last word: what was kept, and what was said now.
    select distinct on (w.job_id, w.stage, w.key, w.worker) w.*
    from (
      select s.job_id, s.stage, s.key, s.worker, s.attempt, s.seq, s.state, s.percent, s.duration_ms, s.payload, s.error,
             record_items.at as received_at, s.n, false as was_kept
      from said s
      union all
      select k.job_id, k.stage, k.key, k.worker, k.attempt, k.seq, k.state, k.percent, k.duration_ms, k.payload, k.error,
             k.received_at, 0, true
      from known k
      union all
      select k.job_id, k.stage, k.key, o.key, r.attempt, r.seq, r.state, r.percent, r.duration_ms, r.payload, r.error,
             r.received_at, 0, true
      from known k, jsonb_each(k.others) o,
      lateral jsonb_to_record(o.value) as r (attempt int, seq bigint, state text, percent double precision,
        duration_ms double precision, payload jsonb, error text, received_at timestamptz)
    ) w
    order by w.job_id, w.stage, w.key, w.worker, w.attempt desc, w.seq desc, w.was_kept desc
  ), ranked as (
    select w.*, row_number() over (
             partition by w.job_id, w.stage, w.key
             order by w.state in ('completed', 'failed', 'skipped', 'canceled') desc, w.received_at desc, w.n desc, w.worker
           ) as place
    from words w
  ), won as (
    select r.*, (
      select jsonb_object_agg(l.worker, jsonb_build_object('attempt', l.attempt, 'seq', l.seq, 'state', l.state,
               'percent', l.percent, 'duration_ms', l.duration_ms, 'payload', l.payload, 'error', l.error,
               'received_at', l.received_at))
      from ranked l where (l.job_id, l.stage, l.key) = (r.job_id, r.stage, r.key) and l.place > 1
    ) as others
    from ranked r where r.place = 1
  ), kept as (
    insert into milepost.items as i (tenant_id, job_id, stage, key, state, percent, duration_ms, payload, error, worker,
                                     attempt, seq, received_at, others)
    select j.tenant_id, w.job_id, w.stage, w.key, w.state,
           case when w.state = 'completed' then 100 else w.percent end, w.duration_ms, w.payload, w.error, w.worker,
           w.attempt, w.seq, w.received_at, w.others
    from won w join milepost.jobs j on j.job_id = w.job_id
    order by w.job_id, w.stage, w.key
    on conflict on constraint items_pkey do update set
      state = excluded.state, percent = excluded.percent, duration_ms = excluded.duration_ms, payload = excluded.payload,
      error = excluded.error, worker = excluded.worker, attempt = excluded.attempt, seq = excluded.seq,
      received_at = excluded.received_at, others = excluded.others
  ), tally as (
    insert into milepost_private.item_tallies as t (job_id, stage, completed, failed, skipped, canceled)
    select w.job_id, w.stage,
           count(*) filter (where w.state = 'completed') - count(*) filter (where k.state = 'completed'),
           count(*) filter (where w.state = 'failed')    - count(*) filter (where k.state = 'failed'),
           count(*) filter (where w.state = 'skipped')   - count(*) filter (where k.state = 'skipped'),
           count(*) filter (where w.state = 'canceled')  - count(*) filter (where k.state = 'canceled')
    from won w left join known k on (k.job_id, k.stage, k.key) = (w.job_id, w.stage, w.key)
    group by w.job_id, w.stage
    order by w.job_id, w.stage
    on conflict on constraint item_tallies_pkey do update set
      completed = t.completed + excluded.completed, failed = t.failed + excluded.failed,
      skipped = t.skipped + excluded.skipped, canceled = t.canceled + excluded.canceled
  )
  select array_agg(row(w.job_id, 'item.changed', jsonb_build_object(
      'key', w.key, 'stage', nullif(w.stage, ''), 'state', w.state, 'prior_state', k.state, 'percent', w.percent,
      'duration_ms', w.duration_ms, 'payload', w.payload, 'error', w.error, 'worker', w.worker
    ))::milepost_private.event_draft order by w.job_id, w.n, w.stage, w.key) into v_drafts
  from won w left join known k on (k.job_id, k.stage, k.key) = (w.job_id, w.stage, w.key)
  where w.state <> coalesce(k.state, 'pending');
  return v_drafts;
end;
$$;
comment on function milepost_private.record_items(milepost_private.entry[], timestamptz) is
'Records what checkpoints say of items, keeps the tallies and returns the item.changed events.';
revoke execute on function milepost_private.record_items(milepost_private.entry[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.record_items(milepost_private.entry[], timestamptz) to service_role;

-- ==== sql/schema/48_restore_cursor_counts.sql

-- restore_cursor_counts: what a lane and its stages had counted at its cursor, from its history. For what arrives out of order.
create or replace function milepost_private.restore_cursor_counts(job_id uuid, worker text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update milepost.lanes l set
    cursor_completed = coalesce(h.completed, 0), cursor_failed = coalesce(h.failed, 0),
    cursor_skipped = coalesce(h.skipped, 0), cursor_canceled = coalesce(h.canceled, 0), cursor_bytes = coalesce(h.bytes, 0)
  from milepost.lanes m
  cross join lateral (
    select max(c.items_completed) as completed, max(c.bytes_processed) as bytes,
           (array_agg(c.items_failed order by c.seq desc) filter (where c.items_failed is not null))[1] as failed,
           (array_agg(c.items_skipped order by c.seq desc) filter (where c.items_skipped is not null))[1] as skipped,
           (array_agg(c.items_canceled order by c.seq desc) filter (where c.items_canceled is not null))[1] as canceled
    from milepost.checkpoints c
    where c.job_id = m.job_id and c.worker = m.worker and c.attempt = m.attempt and c.seq <= m.cursor_seq and m.cursor is not null
  ) h
  where m.job_id = restore_cursor_counts.job_id and m.worker = restore_cursor_counts.worker
    and l.job_id = m.job_id and l.worker = m.worker;

  update milepost_private.stage_lanes s set
    cursor_seq = m.cursor_seq,
    cursor_completed = coalesce(h.completed, 0), cursor_failed = coalesce(h.failed, 0),
    cursor_skipped = coalesce(h.skipped, 0), cursor_canceled = coalesce(h.canceled, 0), cursor_bytes = coalesce(h.bytes, 0)
  from milepost.lanes m
  join milepost_private.stage_lanes n on n.job_id = m.job_id and n.worker = m.worker
  cross join lateral (
    select max(r.items_completed) as completed, max(r.bytes_processed) as bytes,
           (array_agg(r.items_failed order by c.seq desc) filter (where r.items_failed is not null))[1] as failed,
           (array_agg(r.items_skipped order by c.seq desc) filter (where r.items_skipped is not null))[1] as skipped,
           (array_agg(r.items_canceled order by c.seq desc) filter (where r.items_canceled is not null))[1] as canceled
    from milepost.checkpoints c,
    lateral jsonb_to_recordset(c.stages) as r (name text, items_completed bigint, items_failed bigint, items_skipped bigint,
      items_canceled bigint, bytes_processed bigint)
    where c.job_id = m.job_id and c.worker = m.worker and c.attempt = m.attempt and c.seq <= m.cursor_seq
      and m.cursor is not null and r.name = n.stage
  ) h
  where m.job_id = restore_cursor_counts.job_id and m.worker = restore_cursor_counts.worker
    and s.job_id = n.job_id and s.stage = n.stage and s.worker = n.worker;
end;
$$;
comment on function milepost_private.restore_cursor_counts(uuid, text) is
'Sets a lane''s counts at its cursor, and those of its stages, from its checkpoints of this attempt.';
revoke execute on function milepost_private.restore_cursor_counts(uuid, text) from public, anon, authenticated;
grant execute on function milepost_private.restore_cursor_counts(uuid, text) to service_role;

-- ==== sql/schema/49_checkpoints_answer.sql

-- checkpoints_answer: what a worker hears: for each job what became of its entries and what to do now.
create or replace function milepost_private.checkpoints_answer(
  entries milepost_private.entry[], some_refused boolean, indexes jsonb, at timestamptz
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_results jsonb;
  v_errors  jsonb;
begin
  with heard as (
    select e.job_id, min(e.n) as n,
           count(*) filter (where e.refusal is null and not e.is_duplicate) as accepted,
           count(*) filter (where e.refusal is null and e.is_duplicate) as duplicates,
           sum((e.batch ->> 'items')::double precision) filter (where e.batch ->> 'duration_ms' is not null)
             / nullif(sum((e.batch ->> 'duration_ms')::double precision) filter (where e.batch ->> 'items' is not null), 0) as items_per_ms,
           max(e.attempt) as attempt
    from unnest(entries) e
    where e.job_id is not null and coalesce(e.refusal, '') not in ('unknown_attempt', 'not_allowed')
    group by e.job_id
  )
  select jsonb_agg(jsonb_build_object(
    'job', j.key, 'job_id', j.job_id, 'attempt', j.attempt, 'state', j.state, 'version', j.version,
    'accepted', h.accepted, 'duplicates', h.duplicates,
    'directive', case
      -- Also of an attempt that ended while this request was recorded.
      when h.attempt < j.attempt or j.state = 'failed' then 'stop'
      when j.state in ('canceling', 'canceled') then 'cancel'
      when j.state in ('pausing', 'paused') then 'pause'
      else 'continue' end,
    'percent_complete', f.percent_complete, 'eta_ms', f.eta_ms, 'next_checkpoint_ms', c.interval_ms,
    'suggested_batch_items', case when h.items_per_ms is not null then least(greatest(round(h.items_per_ms * c.interval_ms), 1), 1e9) end
  ) order by h.n)
  into v_results
  from heard h
  join milepost.jobs j on j.job_id = h.job_id
  left join milepost_private.pulses p on p.job_id = j.job_id
  left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  join milepost.tenants t on t.tenant_id = j.tenant_id
  left join milepost_private.tenant_loads o on o.tenant_id = j.tenant_id
  -- If each job at work sent each checkpoint by itself, they would together take half of what the tenant may send.
  cross join lateral (select greatest(1000, 2000.0 * o.jobs_at_work / t.requests_per_s)) c (interval_ms)
  cross join lateral milepost_private.figures(j, p, k, checkpoints_answer.at) f;
  if some_refused then
    select jsonb_agg(jsonb_build_object(
      'index', coalesce((indexes -> (e.n - 1))::int, e.n - 1),
      'code', e.refusal,
      'message', case e.refusal
        when 'stale_attempt' then format('Expected attempt %s of job %s; this is from attempt %s, which is over.', e.current_attempt, e.job, e.attempt)
        when 'not_allowed' then format('Expected a job of a kind that the key is for; %s is none.', e.job)
        when 'unknown_attempt' then format('Expected attempt %s of job %s; found attempt %s, which has not begun.', coalesce(e.current_attempt, 1), e.job, e.attempt)
        else format('Expected a job with this id; %s is not one.', e.job) end,
      'hint', case e.refusal
        when 'stale_attempt' then 'Stop: another worker may have taken over from the last cursor.'
        when 'not_allowed' then 'Use a key for this kind, or one without kinds.'
        when 'unknown_attempt' then 'Use the attempt that create, claim or the last answer gave, or leave it out.'
        else 'Check the id, or use a key of your own to create a job.' end
    ) order by e.n)
    into v_errors
    from unnest(entries) e where e.refusal is not null;
  end if;
  return jsonb_build_object('results', coalesce(v_results, '[]'), 'errors', coalesce(v_errors, '[]'));
end;
$$;
comment on function milepost_private.checkpoints_answer(milepost_private.entry[], boolean, jsonb, timestamptz) is
'The body of the answer to POST /v1/checkpoints.';
revoke execute on function milepost_private.checkpoints_answer(milepost_private.entry[], boolean, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.checkpoints_answer(milepost_private.entry[], boolean, jsonb, timestamptz) to service_role;

-- ==== sql/schema/49_settle_states.sql

-- settle_states: bring jobs to the state that their lanes' words make it. What else the request changed is told in between: after a
-- job's beginning, and before its end, which a client may take for the last word.
create or replace function milepost_private.settle_states(
  job_ids uuid[], entries milepost_private.entry[], drafts milepost_private.event_draft[], at timestamptz
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_begun  uuid[];
  v_actors text[];
  v_moves  jsonb;
  v_move   record;
begin
  with settling as materialized (
    select j.job_id, j.state, j.state_reason, j.state_actor, d.new_state
    from milepost.jobs j
    cross join lateral (
      select count(*) as n,
             count(*) filter (where l.state in ('completed', 'canceled', 'failed')) as settled,
             count(*) filter (where l.state = 'failed') as failed,
             count(*) filter (where l.state = 'canceled') as canceled,
             count(*) filter (where l.state = 'paused') as paused,
             count(*) filter (where l.state in ('completing', 'completed')) as completing
      from milepost.lanes l where l.job_id = j.job_id and l.attempt = j.attempt
    ) l
    cross join lateral (
      select case
        when j.state = 'canceling' then
          case when l.settled = l.n then case when l.failed + l.canceled > 0 then 'canceled' else 'completed' end end
        when l.failed > 0 then case when j.attempt < j.max_attempts then 'retrying' else 'failed' end
        when l.settled = l.n and l.canceled > 0 then 'canceled'
        when l.settled = l.n and l.n >= coalesce(j.workers_expected, 1) then 'completed'
        when l.paused > 0 and l.paused + l.settled = l.n and j.state in ('running', 'pausing') then 'paused'
        when j.state = 'running' and l.completing = l.n and l.settled < l.n then 'completing'
        -- A worker that paused on its own goes on by itself; one that was paused by a person waits for one.
        when j.state = 'paused' and l.paused = 0 and j.state_actor like 'worker:%' then 'running'
      end as new_state
    ) d
    -- What arrives after the end still counts, but changes no state.
    where j.job_id = any (job_ids) and not milepost_private.is_terminal(j.state)
  ), worded as (
    -- Who said it, and why: of a job's entries the one that named the state it comes to, else the last that named one, else the first.
    select distinct on (s.job_id) s.*, e.worker, e.state is not null as named,
           coalesce(e.reason, case when s.new_state in ('failed', 'retrying') then e.message end) as reason
    from settling s
    join unnest(entries) e on e.job_id = s.job_id and e.refusal is null
    order by s.job_id, e.state is not null desc,
             (e.state = case when s.new_state in ('failed', 'retrying') then 'failed' else s.new_state end) desc,
             case when e.state is null then e.n end, e.seq desc, e.n desc
  )
  select array_agg(w.job_id order by w.job_id) filter (where w.state in ('pending', 'retrying') and w.new_state is distinct from 'canceled'),
         array_agg('worker:' || w.worker order by w.job_id) filter (where w.state in ('pending', 'retrying') and w.new_state is distinct from 'canceled'),
         jsonb_agg(jsonb_build_object('job_id', w.job_id, 'new_state', w.new_state,
           -- An acknowledgement keeps the reason, and the name of the person who asked.
           'reason', case when w.state in ('pausing', 'canceling') then w.state_reason when w.named then w.reason end,
           'actor', case when w.state in ('pausing', 'canceling') then w.state_actor when w.named then 'worker:' || w.worker end)
           order by w.job_id) filter (where w.new_state is not null)
  into v_begun, v_actors, v_moves
  from worded w;

  if v_begun is not null then
    perform milepost_private.begin_jobs(v_begun, v_actors, at);
  end if;
  if drafts is not null then
    perform milepost_private.emit(drafts, at);
  end if;
  for v_move in
    select r.* from jsonb_to_recordset(v_moves) as r (job_id uuid, new_state text, reason text, actor text)
  loop
    perform milepost_private.transition(v_move.job_id, v_move.new_state, 'report', v_move.reason, v_move.actor, at);
  end loop;
end;
$$;
comment on function milepost_private.settle_states(uuid[], milepost_private.entry[], milepost_private.event_draft[], timestamptz) is
'Changes jobs'' states as their lanes'' states demand: running at first contact, paused, completing, completed, canceled, failed or the next attempt. Writes the given events after beginnings and before ends.';
revoke execute on function milepost_private.settle_states(uuid[], milepost_private.entry[], milepost_private.event_draft[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.settle_states(uuid[], milepost_private.entry[], milepost_private.event_draft[], timestamptz) to service_role;

-- ==== sql/schema/50_record_checkpoints.sql

-- record_checkpoints: everything that workers say. A whole request in one transaction, whatever its order or repetition.
-- The one parameter has no name, so that PostgREST hands over the request's body in one piece:
--   {"caller": {...}, "checkpoints": [...], "indexes": [...], "received_at": "..."}
-- or, with the same checkpoints as columns (45_said.sql), {"caller": {...}, "columns": {...}, "indexes": [...]}.
-- indexes: the entries' places in the client's request, where others were refused before. received_at: for tests.
create or replace function milepost.record_checkpoints(jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
set lock_timeout = '5s'                     -- a job whose row is held for longer is answered 503, and sent again
set plan_cache_mode = 'force_generic_plan'  -- planning these statements anew takes longer than running them
as $$
declare
  v_caller  milepost_private.caller := milepost_private.resolve_caller($1 -> 'caller', array['worker', 'operator']);
  v_now     timestamptz;
  v_all     milepost_private.entry[];
  v_entries milepost_private.entry[];
  v_refs    text[];
  v_ids     uuid[];
  v_jobs    uuid[];
  v_has     record;
  v_settle  uuid[];
  v_sum     uuid[];
  v_late_jobs    uuid[];
  v_late_workers text[];
  v_drafts  milepost_private.event_draft[];
  v_due     uuid[];
  v_tenths  uuid[];
  v_staged  uuid[];
  v_shared  uuid[];
  v_has_stages boolean;
begin
  -- JOBS: the missing ones are made in the order of their keys, then all are locked in the order of their ids, so that
  -- requests cannot deadlock.
  if $1 ? 'columns' then
    v_refs := array(select distinct r.job from jsonb_array_elements_text($1 -> 'columns' -> 'jobs') as r (job));
  else
    v_refs := array(select distinct t.e ->> 'job' from jsonb_array_elements($1 -> 'checkpoints') as t (e));
  end if;
  v_ids := milepost_private.jobs_by_refs(v_caller.tenant_id, v_refs);
  if array_position(v_ids, null) is not null then
    perform milepost_private.add_job(v_caller.tenant_id, jsonb_build_object('job', c.job, 'kind', c.kind, 'name', c.name, 'unit', c.unit,
                                       'metadata', c.metadata, 'processing_deadline_ms', c.processing_deadline_ms),
                                     coalesce(($1 ->> 'received_at')::timestamptz, clock_timestamp()))
    from (
      select distinct on (s.job) s.*
      from unnest(v_refs, v_ids) as r (job, job_id)
      join milepost_private.said($1) s on s.job = r.job
      where r.job_id is null and not pg_input_is_valid(r.job, 'uuid') and coalesce(s.attempt, 1) = 1
        and (v_caller.kinds is null or coalesce(s.kind, 'default') = any (v_caller.kinds))
      order by s.job, s.n
    ) c;
    v_ids := milepost_private.jobs_by_refs(v_caller.tenant_id, v_refs);
  end if;
  v_jobs := array(select j.job_id from milepost.jobs j where j.job_id = any (v_ids) order by j.job_id for no key update);
  v_now := coalesce(($1 ->> 'received_at')::timestamptz, clock_timestamp());

  -- ENTRIES: each with its job, attempt and seq, or the reason why it is refused.
  v_has := milepost_private.parse_checkpoints(v_caller, $1, v_refs, v_ids, v_now);
  v_all := v_has.entries;
  if v_has.some_refused then
    select array_agg(e), array_agg(distinct e.job_id) into v_entries, v_jobs from unnest(v_all) e where e.refusal is null;
  else
    v_entries := v_all;
  end if;

  -- LANES and the jobs' sums. A lane's new values are the greatest (completed, bytes) or what its greatest seq said (all else).
  with folded as (
    select e.job_id, e.worker, max(e.attempt) as attempt, max(e.seq) as seq, min(e.seq) as first_seq, max(e.n) as n,
           range_agg(int8range(least(e.seq, 9223372036854775806), least(e.seq, 9223372036854775806), '[]')) as seen,
           max(e.items_completed) as completed, max(e.bytes_processed) as bytes,
           (array_agg(e.items_failed order by e.seq desc) filter (where e.items_failed is not null))[1] as failed,
           coalesce(max(e.seq) filter (where e.items_failed is not null), -1) as failed_seq,
           (array_agg(e.items_skipped order by e.seq desc) filter (where e.items_skipped is not null))[1] as skipped,
           coalesce(max(e.seq) filter (where e.items_skipped is not null), -1) as skipped_seq,
           (array_agg(e.items_canceled order by e.seq desc) filter (where e.items_canceled is not null))[1] as canceled,
           coalesce(max(e.seq) filter (where e.items_canceled is not null), -1) as canceled_seq,
           (array_agg(e.items_total order by e.seq desc) filter (where e.names_total))[1] as total,
           coalesce(max(e.seq) filter (where e.names_total), -1) as total_seq,
           (array_agg(e.worker_items_total order by e.seq desc) filter (where e.names_worker_total))[1] as worker_total,
           coalesce(max(e.seq) filter (where e.names_worker_total), -1) as worker_total_seq,
           (array_agg(e.state order by e.seq desc) filter (where e.state is not null))[1] as state,
           coalesce(max(e.seq) filter (where e.state is not null), -1) as state_seq,
           (array_agg(e.message order by e.seq desc) filter (where e.names_message))[1] as message,
           coalesce(max(e.seq) filter (where e.names_message), -1) as message_seq,
           (array_agg(e.cursor order by e.seq desc) filter (where e.names_cursor))[1] as cursor,
           coalesce(max(e.seq) filter (where e.names_cursor), -1) as cursor_seq,
           bool_or(coalesce(e.items_completed, e.items_failed, e.items_skipped, e.items_canceled) is not null) as reported
    from unnest(v_entries) e
    group by e.job_id, e.worker
  ), at_cursor as (
    -- Mostly the cursor came with the greatest seq, and all of it is folded already.
    select f.job_id, f.worker, f.completed, f.bytes, f.failed, f.skipped, f.canceled from folded f where f.cursor_seq = f.seq
    union all
    select e.job_id, e.worker, max(e.items_completed), max(e.bytes_processed),
           (array_agg(e.items_failed order by e.seq desc) filter (where e.items_failed is not null))[1],
           (array_agg(e.items_skipped order by e.seq desc) filter (where e.items_skipped is not null))[1],
           (array_agg(e.items_canceled order by e.seq desc) filter (where e.items_canceled is not null))[1]
    from folded f join unnest(v_entries) e on e.job_id = f.job_id and e.worker = f.worker
    where f.cursor_seq between 0 and f.seq - 1 and e.seq <= f.cursor_seq
    group by e.job_id, e.worker
  ), next as (
    select f.*, coalesce(f.first_seq <= l.seq, false) as is_late,
           coalesce(l.state, 'running') as prior_state, l.attempt is distinct from f.attempt as is_first_word,
           case when f.state_seq > coalesce(l.state_seq, -1) then f.state else coalesce(l.state, 'running') end as new_state,
           greatest(l.items_completed, f.completed, 0) as new_completed, coalesce(l.items_completed, 0) as old_completed,
           greatest(l.bytes_processed, f.bytes, 0) as new_bytes, coalesce(l.bytes_processed, 0) as old_bytes,
           case when f.failed_seq > coalesce(l.failed_seq, -1) then f.failed else coalesce(l.items_failed, 0) end as new_failed,
           coalesce(l.items_failed, 0) as old_failed,
           case when f.skipped_seq > coalesce(l.skipped_seq, -1) then f.skipped else coalesce(l.items_skipped, 0) end as new_skipped,
           coalesce(l.items_skipped, 0) as old_skipped,
           case when f.canceled_seq > coalesce(l.canceled_seq, -1) then f.canceled else coalesce(l.items_canceled, 0) end as new_canceled,
           coalesce(l.items_canceled, 0) as old_canceled,
           case when f.total_seq > coalesce(l.total_seq, -1) then f.total else l.items_total end as new_total, l.items_total as old_total,
           case when f.worker_total_seq > coalesce(l.worker_total_seq, -1) then f.worker_total else l.worker_items_total end as new_worker_total,
           l.worker_items_total as old_worker_total,
           f.message_seq > coalesce(l.message_seq, -1) as has_message,
           f.cursor_seq > coalesce(l.cursor_seq, -1) as has_cursor,
           -- A cursor that was said to be null commits nothing: work would begin anew.
           f.cursor_seq > coalesce(l.cursor_seq, -1) and f.cursor is not null as commits,
           greatest(case when f.first_seq > coalesce(l.seq, -1) then l.items_completed end, c.completed, 0) as cursor_completed,
           greatest(case when f.first_seq > coalesce(l.seq, -1) then l.bytes_processed end, c.bytes, 0) as cursor_bytes,
           coalesce(c.failed, l.items_failed, 0) as cursor_failed, coalesce(c.skipped, l.items_skipped, 0) as cursor_skipped,
           coalesce(c.canceled, l.items_canceled, 0) as cursor_canceled,
           coalesce(l.cursor_seq, -1) as old_cursor_seq
    from folded f
    left join milepost.lanes l on l.job_id = f.job_id and l.worker = f.worker
    left join at_cursor c on c.job_id = f.job_id and c.worker = f.worker
  ), kept as (
    insert into milepost.lanes as l (tenant_id, job_id, worker, attempt, seq, seen, state, state_seq, items_completed,
      bytes_processed, items_failed, failed_seq, items_skipped, skipped_seq, items_canceled, canceled_seq, items_total,
      total_seq, worker_items_total, worker_total_seq, message_seq, cursor, cursor_seq, cursor_at, cursor_completed, cursor_failed, cursor_skipped, cursor_canceled, cursor_bytes,
      first_checkpoint_at, first_work, last_checkpoint_at, last_progress_at)
    select v_caller.tenant_id, n.job_id, n.worker, n.attempt, n.seq, n.seen, n.new_state, n.state_seq, n.new_completed,
           n.new_bytes, n.new_failed, n.failed_seq, n.new_skipped, n.skipped_seq, n.new_canceled, n.canceled_seq, n.new_total,
           n.total_seq, n.new_worker_total, n.worker_total_seq, n.message_seq, n.cursor, n.cursor_seq, case when n.has_cursor then v_now end,
           case when n.commits then n.cursor_completed else 0 end, case when n.commits then n.cursor_failed else 0 end,
           case when n.commits then n.cursor_skipped else 0 end, case when n.commits then n.cursor_canceled else 0 end,
           case when n.commits then n.cursor_bytes else 0 end, v_now,
           n.new_completed::double precision + n.new_failed + n.new_canceled, v_now,
           case when n.new_completed > n.old_completed or n.new_failed > n.old_failed or n.new_canceled > n.old_canceled
                  or n.new_skipped > n.old_skipped then v_now end
    from next n
    on conflict on constraint lanes_pkey do update set
      attempt = excluded.attempt, seq = greatest(l.seq, excluded.seq),
      -- Bounded: a lane whose seqs leave very many gaps has them filled, and what arrives late there counts as repeated.
      seen = case when pg_column_size(l.seen) < 2000 then l.seen + excluded.seen
                  else int8multirange(range_merge(l.seen + excluded.seen)) end,
      state = excluded.state, state_seq = greatest(l.state_seq, excluded.state_seq),
      items_completed = excluded.items_completed, bytes_processed = excluded.bytes_processed,
      items_failed = excluded.items_failed, failed_seq = greatest(l.failed_seq, excluded.failed_seq),
      items_skipped = excluded.items_skipped, skipped_seq = greatest(l.skipped_seq, excluded.skipped_seq),
      items_canceled = excluded.items_canceled, canceled_seq = greatest(l.canceled_seq, excluded.canceled_seq),
      items_total = excluded.items_total, total_seq = greatest(l.total_seq, excluded.total_seq),
      worker_items_total = excluded.worker_items_total, worker_total_seq = greatest(l.worker_total_seq, excluded.worker_total_seq),
      message_seq = greatest(l.message_seq, excluded.message_seq),
      cursor = case when excluded.cursor_at is not null then excluded.cursor else l.cursor end,
      cursor_seq = greatest(l.cursor_seq, excluded.cursor_seq),
      cursor_at = coalesce(excluded.cursor_at, l.cursor_at),
      cursor_completed = case when excluded.cursor_at is not null then excluded.cursor_completed else l.cursor_completed end,
      cursor_failed = case when excluded.cursor_at is not null then excluded.cursor_failed else l.cursor_failed end,
      cursor_skipped = case when excluded.cursor_at is not null then excluded.cursor_skipped else l.cursor_skipped end,
      cursor_canceled = case when excluded.cursor_at is not null then excluded.cursor_canceled else l.cursor_canceled end,
      cursor_bytes = case when excluded.cursor_at is not null then excluded.cursor_bytes else l.cursor_bytes end,
      first_checkpoint_at = case when l.attempt = excluded.attempt then l.first_checkpoint_at else excluded.first_checkpoint_at end,
      -- What a new attempt goes on from is there already: a lane that counts by stage says none of it here.
      first_work = case when l.attempt = excluded.attempt then l.first_work else greatest(l.first_work, excluded.first_work) end,
      last_checkpoint_at = excluded.last_checkpoint_at,
      last_progress_at = coalesce(excluded.last_progress_at, l.last_progress_at)
  ), changes as (
    select n.job_id,
           sum(n.new_completed::numeric - n.old_completed) as completed, sum(n.new_failed::numeric - n.old_failed) as failed,
           sum(n.new_skipped::numeric - n.old_skipped) as skipped, sum(n.new_canceled::numeric - n.old_canceled) as canceled,
           sum(n.new_bytes::numeric - n.old_bytes) as bytes,
           bool_or(n.reported) as reported,
           bool_or(n.new_total is distinct from n.old_total or n.new_worker_total is distinct from n.old_worker_total) as total_changed,
           bool_or(n.new_state <> n.prior_state or n.is_first_word) as state_changed,
           bool_or(n.new_worker_total is not null) as has_shares,
           bool_or(n.has_message) as has_message,
           (array_agg(n.message order by n.n desc) filter (where n.has_message))[1] as message
    from next n group by n.job_id
  ), summed as (
    update milepost.jobs j set
      items_completed = case when j.counts_reported then least(greatest(j.items_completed + c.completed, 0), 9223372036854775807) else j.items_completed end,
      items_failed = case when j.counts_reported then least(greatest(j.items_failed + c.failed, 0), 9223372036854775807) else j.items_failed end,
      items_skipped = case when j.counts_reported then least(greatest(j.items_skipped + c.skipped, 0), 9223372036854775807) else j.items_skipped end,
      items_canceled = case when j.counts_reported then least(greatest(j.items_canceled + c.canceled, 0), 9223372036854775807) else j.items_canceled end,
      bytes_processed = least(greatest(j.bytes_processed + c.bytes, 0), 9223372036854775807),
      message = case when c.has_message then c.message else j.message end,
      counts_reported = j.counts_reported or c.reported,
      last_checkpoint_at = greatest(j.last_checkpoint_at, v_now),
      last_progress_at = case when c.completed + c.failed + c.skipped + c.canceled > 0 then greatest(j.last_progress_at, v_now)
                              else j.last_progress_at end
    from changes c where j.job_id = c.job_id
    returning j.job_id, j.state, j.has_stages, c.state_changed, c.total_changed, c.reported, c.bytes, c.has_shares
  )
  select array_agg(s.job_id order by s.job_id) filter (where s.state_changed or s.state in ('pending', 'retrying')),
         -- This is its first count, or it has bytes that its stages said, or a count stood at the greatest bigint, from which no
         -- difference tells the sum.
         array_agg(s.job_id order by s.job_id) filter (where s.total_changed or s.reported and not b.counts_reported
           or b.has_stages and s.bytes <> 0
           or greatest(b.items_completed, b.items_failed, b.items_skipped, b.items_canceled, b.bytes_processed) = 9223372036854775807),
         (select array_agg(n.job_id order by n.job_id, n.worker) from next n
          where n.is_late and n.first_seq <= greatest(n.cursor_seq, n.old_cursor_seq)),
         (select array_agg(n.worker order by n.job_id, n.worker) from next n
          where n.is_late and n.first_seq <= greatest(n.cursor_seq, n.old_cursor_seq)),
         array_agg(s.job_id) filter (where s.has_shares),
         bool_or(s.has_stages)
  into v_settle, v_sum, v_late_jobs, v_late_workers, v_shared, v_has_stages
  from summed s
  join milepost.jobs b on b.job_id = s.job_id;  -- as it was before this statement

  if v_has.some_facts then
    perform milepost_private.record_facts(v_entries);
  end if;

  -- What is rare: totals and first counts, what arrived out of order, items, stages, states.
  if v_sum is not null then
    perform milepost_private.sum_job(variadic v_sum);
  end if;
  if v_has.some_items then
    v_drafts := milepost_private.record_items(v_entries, v_now);
  end if;
  if v_has.some_stages or v_has.some_items then
    v_drafts := milepost_private.record_stages(v_entries, v_now) || v_drafts;
  end if;
  -- A cursor commits the counts of stages that no checkpoint of this request names, too.
  if v_has.some_cursors and (v_has_stages or v_has.some_stages or v_has.some_items) then
    perform milepost_private.commit_stage_counts(v_entries);
  end if;

  -- HISTORY, and from it what a late cursor had counted.
  with counted as materialized (
    select j.job_id, j.items_skipped as skipped, least(t.settled::numeric, 9223372036854775807)::bigint as done,
           case when t.total is not null then least(t.total::numeric, 9223372036854775807)::bigint end as total  -- least() skips nulls
    from milepost.jobs j cross join lateral milepost_private.tally_of(j) t
    where j.job_id = any (v_jobs)
  )
  insert into milepost.checkpoints (tenant_id, job_id, attempt, worker, seq, at, received_at, state, items_total, items_completed,
    items_failed, items_skipped, items_canceled, bytes_processed, batch_items, batch_duration_ms, batch_bytes, stages, message, has_cursor, job_done, job_total, job_skipped,
    traceparent)
  select v_caller.tenant_id, e.job_id, e.attempt, e.worker, e.seq,
         e.at, v_now, e.state, e.items_total,
         e.items_completed, e.items_failed, e.items_skipped, e.items_canceled, e.bytes_processed, (e.batch ->> 'items')::bigint,
         (e.batch ->> 'duration_ms')::double precision, (e.batch ->> 'bytes')::bigint, e.stages, e.message, e.names_cursor,
         t.done, t.total, t.skipped, e.traceparent
  from unnest(v_entries) e
  join counted t on t.job_id = e.job_id
  where not e.is_duplicate
  order by e.n;
  perform milepost_private.restore_cursor_counts(l.job_id, l.worker)
  from unnest(v_late_jobs, v_late_workers) as l (job_id, worker);

  -- A stage that begins has a rhythm of its own.
  select array_agg(distinct d.job_id) into v_staged from unnest(v_drafts) d
  where d.type = 'stage.changed' and d.data ->> 'state' = 'running';
  if v_settle is not null then
    perform milepost_private.settle_states(v_settle, v_entries, v_drafts, v_now);
  elsif v_drafts is not null then
    perform milepost_private.emit(v_drafts, v_now);
  end if;

  -- PULSE: clock, pace and rhythm of each job, once a request; and is a progress event due?
  with counted as (
    select j.job_id, j.tenant_id, j.owner_id, t.*, j.state, j.rate_limited_until,
           case when j.has_stages then milepost_private.effort(j,
             (select (k.pace).stages from milepost_private.kinds k where k.tenant_id = j.tenant_id and k.kind = j.kind)) end as effort
    from milepost.jobs j cross join lateral milepost_private.tally_of(j) t
    where j.job_id = any (v_jobs)
  ), due as materialized (
    select c.*, q.settled as settled_before, q.stalled_at as stalled_before, q.tenth as tenth_before,
           milepost_private.active_clock(q.active_s, q.active_at, q.running, v_now) as clock_s,
           -- A job that has ended is swept no more, so nothing of it is held back.
           q.progress_event_at is null or milepost_private.is_terminal(c.state)
           or (extract(epoch from v_now - q.progress_event_at) * 1000 >= t.progress_interval_ms
               or coalesce(abs(c.percent - q.progress_event_percent) >= t.progress_step_percent, false)
               or (c.percent is null) <> (q.progress_event_percent is null))
              and milepost_private.progress_slot(c.job_id, v_now, i.least_ms)
                  > milepost_private.progress_slot(c.job_id, q.progress_event_at, i.least_ms) as is_due
    from counted c
    join milepost_private.pulses q on q.job_id = c.job_id
    join milepost.tenants t on t.tenant_id = c.tenant_id
    left join milepost_private.tenant_loads o on o.tenant_id = c.tenant_id
    cross join lateral (select milepost_private.progress_interval_ms(
      t.messages_per_s, o.jobs_at_work, 2 + (c.owner_id is not null)::int) as least_ms offset 0) i
  ), beaten as (
    update milepost_private.pulses p set
      active_s = d.clock_s,
      active_at = greatest(p.active_at, v_now),
      pace = milepost_private.pace_step(p.pace, d.clock_s, d.work, d.pending),
      effort = case when d.effort is not null then milepost_private.pace_step(p.effort, d.clock_s, d.effort, 100 - d.effort) else p.effort end,
      rhythm = milepost_private.rhythm_step(p.rhythm, d.clock_s, d.settled,
        -- A gap in which a rate limit was waited for is no sample of the rhythm.
        case when p.job_id = any (v_staged) then 'stage' when d.rate_limited_until > p.active_at then 'resume' else 'checkpoint' end),
      progress_event_at = case when d.is_due then v_now else p.progress_event_at end,
      progress_event_percent = case when d.is_due then d.percent else p.progress_event_percent end,
      held_back = not d.is_due,
      coalesced = p.coalesced + (not d.is_due)::int,
      settled = d.settled,
      stalled_at = case when d.settled > p.settled then null else p.stalled_at end,
      tenth = greatest(p.tenth, least(floor(coalesce(d.effort, d.percent) / 10), 9))
    from due d
    where p.job_id = d.job_id
    returning p.job_id, d.is_due, d.settled > d.settled_before as rose, d.stalled_before as stalled_at, p.tenth > d.tenth_before as is_tenth
  ), rose as (
    -- Counts that come from stages or items rise here, not in the lanes.
    update milepost.jobs j set last_progress_at = greatest(j.last_progress_at, v_now)
    from beaten b where j.job_id = b.job_id and b.rose and j.last_progress_at is distinct from v_now
  )
  select array_agg(b.job_id) filter (where b.is_due),
         array_agg(row(b.job_id, 'job.recovered', jsonb_build_object('stalled_at', milepost_private.iso(b.stalled_at))
                  )::milepost_private.event_draft order by b.job_id) filter (where b.rose and b.stalled_at is not null),
         array_agg(b.job_id) filter (where b.is_tenth)
  into v_due, v_drafts, v_tenths from beaten b;

  -- Where lanes have shares of their own, the last of them ends the job.
  if v_shared is not null then
    update milepost_private.pulses p set
      last_lane = milepost_private.pace_last_lane(p.last_lane, p.active_s, s.workers, s.worked_s, s.done, s.remaining)
    from (
      select l.job_id, array_agg(l.worker order by l.worker) as workers,
             array_agg(least(q.active_s, extract(epoch from v_now - l.first_checkpoint_at)) order by l.worker) as worked_s,
             array_agg(greatest(d.work - l.first_work, 0) order by l.worker) as done,
             array_agg(case when l.state in ('completed', 'canceled') then 0
                            else greatest(l.worker_items_total - d.work - l.items_skipped, 0) end order by l.worker) as remaining
      from (select distinct e.job_id, e.worker from unnest(v_entries) e where e.job_id = any (v_shared)) e
      join milepost.lanes l on l.job_id = e.job_id and l.worker = e.worker
      join milepost_private.pulses q on q.job_id = l.job_id
      cross join lateral (select l.items_completed::double precision + l.items_failed + l.items_canceled as work) d
      where l.worker_items_total is not null
      group by l.job_id
    ) s
    where p.job_id = s.job_id;
  end if;

  -- What is predicted at each tenth is kept, and scored when the job is done.
  if v_tenths is not null then
    insert into milepost_private.predictions (job_id, tenth, active_s, said_at, remaining_s, low_s, high_s)
    select j.job_id, p.tenth, p.active_s, v_now, f.eta_ms / 1000.0, f.eta_low_ms / 1000.0, f.eta_high_ms / 1000.0
    from milepost.jobs j
    join milepost_private.pulses p on p.job_id = j.job_id
    left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
    cross join lateral milepost_private.figures(j, p, k, v_now) f
    where j.job_id = any (v_tenths) and j.finished_at is null
    on conflict do nothing;
  end if;

  select v_drafts || array_agg(row(j.job_id, 'job.progress', milepost_private.progress_fields(j, milepost_private.figures(j, p, k, v_now))
                  )::milepost_private.event_draft order by j.job_id) into v_drafts
  from milepost.jobs j
  join milepost_private.pulses p on p.job_id = j.job_id
  left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  where j.job_id = any (v_due);
  if v_drafts is not null then
    perform milepost_private.emit(v_drafts, v_now);
  end if;

  insert into milepost_private.measurements (tenant_id, checkpoints, duration_ms)
  select v_caller.tenant_id, count(*), extract(epoch from clock_timestamp() - transaction_timestamp()) * 1000
  from unnest(v_entries) e where not e.is_duplicate
  having count(*) > 0;
  return milepost_private.checkpoints_answer(v_all, v_has.some_refused, $1 -> 'indexes', v_now);
end;
$$;

comment on function milepost.record_checkpoints(jsonb) is
'Records {"caller", "checkpoints"} (or "columns") and answers {"results", "errors"}. One transaction; refused entries are named, the others kept.';

revoke execute on function milepost.record_checkpoints(jsonb) from public, anon, authenticated;
grant execute on function milepost.record_checkpoints(jsonb) to service_role;

-- ==== sql/schema/51_create_job.sql

-- create_job: POST /v1/jobs. The job with that key if there is one, else a new one.
create or replace function milepost.create_job(caller jsonb, job jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_caller milepost_private.caller := milepost_private.resolve_caller(caller, array['worker', 'operator']);
  v_now    timestamptz := coalesce((caller ->> 'received_at')::timestamptz, clock_timestamp());
  v_start  boolean := coalesce((job ->> 'start')::boolean, true);
  v_most   int;
  v_job_id uuid;
  v_new    boolean;
begin
  -- GUARD: a kind that the key is not for
  if coalesce(job ->> 'kind', 'default') <> all (v_caller.kinds) then
    perform milepost_private.refuse(403, 'not_allowed',
      format('Expected a kind that the key is for (%s), found %s.', array_to_string(v_caller.kinds, ', '), coalesce(job ->> 'kind', 'default')),
      'Use a key for this kind, or one without kinds.');
  end if;
  -- GUARD: the queue is full. Those in it are claimed by priority and age as ever.
  if not v_start then
    select t.waiting_jobs_most into v_most from milepost.tenants t where t.tenant_id = v_caller.tenant_id;
    if (select count(*) from (
          select from milepost.jobs j where j.tenant_id = v_caller.tenant_id and j.state in ('pending', 'retrying') limit v_most) w) >= v_most
       and not exists (select from milepost.jobs j where j.tenant_id = v_caller.tenant_id and j.key = create_job.job ->> 'job') then
      perform milepost_private.refuse(429, 'too_many_waiting_jobs',
        format('Expected at most %s jobs that wait to be claimed; there are as many already.', v_most),
        'Start more workers, or create the job once some are done. An admin may raise the limit.', headers => '{"Retry-After": "60"}');
    end if;
  end if;
  v_job_id := milepost_private.add_job(v_caller.tenant_id, job, v_now);
  v_new := v_job_id is not null;
  if v_new then
    perform milepost_private.sum_job(v_job_id);
    if v_start then
      perform milepost_private.transition(v_job_id, 'running', 'claim', null, v_caller.actor, v_now);
    end if;
  else
    select j.job_id into v_job_id from milepost.jobs j
    where j.tenant_id = v_caller.tenant_id and j.key = create_job.job ->> 'job';
  end if;
  return jsonb_build_object('created', v_new, 'job', milepost_private.resume_json(v_job_id));
end;
$$;
comment on function milepost.create_job(jsonb, jsonb) is
'Creates a job for the caller''s tenant, running unless start is false; returns {"created", "job"}. With a key that exists, that job as it is.';
revoke execute on function milepost.create_job(jsonb, jsonb) from public, anon, authenticated;
grant execute on function milepost.create_job(jsonb, jsonb) to service_role;

-- ==== sql/schema/52_claim_job.sql

-- claim_job: POST /v1/jobs/claim. The next runnable job by priority, then age; nobody waits for another's row.
create or replace function milepost.claim_job(caller jsonb, kinds text[] default null, worker text default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_caller milepost_private.caller := milepost_private.resolve_caller(caller, array['worker', 'operator']);
  v_now    timestamptz := coalesce((caller ->> 'received_at')::timestamptz, clock_timestamp());
  v_job    milepost.jobs;
begin
  select j.* into v_job from milepost.jobs j
  where j.tenant_id = v_caller.tenant_id and j.state in ('pending', 'retrying')
    and (kinds is null or j.kind = any (kinds))
    and (v_caller.kinds is null or j.kind = any (v_caller.kinds))
    and (j.run_after is null or j.run_after <= v_now)
  order by j.priority desc, j.created_at
  limit 1 for no key update skip locked;
  -- GUARD: nothing to do
  if v_job.job_id is null then
    return null;
  end if;
  perform milepost_private.transition(v_job.job_id, 'running', 'claim', null, coalesce('worker:' || worker, v_caller.actor), v_now);
  if worker is not null then
    insert into milepost.lanes as l (tenant_id, job_id, worker, attempt, first_checkpoint_at, last_checkpoint_at)
    values (v_job.tenant_id, v_job.job_id, claim_job.worker, v_job.attempt, v_now, v_now)
    on conflict on constraint lanes_pkey do update set
      attempt = excluded.attempt, first_checkpoint_at = excluded.first_checkpoint_at,
      first_work = milepost_private.lane_work(l),
      last_checkpoint_at = excluded.last_checkpoint_at;
    update milepost.jobs j set last_checkpoint_at = v_now where j.job_id = v_job.job_id;
  end if;
  return milepost_private.resume_json(v_job.job_id);
end;
$$;
comment on function milepost.claim_job(jsonb, text[], text) is
'Takes the next runnable job of these kinds (any, if null): it is running now. Returns the job with attempt and cursors, or null.';
revoke execute on function milepost.claim_job(jsonb, text[], text) from public, anon, authenticated;
grant execute on function milepost.claim_job(jsonb, text[], text) to service_role;

-- ==== sql/schema/53_administration.sql

-- Tenants are made by the service role (the command line). Keys and members are managed by it and by the tenant's admins; a
-- Milepost key manages neither.
-- In one step with its first admin, since a project has none to begin with and only admins make others.
drop function if exists milepost.create_tenant(text);
create or replace function milepost.create_tenant(name text, admin uuid default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_tenant uuid;
begin
  perform milepost_private.check_name('name', coalesce(name, ''));
  insert into milepost.tenants as t (name) values (create_tenant.name) returning t.tenant_id into v_tenant;
  perform milepost_private.write_audit(v_tenant, milepost_private.actor(), 'create_tenant', create_tenant.name);
  if admin is not null then
    perform milepost_private.add_member(v_tenant, admin, 'admin');
  end if;
  return jsonb_build_object('tenant_id', v_tenant, 'name', create_tenant.name);
end;
$$;
comment on function milepost.create_tenant(text, uuid) is 'Creates a tenant, with this user as its admin if one is given: {"tenant_id", "name"}.';
revoke execute on function milepost.create_tenant(text, uuid) from public, anon, authenticated;
grant execute on function milepost.create_tenant(text, uuid) to service_role;

-- check_admin: whether the caller may manage this tenant's keys and members.
create or replace function milepost_private.check_admin(tenant_id uuid)
returns void
language plpgsql
stable
security definer                -- the caller may not read others' memberships
set search_path = ''
as $$
begin
  if milepost_private.is_service() then
    return;
  end if;
  -- GUARD: no admin there; a tenant that does not exist is not told apart
  if not exists (select from milepost.members m
                 where m.tenant_id = check_admin.tenant_id and m.user_id = (select auth.uid()) and m.role = 'admin') then
    perform milepost_private.refuse(403, 'not_allowed', 'Expected a signed-in admin of the tenant.',
      'Ask an admin of the tenant for the role admin; keys manage neither keys nor members.');
  end if;
end;
$$;
comment on function milepost_private.check_admin(uuid) is
'Refuses a user who is no admin of the tenant with 403; the service passes.';
revoke execute on function milepost_private.check_admin(uuid) from public, anon, authenticated;
grant execute on function milepost_private.check_admin(uuid) to authenticated, service_role;

-- check_tenant: refuses an id that is no tenant's; for the service, since admins have one.
create or replace function milepost_private.check_tenant(tenant_id uuid)
returns void
language plpgsql
stable
set search_path = ''
as $$
begin
  if not exists (select from milepost.tenants t where t.tenant_id = check_tenant.tenant_id) then
    perform milepost_private.refuse(404, 'tenant_not_found', format('Expected the id of a tenant; %s is none.', check_tenant.tenant_id),
      'Create one with: milepost tenants create NAME');
  end if;
end;
$$;
comment on function milepost_private.check_tenant(uuid) is 'Refuses with 404 what is no tenant.';
revoke execute on function milepost_private.check_tenant(uuid) from public, anon, authenticated;
grant execute on function milepost_private.check_tenant(uuid) to service_role;

-- KEYS
create or replace function milepost_private.create_key(
  tenant_id uuid, scope text, name text, expires_at timestamptz, kinds text[]
)
returns jsonb
language plpgsql
volatile
security definer                -- nobody but the service may write keys; check_admin decides
set search_path = ''
as $$
declare
  -- Two random uuids: 244 bits. Shown once; only the hash is kept.
  v_key    text := 'mp_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
  v_key_id uuid;
begin
  perform milepost_private.check_admin(tenant_id);
  perform milepost_private.check_tenant(tenant_id);
  -- GUARD: values that a constraint would refuse less clearly
  if scope is null or scope not in ('worker', 'operator', 'ping') then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected scope worker, operator or ping; found %s.', scope));
  end if;
  if expires_at <= now() then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected in expires_at a time to come; found %s.', milepost_private.iso(expires_at)));
  end if;
  if cardinality(kinds) = 0 then
    perform milepost_private.refuse(422, 'invalid_value', 'Expected in kinds at least one kind; found none.', 'Leave it out for all kinds.');
  end if;
  if cardinality(kinds) > 100 or array_ndims(kinds) > 1 or array_position(kinds, null) is not null then
    perform milepost_private.refuse(422, 'invalid_value', 'Expected in kinds a list of at most 100 kinds.', 'Leave it out for all kinds.');
  end if;
  perform milepost_private.check_name('name', name);
  perform milepost_private.check_name('kinds', k.kind) from unnest(kinds) as k (kind);
  -- GUARD: more keys than anybody can keep in mind
  if (select count(*) from milepost_private.keys k where k.tenant_id = create_key.tenant_id
        and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())) >= 1000 then
    perform milepost_private.refuse(409, 'too_many_keys', 'Expected at most 1,000 keys of a tenant that open something; there are as many already.',
      'Revoke one that is no longer needed: milepost keys revoke KEY_ID');
  end if;
  insert into milepost_private.keys (tenant_id, scope, name, prefix, key_hash, created_by, expires_at, kinds)
  values (create_key.tenant_id, create_key.scope, create_key.name, left(v_key, 11),
          encode(sha256(convert_to(v_key, 'utf8')), 'hex'), milepost_private.actor(), create_key.expires_at, create_key.kinds)
  returning key_id into v_key_id;
  perform milepost_private.write_audit(create_key.tenant_id, milepost_private.actor(), 'create_key', v_key_id::text,
    jsonb_build_object('scope', scope, 'name', name, 'prefix', left(v_key, 11), 'expires_at', milepost_private.iso(expires_at), 'kinds', kinds));
  return jsonb_build_object('key', v_key, 'key_id', v_key_id, 'tenant_id', tenant_id, 'scope', scope, 'name', name,
    'prefix', left(v_key, 11), 'expires_at', milepost_private.iso(expires_at), 'kinds', kinds);
end;
$$;
comment on function milepost_private.create_key(uuid, text, text, timestamptz, text[]) is
'Creates a key for an admin of the tenant or the service. Refuses with 403, 404, 409 or 422.';
revoke execute on function milepost_private.create_key(uuid, text, text, timestamptz, text[]) from public, anon, authenticated;
grant execute on function milepost_private.create_key(uuid, text, text, timestamptz, text[]) to authenticated, service_role;

create or replace function milepost.create_key(
  tenant_id uuid, scope text, name text default null, expires_at timestamptz default null, kinds text[] default null
)
returns jsonb language plpgsql volatile set search_path = ''
as $$
begin
  return milepost_private.create_key(tenant_id, scope, name, expires_at, kinds);
end;
$$;
comment on function milepost.create_key(uuid, text, text, timestamptz, text[]) is
'Creates a Milepost key and returns it, once: {"key", "key_id", ...}. For admins. kinds: what it may touch, null for all.';
revoke execute on function milepost.create_key(uuid, text, text, timestamptz, text[]) from public, anon, authenticated;
grant execute on function milepost.create_key(uuid, text, text, timestamptz, text[]) to authenticated, service_role;

create or replace function milepost_private.list_keys(tenant_id uuid)
returns jsonb
language plpgsql
stable
security definer                -- nobody but the service may read keys; check_admin decides
set search_path = ''
as $$
begin
  perform milepost_private.check_admin(tenant_id);
  return (
  select coalesce(jsonb_agg(jsonb_build_object('key_id', k.key_id, 'scope', k.scope, 'name', k.name, 'prefix', k.prefix,
    'created_at', milepost_private.iso(k.created_at), 'created_by', k.created_by, 'expires_at', milepost_private.iso(k.expires_at), 'kinds', k.kinds,
    'revoked_at', milepost_private.iso(k.revoked_at), 'last_used_at', milepost_private.iso(k.last_used_at)) order by k.created_at), '[]')
  from milepost_private.keys k where k.tenant_id = list_keys.tenant_id);
end;
$$;
comment on function milepost_private.list_keys(uuid) is 'A tenant''s keys, for an admin of it or the service. Refuses with 403.';
revoke execute on function milepost_private.list_keys(uuid) from public, anon, authenticated;
grant execute on function milepost_private.list_keys(uuid) to authenticated, service_role;

create or replace function milepost.list_keys(tenant_id uuid)
returns jsonb language plpgsql stable set search_path = ''
as $$
begin
  return milepost_private.list_keys(tenant_id);
end;
$$;
comment on function milepost.list_keys(uuid) is 'A tenant''s keys, without the keys themselves. For admins.';
revoke execute on function milepost.list_keys(uuid) from public, anon, authenticated;
grant execute on function milepost.list_keys(uuid) to authenticated, service_role;

create or replace function milepost_private.revoke_key(key_id uuid)
returns jsonb
language plpgsql
volatile
security definer                -- nobody but the service may write keys; check_admin decides
set search_path = ''
as $$
declare
  -- Asked first: in the condition they would be asked only where there is such a key, which takes longer.
  v_is_service boolean := milepost_private.is_service();
  v_tenants    uuid[] := array(select m.tenant_id from milepost.members m where m.user_id = auth.uid() and m.role = 'admin');
  v_key        milepost_private.keys;
begin
  -- Another tenant's key is neither seen nor locked nor waited for.
  select * into v_key from milepost_private.keys k
  where k.key_id = revoke_key.key_id and (v_is_service or k.tenant_id = any (v_tenants)) for update;
  -- To who is no admin, a key that is absent and another tenant's look the same.
  perform milepost_private.check_admin(v_key.tenant_id);
  -- GUARD: no such key
  if v_key.key_id is null then
    perform milepost_private.refuse(404, 'key_not_found', format('Expected the id of a key; %s is none.', revoke_key.key_id),
      'List them with: milepost keys list');
  end if;
  if v_key.revoked_at is null then
    update milepost_private.keys k set revoked_at = now() where k.key_id = revoke_key.key_id;
    perform milepost_private.write_audit(v_key.tenant_id, milepost_private.actor(), 'revoke_key', v_key.key_id::text,
      jsonb_build_object('scope', v_key.scope, 'name', v_key.name, 'prefix', v_key.prefix));
  end if;
  return jsonb_build_object('key_id', revoke_key.key_id, 'revoked', true);
end;
$$;
comment on function milepost_private.revoke_key(uuid) is 'Revokes a key for an admin of its tenant or the service. Refuses with 403 or 404.';
revoke execute on function milepost_private.revoke_key(uuid) from public, anon, authenticated;
grant execute on function milepost_private.revoke_key(uuid) to authenticated, service_role;

create or replace function milepost.revoke_key(key_id uuid)
returns jsonb language plpgsql volatile set search_path = ''
as $$
begin
  return milepost_private.revoke_key(key_id);
end;
$$;
comment on function milepost.revoke_key(uuid) is 'Revokes a key, with effect on the next request. For admins.';
revoke execute on function milepost.revoke_key(uuid) from public, anon, authenticated;
grant execute on function milepost.revoke_key(uuid) to authenticated, service_role;

-- MEMBERS
-- keep_an_admin: a tenant whose last admin left could be managed by the service alone.
create or replace function milepost_private.keep_an_admin(tenant_id uuid, user_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_admins uuid[];
begin
  if milepost_private.is_service() then
    return;
  end if;
  -- Locked, so that of two admins who remove each other at once one waits, and is refused.
  with admins as (
    select m.user_id from milepost.members m
    where m.tenant_id = keep_an_admin.tenant_id and m.role = 'admin' order by m.user_id for update)
  select array_agg(a.user_id) into v_admins from admins a;
  -- GUARD: nobody would be left who manages keys and members
  if v_admins = array[keep_an_admin.user_id] then
    perform milepost_private.refuse(409, 'only_admin',
      format('Expected another admin to stay; %s is the only one of the tenant.', keep_an_admin.user_id),
      'Make somebody else an admin first: milepost members add --user UUID --role admin');
  end if;
end;
$$;
comment on function milepost_private.keep_an_admin(uuid, uuid) is
'Refuses with 409 that this user ceases to be an admin where there is no other; the service passes.';
revoke execute on function milepost_private.keep_an_admin(uuid, uuid) from public, anon, authenticated;
grant execute on function milepost_private.keep_an_admin(uuid, uuid) to service_role;

create or replace function milepost_private.add_member(tenant_id uuid, user_id uuid, role text)
returns jsonb
language plpgsql
volatile
security definer                -- nobody but the service may write members; check_admin decides
set search_path = ''
as $$
begin
  perform milepost_private.check_admin(tenant_id);
  perform milepost_private.check_tenant(tenant_id);
  -- GUARD: values that a constraint would refuse less clearly
  if user_id is null then
    perform milepost_private.refuse(422, 'invalid_value', 'Expected the id of a user; found null.');
  end if;
  if role is null or role not in ('viewer', 'operator', 'admin') then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected role viewer, operator or admin; found %s.', role));
  end if;
  if role <> 'admin' then
    perform milepost_private.keep_an_admin(tenant_id, user_id);
  end if;
  -- GUARD: a group that is meant to be invited one by one
  if (select count(*) from milepost.members m
      where m.tenant_id = add_member.tenant_id and m.user_id <> add_member.user_id) >= 1000 then
    perform milepost_private.refuse(409, 'too_many_members', 'Expected at most 1,000 members of a tenant; there are as many already.',
      'Remove one: milepost members remove --user UUID; or divide the tenant.');
  end if;
  insert into milepost.members as m (tenant_id, user_id, role) values (add_member.tenant_id, add_member.user_id, add_member.role)
  on conflict on constraint members_pkey do update set role = excluded.role;
  perform milepost_private.write_audit(add_member.tenant_id, milepost_private.actor(), 'add_member', user_id::text,
    jsonb_build_object('role', role));
  return jsonb_build_object('tenant_id', tenant_id, 'user_id', user_id, 'role', role);
end;
$$;
comment on function milepost_private.add_member(uuid, uuid, text) is
'Makes a user a member, for an admin of the tenant or the service. Refuses with 403, 404, 409 or 422.';
revoke execute on function milepost_private.add_member(uuid, uuid, text) from public, anon, authenticated;
grant execute on function milepost_private.add_member(uuid, uuid, text) to authenticated, service_role;

create or replace function milepost.add_member(tenant_id uuid, user_id uuid, role text default 'viewer')
returns jsonb language plpgsql volatile set search_path = ''
as $$
begin
  return milepost_private.add_member(tenant_id, user_id, role);
end;
$$;
comment on function milepost.add_member(uuid, uuid, text) is 'Makes a user a member of a tenant, or changes the role. For admins.';
revoke execute on function milepost.add_member(uuid, uuid, text) from public, anon, authenticated;
grant execute on function milepost.add_member(uuid, uuid, text) to authenticated, service_role;

create or replace function milepost_private.remove_member(tenant_id uuid, user_id uuid)
returns jsonb
language plpgsql
volatile
security definer                -- nobody but the service may write members; check_admin decides
set search_path = ''
as $$
begin
  perform milepost_private.check_admin(tenant_id);
  perform milepost_private.keep_an_admin(tenant_id, user_id);
  delete from milepost.members m where m.tenant_id = remove_member.tenant_id and m.user_id = remove_member.user_id;
  -- GUARD: no such member
  if not found then
    perform milepost_private.refuse(404, 'member_not_found', format('Expected the id of a member; %s is none.', remove_member.user_id),
      'List them with: milepost members list');
  end if;
  perform milepost_private.write_audit(remove_member.tenant_id, milepost_private.actor(), 'remove_member', user_id::text);
  return jsonb_build_object('tenant_id', tenant_id, 'user_id', user_id, 'removed', true);
end;
$$;
comment on function milepost_private.remove_member(uuid, uuid) is
'Ends a membership, for an admin of the tenant or the service. Refuses with 403, 404 or 409.';
revoke execute on function milepost_private.remove_member(uuid, uuid) from public, anon, authenticated;
grant execute on function milepost_private.remove_member(uuid, uuid) to authenticated, service_role;

create or replace function milepost.remove_member(tenant_id uuid, user_id uuid)
returns jsonb language plpgsql volatile set search_path = ''
as $$
begin
  return milepost_private.remove_member(tenant_id, user_id);
end;
$$;
comment on function milepost.remove_member(uuid, uuid) is
'Ends a membership, with effect on the next request; a Realtime channel that is joined stays so until its token is renewed. For admins.';
revoke execute on function milepost.remove_member(uuid, uuid) from public, anon, authenticated;
grant execute on function milepost.remove_member(uuid, uuid) to authenticated, service_role;

create or replace function milepost.list_members(tenant_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
  select coalesce(jsonb_agg(jsonb_build_object('user_id', m.user_id, 'role', m.role, 'created_at', milepost_private.iso(m.created_at))
    order by m.created_at, m.user_id), '[]')
  from milepost.members m where m.tenant_id = list_members.tenant_id);
end;
$$;
comment on function milepost.list_members(uuid) is 'A tenant''s members and their roles, for its members.';
revoke execute on function milepost.list_members(uuid) from public, anon, authenticated;
grant execute on function milepost.list_members(uuid) to authenticated, service_role;

-- ==== sql/schema/54_items_per_s.sql

-- items_per_s: how many items a second all jobs at work settle together.
create or replace function milepost_private.items_per_s(tenants uuid[], at timestamptz)
returns double precision
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    -- pace_rate and active_clock, written out: called, they take five times as long, and everybody polls this. A test compares.
    select sum(((p.pace).recent_work / greatest(
      (p.pace).recent_s + greatest(
        p.active_s + greatest(date_part('epoch', items_per_s.at - p.active_at), 0) - (p.pace).moved_s - (p.pace).gap_s, 0), 0.001)))
    from milepost_private.pulses p
    where p.running and p.tenant_id = any (tenants) and (p.pace).work > 0
      and not exists (select from milepost.jobs j
                      where j.job_id = p.job_id and j.tenant_id = any (tenants) and j.finished_at is null
                        and j.state in ('pausing', 'canceling')));
end;
$$;
comment on function milepost_private.items_per_s(uuid[], timestamptz) is
'Items a second of the jobs of these tenants that are running or completing, summed; null while none has a rate.';
revoke execute on function milepost_private.items_per_s(uuid[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.items_per_s(uuid[], timestamptz) to authenticated, service_role;

-- ==== sql/schema/54_not_on_time.sql

-- not_on_time: the jobs that are late, stalled or lost at the given time. Whoever asks for many jobs' liveness asks here.
create or replace function milepost_private.not_on_time(tenants uuid[], at timestamptz)
returns table (
  job_id uuid, liveness text, reason text, silence_s double precision, threshold_s double precision
)
language plpgsql
stable
rows 100
set search_path = ''
as $$
declare
  -- Most jobs rose a moment ago. No threshold is shorter than a minute unless it was declared, and nobody is late before half
  -- of it: these need no judging. Few remain, and each is looked up by its id: as one statement the planner, which cannot know
  -- that, read all pulses once more.
  v_suspects uuid[] := array(
    select q.job_id from milepost_private.pulses q
    where q.running and (tenants is null or q.tenant_id = any (tenants))
      -- date_part, since extract computes in numeric, which takes three times as long.
      and (q.active_s + date_part('epoch', not_on_time.at - q.active_at) - coalesce((q.rhythm).risen_s, 0) > 30
           or (q.rhythm).falls + (q.rhythm).retries >= 4)
    union
    select d.job_id from milepost.jobs d
    where d.finished_at is null and (tenants is null or d.tenant_id = any (tenants))
      and (d.stall_after_ms is not null or d.processing_deadline_ms is not null));
begin
  return query
  select j.job_id, v.liveness, v.reason, v.silence_s, v.threshold_s
  from unnest(v_suspects) as s (job_id)
  join milepost_private.pulses p on p.job_id = s.job_id
  join milepost.jobs j on j.job_id = s.job_id
  left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  cross join lateral milepost_private.liveness_of(j, p, k, not_on_time.at) v
  where p.running and j.finished_at is null and v.liveness <> 'on_time';
end;
$$;
comment on function milepost_private.not_on_time(uuid[], timestamptz) is
'The active jobs of these tenants (null: of all) that are late, stalled or lost at the given time, as liveness_of judges them.';
revoke execute on function milepost_private.not_on_time(uuid[], timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.not_on_time(uuid[], timestamptz) to authenticated, service_role;

-- ==== sql/schema/54_ping_job.sql

-- ping_job: one address for shell and cron: start, done, fail.
create or replace function milepost.ping_job(
  caller jsonb, job text, signal text, exit_status int default null, message text default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_caller milepost_private.caller := milepost_private.resolve_caller(caller, array['ping', 'worker', 'operator']);
  v_now    timestamptz := coalesce((caller ->> 'received_at')::timestamptz, clock_timestamp());
  v_run    milepost.jobs;
  v_kind   text;
  v_answer jsonb;
begin
  -- A ping names a recurring job, not one run of it: what has ended is a new run, under a key of its own.
  select j.* into v_run from milepost.jobs j
  where j.tenant_id = v_caller.tenant_id
    and (j.key = ping_job.job or j.kind = ping_job.job and j.metadata ->> 'pinged' = ping_job.job)
  order by j.created_at desc limit 1;
  -- A new run is of the kind that the ping names.
  v_kind := case when v_run.job_id is null or milepost_private.is_terminal(v_run.state) then ping_job.job else v_run.kind end;
  -- GUARD: a kind that the key is not for
  if v_kind <> all (v_caller.kinds) then
    perform milepost_private.refuse(403, 'not_allowed',
      format('Expected a job of a kind that the key is for (%s), found %s.', array_to_string(v_caller.kinds, ', '), v_kind),
      'Use a key for this kind, or one without kinds.');
  end if;
  if v_run.job_id is null or milepost_private.is_terminal(v_run.state) then
    perform milepost_private.add_job(v_caller.tenant_id, jsonb_build_object(
      'job', case when v_run.job_id is null then ping_job.job
                  else left(ping_job.job, 170) || ' ' || milepost_private.iso(v_now) end,
      'kind', ping_job.job, 'name', ping_job.job, 'max_attempts', 1, 'metadata', jsonb_build_object('pinged', ping_job.job)), v_now);
    select j.* into v_run from milepost.jobs j
    where j.tenant_id = v_caller.tenant_id and j.kind = ping_job.job and j.metadata ->> 'pinged' = ping_job.job
    order by j.created_at desc limit 1;
  end if;
  v_answer := milepost.record_checkpoints(jsonb_build_object(
    'caller', jsonb_build_object('tenant_id', v_caller.tenant_id), 'received_at', v_now,
    'checkpoints', jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
      'job', v_run.job_id, 'message', message,
      'state', case signal when 'start' then 'running' when 'done' then 'completed' else 'failed' end,
      'reason', case when signal = 'fail' then coalesce(message, 'exit status ' || exit_status, 'fail was pinged') end)))));
  return milepost_private.job_json(v_run.job_id);
end;
$$;
comment on function milepost.ping_job(jsonb, text, text, int, text) is
'Records start, done or fail of a recurring job; what comes after its end is a new run of that kind. Returns the job.';
revoke execute on function milepost.ping_job(jsonb, text, text, int, text) from public, anon, authenticated;
grant execute on function milepost.ping_job(jsonb, text, text, int, text) to service_role;

-- ==== sql/schema/55_sweeps.sql

-- sweeps: one row: when the last sweep ran, and until when silence is not held against anybody.
create table if not exists milepost_private.sweeps (
  only_row   boolean not null default true,
  swept_at   timestamptz,
  hold_until timestamptz,
  constraint sweeps_pkey primary key (only_row),
  constraint there_is_one_row check (only_row)
);
comment on table milepost_private.sweeps is 'When the last sweep ran; until when nobody is reset for missing contact, because Milepost itself was away or not reached.';
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = 'milepost_private.sweeps'::regclass) then
    alter table milepost_private.sweeps enable row level security;
  end if;
end $guard$;
do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated using (only_row)$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'milepost_private.sweeps'::regclass and polname = 'the sweep''s clock is no secret') then
    create temporary table sweeps (like milepost_private.sweeps);
    execute 'create policy "the sweep''s clock is no secret" on pg_temp.sweeps ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('milepost_private.sweeps'::regclass, 'pg_temp.sweeps'::regclass)
          and polname = 'the sweep''s clock is no secret') then
      drop table pg_temp.sweeps;
      return;
    end if;
    drop table pg_temp.sweeps;
    drop policy "the sweep's clock is no secret" on milepost_private.sweeps;
  end if;
  execute 'create policy "the sweep''s clock is no secret" on milepost_private.sweeps ' || v_wanted;
end $guard$;
revoke all on milepost_private.sweeps from public, anon, authenticated;
grant select on milepost_private.sweeps to authenticated;
grant select, insert, update on milepost_private.sweeps to service_role;
insert into milepost_private.sweeps default values on conflict do nothing;

-- stuck_jobs: active jobs that are stalled or lost at the given time, and whether that is sure enough to reset them.
do $$ begin
  if to_regtype('milepost_private.stuck_job') is null then
    create type milepost_private.stuck_job as (
      job_id uuid, liveness text, reason text, silence_s double precision, threshold_s double precision,
      contact_age_s double precision, is_sure boolean
    );
  end if;
end $$;
comment on type milepost_private.stuck_job is 'A job that is stalled or lost, why, and whether a reset is due.';

create or replace function milepost_private.stuck_jobs(at timestamptz)
returns setof milepost_private.stuck_job
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select j.job_id, v.liveness, v.reason, v.silence_s, v.threshold_s, c.age_s,
         -- An alarm that resets must be rarer than one that warns: half as long again, and for a job that is not heard of
         -- a minute and a half at least, so that a short network cut costs nothing. What the author declared is taken at its word.
         j.stall_after_ms is not null
         or v.reason = 'no_net_progress'
         or v.silence_s > 1.5 * v.threshold_s and (c.age_s < 20 or c.age_s > 90)
  from milepost_private.not_on_time(null, stuck_jobs.at) v
  join milepost.jobs j on j.job_id = v.job_id
  cross join lateral (select extract(epoch from stuck_jobs.at - coalesce(j.last_checkpoint_at, j.attempt_started_at))::double precision as age_s) c
  where v.liveness in ('stalled', 'lost');
end;
$$;
comment on function milepost_private.stuck_jobs(timestamptz) is 'The active jobs that are stalled or lost at the given time. Cost follows active jobs only.';
revoke execute on function milepost_private.stuck_jobs(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.stuck_jobs(timestamptz) to authenticated, service_role;

create or replace function milepost.get_stuck_jobs()
returns table (
  job_id uuid, job text, kind text, state text, liveness text, reason text, silence_s double precision,
  threshold_s double precision, attempt int, max_attempts int, last_checkpoint_at timestamptz, last_progress_at timestamptz
)
language sql
stable
set search_path = ''
as $$
  select j.job_id, j.key, j.kind, j.state, s.liveness, s.reason, s.silence_s, s.threshold_s, j.attempt, j.max_attempts,
         j.last_checkpoint_at, j.last_progress_at
  from milepost_private.stuck_jobs(now()) s
  join milepost.jobs j on j.job_id = s.job_id
  order by s.silence_s desc;
$$;
comment on function milepost.get_stuck_jobs() is
'Jobs that are stalled or lost now, and why: no_progress, no_contact, no_net_progress or never_started.';
revoke execute on function milepost.get_stuck_jobs() from public, anon, authenticated;
grant execute on function milepost.get_stuck_jobs() to authenticated, service_role;

-- ==== sql/schema/56_reset_stuck_jobs.sql

-- reset_stuck_jobs: take stuck jobs away from their workers: a new attempt (which fences the old one), or failed once
-- the attempts are used up. Also ends what waits for a worker that is gone. Safe to run twice at once.
create or replace function milepost.reset_stuck_jobs(at timestamptz default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
set plan_cache_mode = 'force_generic_plan'  -- planning each job's statements anew takes longer than running them
as $$
declare
  v_now     timestamptz := coalesce(at, clock_timestamp());
  v_grace   constant interval := '1 minute';
  v_pause   constant interval := '2 minutes';
  v_hold    boolean;
  v_stuck   milepost_private.stuck_job;
  v_job     milepost.jobs;
  v_found   int := 0;
  v_reset   int := 0;
  v_failed  int := 0;
  v_ended   int := 0;
begin
  -- HOLD: several jobs that all fell silent together say that Milepost was not reached, not that they all died; unless
  -- another worker reached it since (operators' keys read from elsewhere). And where nobody swept for a while, Milepost was away itself; unless its scheduler
  -- comes no more often than that, which leaves the same gap before the next sweep, too.
  update milepost_private.sweeps s set
    hold_until = case
      when q.are_silent and not exists (select from milepost_private.keys k where k.scope <> 'operator' and k.last_used_at > q.heard_at + interval '1 minute')
        or v_now - s.swept_at > v_pause and s.hold_until is distinct from s.swept_at + v_pause then v_now + v_pause
      else s.hold_until end,
    swept_at = v_now
  from (
    select max(h.heard_at) as heard_at,
           count(*) filter (where h.heard_at > h.last_at - interval '1 minute') >= 3 and v_now - max(h.heard_at) > interval '30 seconds' as are_silent
    from (
      select j.last_checkpoint_at as heard_at, max(j.last_checkpoint_at) over () as last_at
      from milepost.jobs j
      where j.finished_at is null and j.state in ('running', 'completing') and j.last_checkpoint_at > v_now - interval '1 hour'
    ) h
  ) q
  where s.only_row
  returning s.hold_until > v_now into v_hold;

  for v_stuck in select * from milepost_private.stuck_jobs(v_now) order by job_id loop
    -- Another sweep has it, or its worker is just reporting: leave it alone.
    select j.* into v_job from milepost.jobs j where j.job_id = v_stuck.job_id for no key update skip locked;
    continue when v_job.job_id is null or v_job.state not in ('running', 'completing', 'pausing', 'canceling');
    -- It was heard while this sweep was at the others: the next one judges it.
    continue when extract(epoch from v_now - v_job.last_checkpoint_at) < v_stuck.contact_age_s;
    v_found := v_found + 1;
    update milepost_private.pulses p set stalled_at = v_now where p.job_id = v_job.job_id and p.stalled_at is null;
    if found then
      perform milepost_private.emit(array[row(v_job.job_id, 'job.stalled', jsonb_build_object(
        'liveness', v_stuck.liveness, 'reason', v_stuck.reason, 'silence_s', v_stuck.silence_s, 'threshold_s', v_stuck.threshold_s
      ))::milepost_private.event_draft], v_now);
    end if;
    continue when not coalesce(v_stuck.is_sure, false) or coalesce(v_hold, false) and v_stuck.contact_age_s > 20 and v_job.stall_after_ms is null;
    -- Its heartbeat goes on, so that no grace ends, but the loop that should acknowledge hangs.
    if v_job.state = 'canceling' then
      perform milepost_private.transition(v_job.job_id, 'canceled', 'reset', v_job.state_reason, v_job.state_actor, v_now);
      v_ended := v_ended + 1;
      continue;
    end if;
    perform milepost_private.transition(v_job.job_id,
      case when v_job.attempt < v_job.max_attempts then 'retrying' else 'failed' end, 'reset',
      format('%s for %s; more than %s is unusual for it', milepost_private.silence_in_words(v_stuck.reason),
             milepost_private.seconds_in_words(v_stuck.silence_s), milepost_private.seconds_in_words(v_stuck.threshold_s)),
      'system', v_now);
    if v_job.attempt < v_job.max_attempts then v_reset := v_reset + 1; else v_failed := v_failed + 1; end if;
  end loop;

  -- A cancel or a pause that nobody is there to acknowledge: who has not, was not heard for the grace time.
  for v_job in
    select j.* from milepost.jobs j
    where j.finished_at is null and j.state in ('canceling', 'pausing')
      and v_now - j.state_changed_at > v_grace
      and not exists (
        select from milepost.lanes l
        where l.job_id = j.job_id and l.attempt = j.attempt and v_now - l.last_checkpoint_at <= v_grace
          and l.state not in ('completed', 'canceled', 'failed') and not (j.state = 'pausing' and l.state = 'paused'))
    order by j.job_id for no key update skip locked
  loop
    perform milepost_private.transition(v_job.job_id, case v_job.state when 'canceling' then 'canceled' else 'paused' end, 'reset',
      v_job.state_reason, v_job.state_actor, v_now);
    v_ended := v_ended + 1;
  end loop;
  return jsonb_build_object('stuck', v_found, 'reset', v_reset, 'failed', v_failed, 'ended', v_ended, 'held', coalesce(v_hold, false));
end;
$$;
comment on function milepost.reset_stuck_jobs(timestamptz) is
'Begins a new attempt of each stuck job, or fails it once its attempts are used up; ends cancels and pauses that nobody acknowledges. Returns counts.';
revoke execute on function milepost.reset_stuck_jobs(timestamptz) from public, anon, authenticated;
grant execute on function milepost.reset_stuck_jobs(timestamptz) to service_role;

-- ==== sql/schema/57_sweep.sql

-- sweep: what has to happen every few seconds: partitions ahead, stuck jobs, progress events that were held back,
-- counters.
create or replace function milepost.sweep(at timestamptz default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_now    timestamptz := coalesce(at, clock_timestamp());
  v_answer jsonb;
  v_jobs   uuid[];
  v_drafts milepost_private.event_draft[];
begin
  v_answer := milepost.reset_stuck_jobs(v_now);

  select array_agg(l.job_id) into v_jobs
  from (
    select j.job_id from milepost.jobs j
    join milepost_private.pulses p on p.job_id = j.job_id
    join milepost.tenants t on t.tenant_id = j.tenant_id
    left join milepost_private.tenant_loads o on o.tenant_id = j.tenant_id
    -- Jobs that ended have pulses, too, and an index on what each checkpoint changes would cost more than this: those that run
    -- by their index, those that wait one by one.
    where j.job_id in (
        select q.job_id from milepost_private.pulses q where q.running and q.held_back
        union all
        select d.job_id from milepost.jobs d
        cross join lateral (select q.held_back from milepost_private.pulses q where q.job_id = d.job_id offset 0) w
        where d.finished_at is null and d.state in ('pending', 'paused', 'retrying') and w.held_back)
      and j.finished_at is null
      and v_now >= p.progress_event_at + interval '1 millisecond' * greatest(t.progress_interval_ms,
            milepost_private.progress_interval_ms(t.messages_per_s, o.jobs_at_work, 2 + (j.owner_id is not null)::int))
    order by j.job_id for no key update of j skip locked
  ) l;
  update milepost_private.pulses p set held_back = false, progress_event_at = v_now where p.job_id = any (v_jobs);
  select array_agg(row(j.job_id, 'job.progress', milepost_private.progress_fields(j, milepost_private.figures(j, p, k, v_now))
                  )::milepost_private.event_draft order by j.job_id) into v_drafts
  from milepost.jobs j
  join milepost_private.pulses p on p.job_id = j.job_id
  left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  where j.job_id = any (v_jobs);
  if v_drafts is not null then
    perform milepost_private.emit(v_drafts, v_now);
  end if;
  perform milepost_private.roll_up_measurements(now() - interval '5 minutes');

  return v_answer || jsonb_build_object(
    'progress_events', coalesce(cardinality(v_drafts), 0),
    'partitions', milepost_private.make_partitions((v_now at time zone 'utc')::date, (v_now at time zone 'utc')::date + 7));
end;
$$;
comment on function milepost.sweep(timestamptz) is
'Resets stuck jobs, sends progress that was held back, makes partitions ahead. Safe to repeat; cost follows active jobs.';
revoke execute on function milepost.sweep(timestamptz) from public, anon, authenticated;
grant execute on function milepost.sweep(timestamptz) to service_role;

-- ==== sql/schema/58_alert_conditions.sql

-- alert_conditions: what is wrong at the given time, by every tenant's rules. Writes nothing; cost follows the jobs that are
-- active, those that ended within a window, and eight runs of each kind.
do $$ begin
  if to_regtype('milepost_private.alert_condition') is null then
    create type milepost_private.alert_condition as (
      tenant_id uuid, rule text, subject text, job_id uuid, job text, kind text, severity text, for_s int,
      message text, value double precision, threshold double precision
    );
  end if;
end $$;
comment on type milepost_private.alert_condition is 'Something that a rule finds wrong: for each rule and subject at most one.';

create or replace function milepost_private.alert_conditions(at timestamptz)
returns setof milepost_private.alert_condition
language plpgsql
stable
set search_path = ''
as $$
begin
  -- JOBS that are active: stuck, late, past their deadline.
  return query
  select j.tenant_id, r.rule, j.job_id::text, j.job_id, j.key, j.kind, r.severity, r.for_s,
         case r.rule
           when 'job_stuck' then format('%s is %s: %s for %s.', j.key,
             case when v.liveness in ('stalled', 'lost') then v.liveness else j.state || ' after a reset' end,
             milepost_private.silence_in_words(v.reason),
             milepost_private.seconds_in_words(extract(epoch from at - coalesce(j.last_progress_at, j.started_at, j.created_at))))
           when 'job_late' then format('%s is late: %s for %s; it counts as stalled after %s.', j.key, milepost_private.silence_in_words(v.reason),
             milepost_private.seconds_in_words(v.silence_s), milepost_private.seconds_in_words(v.threshold_s))
           else format('%s is expected to take %s of the %s it may.', j.key, milepost_private.seconds_in_words(n.needs_s),
             milepost_private.seconds_in_words(j.processing_deadline_ms / 1000.0)) end,
         case r.rule when 'past_deadline' then n.needs_s else v.silence_s end,
         case r.rule when 'past_deadline' then j.processing_deadline_ms / 1000.0 else v.threshold_s end
  from milepost.jobs j
  join milepost_private.pulses p on p.job_id = j.job_id
  left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
  left join milepost_private.not_on_time(null, alert_conditions.at) v on v.job_id = j.job_id
  cross join lateral (
    -- Not as a condition of a join: that would have all jobs' figures computed.
    select case when j.processing_deadline_ms is not null then (
      select (f.time_processing_ms + coalesce(f.eta_ms, 0)) / 1000.0
      from milepost_private.figures(j, p, k, alert_conditions.at) f) end as needs_s
    offset 0  -- so that it is computed once, and not wherever it is named
  ) n
  join milepost_private.alert_rules_in_force r on r.tenant_id = j.tenant_id and r.is_on and (
    r.rule = 'job_stuck' and (v.liveness in ('stalled', 'lost') or p.stalled_at is not null and j.state not in ('pausing', 'paused'))
    or r.rule = 'job_late' and v.liveness = 'late' and v.reason <> 'past_deadline'
    or r.rule = 'past_deadline' and n.needs_s > j.processing_deadline_ms / 1000.0)
  where j.finished_at is null;

  return query
  select j.tenant_id, r.rule, j.job_id::text, j.job_id, j.key, j.kind, r.severity, r.for_s,
         format('%s failed in attempt %s of %s: %s', j.key, j.attempt, j.max_attempts, left(coalesce(j.error, 'no reason was given'), 500)),
         null::double precision, null::double precision
  from milepost_private.alert_rules_in_force r
  join milepost.jobs j on j.tenant_id = r.tenant_id
    and j.finished_at > alert_conditions.at - r.window_s * interval '1 second' and j.finished_at <= alert_conditions.at
  where r.rule = 'job_failed' and r.is_on and j.state = 'failed';

  -- KINDS: too many failures, a run that did not come.
  return query
  select r.tenant_id, r.rule, f.kind, null::uuid, null::text, f.kind, r.severity, r.for_s,
         format('%s of %s runs of %s failed within %s: %s %%, more than %s %%.', f.failed, f.ended, f.kind,
           milepost_private.seconds_in_words(r.window_s), round(f.percent), r.threshold),
         f.percent::double precision, r.threshold
  from milepost_private.alert_rules_in_force r
  cross join lateral (
    select j.kind, count(*) as ended, count(*) filter (where j.state = 'failed') as failed,
           100.0 * count(*) filter (where j.state = 'failed') / count(*) as percent
    from milepost.jobs j
    where j.tenant_id = r.tenant_id and j.state in ('completed', 'failed')
      and j.finished_at > alert_conditions.at - r.window_s * interval '1 second' and j.finished_at <= alert_conditions.at
    group by j.kind
    having count(*) >= 5
  ) f
  where r.rule = 'failure_rate' and r.is_on and f.percent > r.threshold;

  -- Only a kind whose last intervals are much alike is expected at a time. It is due an interval after its last run; what it
  -- is late by has to exceed what it was late by before, a share of the interval, and a minute.
  return query
  select k.tenant_id, r.rule, k.kind, null::uuid, null::text, k.kind, r.severity, r.for_s,
         format('%s runs about every %s, but did not since %s.', k.kind, milepost_private.seconds_in_words(g.usual_s),
           milepost_private.iso(g.last_at)),
         extract(epoch from alert_conditions.at - g.last_at)::double precision, g.usual_s * (1 + r.threshold / 100)
  from milepost_private.alert_rules_in_force r
  join milepost_private.kinds k on k.tenant_id = r.tenant_id
  cross join lateral (
    select max(s.created_at) as last_at, count(s.gap_s) as gaps, max(s.gap_s) as longest_s, min(s.gap_s) as shortest_s,
           percentile_cont(0.5) within group (order by s.gap_s) as usual_s
    from (
      select l.created_at, extract(epoch from l.created_at - lag(l.created_at) over (order by l.created_at))::double precision as gap_s
      from (
        select j.created_at from milepost.jobs j
        where j.tenant_id = k.tenant_id and j.kind = k.kind and j.created_at <= alert_conditions.at
        order by j.created_at desc limit 8
      ) l
    ) s
  ) g
  where r.rule = 'missed_run' and r.is_on and g.gaps >= 4 and g.longest_s <= 2 * g.usual_s and g.shortest_s >= 0.5 * g.usual_s
    and extract(epoch from alert_conditions.at - g.last_at) - g.usual_s
        > greatest(2 * (g.longest_s - g.usual_s), r.threshold / 100 * g.usual_s, 60)
    -- Who stopped running it for good need not be told for ever.
    and extract(epoch from alert_conditions.at - g.last_at) < 10 * g.usual_s
    -- The next one may wait for this one to end.
    and not exists (select from milepost.jobs j where j.tenant_id = k.tenant_id and j.kind = k.kind and j.finished_at is null);

  -- TENANTS: a queue that grows, a slow database.
  return query
  select r.tenant_id, r.rule, '', null::uuid, null::text, null::text, r.severity, r.for_s,
         format('%s jobs wait for a worker, more than %s.', w.waiting, r.threshold), w.waiting::double precision, r.threshold
  from milepost_private.alert_rules_in_force r
  cross join lateral (
    select count(*) as waiting from milepost.jobs j
    where j.tenant_id = r.tenant_id and j.state in ('pending', 'retrying')
      and (j.run_after is null or j.run_after <= alert_conditions.at)
  ) w
  where r.rule = 'queue_depth' and r.is_on and w.waiting > r.threshold;

  return query
  select r.tenant_id, r.rule, '', null::uuid, null::text, null::text, r.severity, r.for_s,
         format('One of twenty requests took %s ms or more to be recorded and sent on, more than %s ms.', round(d.p95_ms), r.threshold),
         d.p95_ms, r.threshold
  from milepost_private.alert_rules_in_force r
  cross join lateral milepost_private.ingest_latency(r.tenant_id, alert_conditions.at, r.window_s) d
  where r.rule = 'update_delay' and r.is_on and d.requests >= 20 and d.p95_ms > r.threshold;
end;
$$;
comment on function milepost_private.alert_conditions(timestamptz) is 'What is wrong at the given time, by the rules of each tenant. Reads only.';
revoke execute on function milepost_private.alert_conditions(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.alert_conditions(timestamptz) to service_role;

-- ==== sql/schema/58_evaluate_alerts.sql

-- is_quiet: whether a channel's quiet hours are on. They may pass midnight.
create or replace function milepost_private.is_quiet(quiet_from time, quiet_until time, time_zone text, at timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  v_clock time := (at at time zone time_zone)::time;
begin
  return coalesce(case when quiet_from <= quiet_until then v_clock >= quiet_from and v_clock < quiet_until
                       else v_clock >= quiet_from or v_clock < quiet_until end, false);
end;
$$;
comment on function milepost_private.is_quiet(time, time, text, timestamptz) is 'Whether the clock of this zone is between the two times; false without them.';
revoke execute on function milepost_private.is_quiet(time, time, text, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.is_quiet(time, time, text, timestamptz) to service_role;

-- is_muted: whether somebody does not want to hear of this alert at the given time.
create or replace function milepost_private.is_muted(alert milepost_private.alerts, at timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select from milepost_private.alert_mutes m
    where m.tenant_id = alert.tenant_id and m.until > at and (m.rule is null or m.rule = alert.rule)
      and (m.kind is null or m.kind = alert.kind) and (m.job_id is null or m.job_id = alert.job_id));
end;
$$;
comment on function milepost_private.is_muted(milepost_private.alerts, timestamptz) is 'Whether a mute covers the alert at the given time.';
revoke execute on function milepost_private.is_muted(milepost_private.alerts, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.is_muted(milepost_private.alerts, timestamptz) to authenticated, service_role;

-- evaluate_alerts: opens what is newly wrong, resolves what is over, and puts what changed into the channels' outboxes.
-- A pure step of (what is stored, at); evaluating twice changes nothing.
create or replace function milepost_private.evaluate_alerts(at timestamptz)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_found    milepost_private.alert_condition[];
  v_opened   int;
  v_resolved int;
  v_queued   int;
begin
  -- GUARD: one evaluation at a time; the other does the same
  if not pg_try_advisory_xact_lock(hashtextextended('milepost_private.evaluate_alerts', 0)) then
    return jsonb_build_object('opened', 0, 'resolved', 0, 'queued', 0);
  end if;
  v_found := array(select c from milepost_private.alert_conditions(at) c);

  insert into milepost_private.alerts as a (tenant_id, rule, subject, job_id, job, kind, severity, message, value, threshold, began_at)
  select c.tenant_id, c.rule, c.subject, c.job_id, c.job, c.kind, c.severity, c.message, c.value, c.threshold, evaluate_alerts.at
  from unnest(v_found) c
  on conflict (tenant_id, rule, subject) where resolved_at is null
  do update set message = excluded.message, value = excluded.value, threshold = excluded.threshold where a.opened_at is null;

  update milepost_private.alerts a set opened_at = evaluate_alerts.at
  from unnest(v_found) c
  where a.resolved_at is null and a.opened_at is null and (a.tenant_id, a.rule, a.subject) = (c.tenant_id, c.rule, c.subject)
    and evaluate_alerts.at >= a.began_at + c.for_s * interval '1 second';
  get diagnostics v_opened = row_count;

  -- OVER: what had not been so for long enough leaves no trace.
  delete from milepost_private.alerts a
  where a.resolved_at is null and a.opened_at is null
    and not exists (select from unnest(v_found) c where (c.tenant_id, c.rule, c.subject) = (a.tenant_id, a.rule, a.subject));
  with over as (
    select a.alert_id, j.state,
           case when not r.is_on then 'turned_off'
                when a.rule = 'job_failed' and j.state = 'failed' or a.job_id is not null and j.job_id is null
                  or a.rule = 'missed_run' and not exists (
                    select from milepost.jobs n where n.tenant_id = a.tenant_id and n.kind = a.kind and n.created_at > a.began_at) then 'expired'
                else 'recovered' end as resolution
    from milepost_private.alerts a
    join milepost_private.alert_rules_in_force r on r.tenant_id = a.tenant_id and r.rule = a.rule
    left join milepost.jobs j on j.job_id = a.job_id
    where a.resolved_at is null
      and not exists (select from unnest(v_found) c where (c.tenant_id, c.rule, c.subject) = (a.tenant_id, a.rule, a.subject))
  )
  update milepost_private.alerts a set
    resolved_at = evaluate_alerts.at, resolution = o.resolution,
    message = case when o.resolution <> 'recovered' then a.message
                   when a.job_id is not null then format('%s is %s now. It was: %s', a.job, o.state, a.message)
                   else 'No longer so: ' || a.message end
  from over o where a.alert_id = o.alert_id;
  get diagnostics v_resolved = row_count;

  -- TOLD: what is open and was not told yet (it is new, or was muted), and recoveries of what was.
  update milepost_private.alerts a set announcement = nextval('milepost_private.announcements')
  where not milepost_private.is_muted(a, evaluate_alerts.at)
    and (a.resolved_at is null and a.opened_at is not null and a.announcement is null
         or a.resolved_at = evaluate_alerts.at and a.resolution = 'recovered' and a.announcement is not null);

  -- OUTBOX: one message has all that a channel has not been told, each as it is now.
  with news as (
    select c.channel_id, c.tenant_id, max(n.announcement) as told, max(t.name) as tenant, count(*) as alerts,
           count(*) filter (where n.resolved_at is null) as open,
           jsonb_agg(jsonb_build_object(
             'alert_id', n.alert_id, 'status', case when n.resolved_at is null then 'open' else 'resolved' end, 'rule', n.rule,
             'severity', n.severity, 'message', n.message, 'job_id', n.job_id, 'job', n.job, 'kind', n.kind, 'value', n.value,
             'threshold', n.threshold, 'opened_at', milepost_private.iso(n.opened_at), 'resolved_at', milepost_private.iso(n.resolved_at)
           ) order by n.severity, n.announcement) filter (where n.place <= 50) as told_of
    from milepost_private.alert_channels c
    join milepost.tenants t on t.tenant_id = c.tenant_id
    cross join lateral (
      select a.*, row_number() over (order by a.severity, a.announcement) as place
      from milepost_private.alerts a where a.tenant_id = c.tenant_id and a.announcement > c.told
    ) n
    where not milepost_private.is_quiet(c.quiet_from, c.quiet_until, c.time_zone, evaluate_alerts.at)
      and not exists (select from milepost_private.alert_deliveries d
                      where d.channel_id = c.channel_id and d.delivered_at is null and d.gave_up_at is null)
    group by c.channel_id, c.tenant_id
  ), queued as (
    insert into milepost_private.alert_deliveries (tenant_id, channel_id, body, created_at, due_at)
    select n.tenant_id, n.channel_id, jsonb_build_object(
             'type', 'milepost.alerts', 'timestamp', milepost_private.iso(evaluate_alerts.at),
             'data', jsonb_build_object('tenant_id', n.tenant_id, 'tenant', n.tenant, 'open', n.open, 'resolved', n.alerts - n.open,
                                        'alerts', n.told_of, 'left_out', greatest(n.alerts - 50, 0))),
           evaluate_alerts.at, evaluate_alerts.at
    from news n
  )
  update milepost_private.alert_channels c set told = n.told from news n where c.channel_id = n.channel_id;
  get diagnostics v_queued = row_count;

  delete from milepost_private.alerts a where a.resolved_at < evaluate_alerts.at - interval '30 days';
  delete from milepost_private.alert_deliveries d where d.created_at < evaluate_alerts.at - interval '7 days'
    and (d.delivered_at is not null or d.gave_up_at is not null);
  delete from milepost_private.alert_mutes m where m.until < evaluate_alerts.at;
  return jsonb_build_object('opened', v_opened, 'resolved', v_resolved, 'queued', v_queued);
end;
$$;
comment on function milepost_private.evaluate_alerts(timestamptz) is
'Opens and resolves alerts as of the given time and queues what channels are to be told. Returns counts; safe to repeat.';
revoke execute on function milepost_private.evaluate_alerts(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.evaluate_alerts(timestamptz) to service_role;

-- ==== sql/schema/58_purge_history.sql

-- purge_history: history that is past its time leaves. Checkpoints and events, nearly all of it, by dropping the partition of
-- a day, which costs the same however much it holds. Jobs, a row for each run, in steps of bounded size: each step deletes what
-- ended some days ago as the day went, and never more rows than a worker's request would notice.
create or replace function milepost_private.drop_partitions(before date)
returns int
language plpgsql
volatile
security definer                -- only the owner may drop a partition
set search_path = ''
-- A drop waits for who reads the history, and everybody else waits for the drop: rather the next purge tries again.
set lock_timeout = '500ms'
as $$
declare
  v_name    text;
  v_dropped int := 0;
begin
  for v_name in
    select c.relname from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent in ('milepost.checkpoints'::regclass, 'milepost.events'::regclass)
      and c.relname ~ '_[0-9]{8}$' and right(c.relname, 8) < to_char(before, 'YYYYMMDD')
    order by 1
  loop
    begin
      execute format('drop table milepost_private.%I', v_name);
      v_dropped := v_dropped + 1;
    exception when lock_not_available then
      return v_dropped;
    end;
  end loop;
  return v_dropped;
end;
$$;
comment on function milepost_private.drop_partitions(date) is
'Drops the daily partitions of days before the given one; returns how many. Stops where a reader holds one up.';
revoke execute on function milepost_private.drop_partitions(date) from public, anon, authenticated;
grant execute on function milepost_private.drop_partitions(date) to service_role;

-- It had no parameter once; left beside this one, its calls would be ambiguous.
drop function if exists milepost.purge_history();
create or replace function milepost.purge_history(at timestamptz default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_now   timestamptz := coalesce(at, clock_timestamp());
  v_most  constant int := 1000;           -- jobs a step
  v_most_items constant int := 20000;     -- items a step: one job may have more of them than there are jobs
  v_jobs  uuid[];
  v_gone  int;
  v_items int;
  v_audit int := milepost_private.purge_audit(v_now);
begin
  select array_agg(x.job_id) into v_jobs
  from (
    select l.job_id from milepost.tenants t
    cross join lateral (
      select j.job_id from milepost.jobs j
      where j.tenant_id = t.tenant_id and j.finished_at < v_now - t.keep_days * interval '1 day'
      order by j.finished_at limit v_most
      for update skip locked) l
    limit v_most
  ) x;

  delete from milepost.items i
  where (i.job_id, i.stage, i.key) in (
    select d.job_id, d.stage, d.key from milepost.items d where d.job_id = any (v_jobs) limit v_most_items);
  get diagnostics v_items = row_count;
  delete from milepost.jobs j
  where j.job_id = any (v_jobs) and not exists (select from milepost.items i where i.job_id = j.job_id);
  get diagnostics v_gone = row_count;

  return jsonb_build_object(
    'jobs_deleted', v_gone, 'items_deleted', v_items, 'audit_deleted', v_audit,
    'more', v_gone = v_most or v_items = v_most_items or v_audit = 1000,
    'partitions_dropped', milepost_private.drop_partitions(
      (v_now at time zone 'utc')::date - (select coalesce(max(t.keep_days), 30) from milepost.tenants t)));
end;
$$;
comment on function milepost.purge_history(timestamptz) is
'One step of retention: deletes jobs that ended more than keep_days ago, at most 1,000 of them and 20,000 items, and drops the partitions of days that no tenant keeps. Returns counts and whether there is more.';
revoke execute on function milepost.purge_history(timestamptz) from public, anon, authenticated;
grant execute on function milepost.purge_history(timestamptz) to service_role;

-- ==== sql/schema/59_send_alerts.sql

-- send_alerts: what /cron/alerts asks. The first call of a round evaluates; each call takes the results of the last ones and
-- hands out messages that are due, with all that is needed to send them. Who is handed a message has two minutes for it, in
-- which nobody else gets it; a result that comes later under an old lease_id is not heard. So two callers never send the same
-- message at the same time; one who sends and dies before it says so makes it go out again.
create or replace function milepost.send_alerts(results jsonb default null, hand_out boolean default true, at timestamptz default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_now       timestamptz := coalesce(at, clock_timestamp());
  v_attempts  constant int := 12;
  v_evaluated jsonb;
  v_handed    jsonb;
begin
  if results is null then
    v_evaluated := milepost_private.evaluate_alerts(v_now);
  end if;

  update milepost_private.alert_deliveries d set
    delivered_at = case when r.error is null then v_now end,
    gave_up_at = case when r.error is not null and d.attempts >= v_attempts then v_now end,
    last_error = left(r.error, 500),
    lease_id = null,
    due_at = v_now + least(30 * 2 ^ (d.attempts - 1), 3600) * interval '1 second'
  from jsonb_to_recordset(coalesce(results, '[]')) as r (delivery_id uuid, lease_id uuid, error text)
  where d.delivery_id = r.delivery_id and d.lease_id = r.lease_id;

  update milepost_private.alert_deliveries d set gave_up_at = v_now, lease_id = null
  where d.delivered_at is null and d.gave_up_at is null and d.attempts >= v_attempts and d.due_at <= v_now;

  with due as (
    select d.delivery_id from milepost_private.alert_deliveries d
    where d.delivered_at is null and d.gave_up_at is null and d.due_at <= v_now and hand_out
    order by d.due_at limit 20 for update skip locked
  ), handed as (
    update milepost_private.alert_deliveries d set
      attempts = d.attempts + 1, lease_id = gen_random_uuid(), due_at = v_now + interval '2 minutes',
      last_error = case when d.lease_id is not null then 'whoever was to send it did not say what became of it' else d.last_error end
    from due where d.delivery_id = due.delivery_id
    returning d.delivery_id, d.lease_id, d.attempts, d.channel_id, d.body
  )
  select coalesce(jsonb_agg(jsonb_build_object(
           'delivery_id', h.delivery_id, 'lease_id', h.lease_id, 'attempt', h.attempts, 'channel_id', h.channel_id,
           'channel', c.type, 'address', c.address, 'secret', c.secret, 'body', h.body)), '[]')
  into v_handed
  from handed h join milepost_private.alert_channels c on c.channel_id = h.channel_id;
  return jsonb_build_object('evaluated', v_evaluated, 'deliveries', v_handed);
end;
$$;
comment on function milepost.send_alerts(jsonb, boolean, timestamptz) is
'Takes [{"delivery_id", "lease_id", "error"}] and hands out what is due: {"evaluated", "deliveries"}. Without results it evaluates first; hand_out false ends a round.';
revoke execute on function milepost.send_alerts(jsonb, boolean, timestamptz) from public, anon, authenticated;
grant execute on function milepost.send_alerts(jsonb, boolean, timestamptz) to service_role;

-- ==== sql/schema/59_shared_job.sql

-- shared_job: what a share link shows. Only what is said here goes out: a stranger reads it, and what the view learns later
-- must not reach them by itself. Nothing that names people, tenants, machines or data: no owner, worker, cursor, metadata,
-- and no free text of a worker's (message, error, reason), which may hold paths, hosts or rows.
create or replace function milepost.shared_job(token_hash text, job text default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_share milepost_private.shares;
  v_shown jsonb;
begin
  select s.* into v_share from milepost_private.shares s
  where s.token_hash = shared_job.token_hash and s.expires_at > now();

  select jsonb_build_object(
    'job', v.job, 'name', v.name, 'kind', v.kind, 'unit', v.unit, 'state', v.state, 'liveness', v.liveness, 'health', v.health,
    'attempt', v.attempt, 'version', v.version, 'percent_complete', v.percent_complete, 'items_total', v.items_total,
    'items_completed', v.items_completed, 'items_failed', v.items_failed, 'items_skipped', v.items_skipped,
    'items_canceled', v.items_canceled, 'items_pending', v.items_pending, 'bytes_processed', v.bytes_processed, 'rate_per_s', v.rate_per_s,
    'eta_ms', v.eta_ms, 'eta_low_ms', v.eta_low_ms, 'eta_high_ms', v.eta_high_ms,
    'estimated_completion_at', milepost_private.iso(v.estimated_completion_at), 'eta_reason', v.eta_reason,
    'time_processing_ms', v.time_processing_ms, 'rate_limited', v.rate_limited, 'current_stage', v.current_stage,
    'stages', v.stages, 'created_at', milepost_private.iso(v.created_at), 'started_at', milepost_private.iso(v.started_at),
    'last_checkpoint_at', milepost_private.iso(v.last_checkpoint_at), 'finished_at', milepost_private.iso(v.finished_at),
    'expires_at', milepost_private.iso(v_share.expires_at),
    -- Short while the end is near, long where nothing moves; an ended job may still begin another attempt.
    'next_poll_ms', case
      when v.finished_at is not null then 60000
      when v.state in ('pending', 'retrying', 'paused') then 10000
      else greatest(2000, least(coalesce(v.eta_ms, 500000) / 100, 10000)) end)
  into v_shown
  from milepost.job_progress v
  where v.job_id = v_share.job_id
    and (shared_job.job is null or shared_job.job in (v.job, v.job_id::text));

  -- GUARD: absent, expired, revoked, or of another job; not told apart
  if v_shown is null then
    perform milepost_private.refuse(404, 'share_not_found',
      'Expected the token of a share link that holds; this one is unknown, has expired, or was revoked.',
      'Ask whoever gave it to you for a new link.');
  end if;
  return v_shown;
end;
$$;
comment on function milepost.shared_job(text, text) is
'The job of the share link whose token has this sha256, as a stranger may see it; with a job named, only if it is that one. Refuses with share_not_found.';
revoke execute on function milepost.shared_job(text, text) from public, anon, authenticated;
grant execute on function milepost.shared_job(text, text) to service_role;

-- ==== sql/schema/59_stream_events.sql

-- stream_events: events in an order in which nothing can appear behind a reader's back.
-- An event's id is drawn before its transaction commits, so a reader that only remembers the greatest id it saw could miss one.
-- Every writer therefore holds, until it commits, a shared advisory lock that names the last id drawn before its own
-- (emit); what is at or below the least of these names is complete.

create or replace function milepost.stream_events(tenant_ids uuid[], after bigint default null, "limit" int default 1000)
returns jsonb
language plpgsql
volatile                          -- each statement needs a snapshot of its own: first the horizon, then what is below it
set search_path = ''
as $$
declare
  v_drawn   bigint := coalesce(pg_catalog.pg_sequence_last_value('milepost.events_event_id_seq'::regclass), 0);
  v_writing bigint;
  v_horizon bigint;
  v_events  jsonb;
  v_last    bigint;
begin
  select min((l.classid::bigint << 32 | l.objid::bigint) - milepost_private.stream_lock_base()) into v_writing
  from pg_catalog.pg_locks l
  where l.locktype = 'advisory' and l.objsubid = 1
    and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
    and l.classid::bigint >> 16 = milepost_private.stream_lock_base() >> 48;
  -- A lock may name an id that was the last one a while ago, so the horizon can fall; a reader's place never does.
  v_horizon := greatest(after, least(v_drawn, v_writing));
  -- GUARD: only where the stream is now
  if after is null then
    return jsonb_build_object('after', v_horizon, 'events', '[]'::jsonb);
  end if;
  -- Who is far behind catches up in parts, and none of them sorts more than this.
  v_horizon := least(v_horizon, after + 50000);
  select coalesce(jsonb_agg(e.event order by e.event_id), '[]'), max(e.event_id) filter (where e.place = stream_events."limit")
  into v_events, v_last
  from (
    select x.event_id, row_number() over (order by x.event_id) as place,
           jsonb_build_object('id', x.event_id, 'tenant_id', x.tenant_id, 'job_id', x.job_id, 'version', x.version, 'type', x.type,
             'ts', milepost_private.iso(x.ts), 'correlation_id', x.correlation_id, 'data', x.data) as event
    from milepost.events x
    where x.tenant_id = any (stream_events.tenant_ids) and x.event_id > stream_events.after and x.event_id <= v_horizon
      and x.ts > now() - interval '1 day'
    order by x.event_id
    limit stream_events."limit"
  ) e;
  return jsonb_build_object('after', coalesce(v_last, v_horizon), 'events', v_events);
end;
$$;
comment on function milepost.stream_events(uuid[], bigint, int) is
'Events of these tenants after the given id, of the last day, in an order that loses none: {"after", "events"}. Without an id: where to begin.';
revoke execute on function milepost.stream_events(uuid[], bigint, int) from public, anon, authenticated;
grant execute on function milepost.stream_events(uuid[], bigint, int) to service_role;

-- ==== sql/schema/60_job_progress.sql

-- job_progress: every job with everything that is computed, at the moment of reading.
do $guard$
declare
  v_wanted constant text := $wanted$with (security_invoker = true) as
select
  j.job_id, j.key as job, j.kind, j.name, j.unit, j.tenant_id, j.owner_id,
  j.state, j.state_reason, j.state_actor, f.liveness, f.liveness_reason, f.threshold_s, f.health,
  j.attempt, j.max_attempts, j.priority, j.version,
  f.percent_complete, f.items_total, j.items_completed, j.items_failed, j.items_skipped, j.items_canceled, f.items_pending,
  j.bytes_processed, f.rate_per_s, f.bytes_per_s, f.average_duration_ms_per_item,
  f.eta_ms, f.eta_low_ms, f.eta_high_ms, f.estimated_completion_at, f.eta_reason,
  f.time_to_start_ms, f.time_processing_ms, f.rate_limited, j.rate_limited_until, j.processing_deadline_ms,
  (select s.name from milepost.stages s where s.job_id = j.job_id and s.state = 'running'
   order by s.position desc limit 1) as current_stage,
  (select coalesce(jsonb_agg(milepost_private.stage_json(s) order by s.position), '[]')
   from milepost.stages s where s.job_id = j.job_id) as stages,
  (select coalesce(jsonb_agg(milepost_private.lane_json(l) order by l.worker), '[]')
   from milepost.lanes l where l.job_id = j.job_id) as workers,
  (select l.cursor from milepost.lanes l where l.job_id = j.job_id and l.cursor is not null
   order by l.cursor_at desc, l.worker limit 1) as cursor,
  j.message, j.error, j.metadata,
  j.created_at, j.started_at, j.last_checkpoint_at, j.last_progress_at, j.finished_at, j.run_after,
  j.attempt_started_at, j.state_changed_at, j.stall_after_ms, j.workers_expected
from milepost.jobs j
left join milepost_private.pulses p on p.job_id = j.job_id
left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
cross join lateral milepost_private.figures(j, p, k, now()) f$wanted$;
begin
  if to_regclass('milepost.job_progress') is not null then
    execute 'create temporary view job_progress ' || v_wanted;
    if (select count(distinct row(reloptions, pg_get_viewdef(oid))) = 1
        from pg_catalog.pg_class
        where oid in ('milepost.job_progress'::regclass, 'pg_temp.job_progress'::regclass)) then
      drop view pg_temp.job_progress;
      return;
    end if;
    drop view pg_temp.job_progress;
  end if;
  execute 'create or replace view milepost.job_progress ' || v_wanted;
end $guard$;

comment on view milepost.job_progress is
'Jobs with percent, rate, ETA and its range, liveness and health as of now. One row a job; stages and workers as JSON.';
comment on column milepost.job_progress.job is 'The client''s key.';
comment on column milepost.job_progress.percent_complete is '100 * (completed + skipped) / total, or the weighted mean of the stages; null while unknown.';
comment on column milepost.job_progress.items_total is 'The total; null while unknown. At least what has been settled.';
comment on column milepost.job_progress.items_pending is 'total - completed - failed - skipped - canceled; null while the total is unknown.';
comment on column milepost.job_progress.rate_per_s is 'Items a second now; of a finished job, over its whole active time.';
comment on column milepost.job_progress.eta_ms is 'Milliseconds until it is done; null with a reason in eta_reason.';
comment on column milepost.job_progress.eta_low_ms is 'Lower end of the central 80 % interval.';
comment on column milepost.job_progress.eta_high_ms is 'Upper end of the central 80 % interval.';
comment on column milepost.job_progress.eta_reason is 'Why eta_ms is null: no_total, no_progress, paused, rate_limited, finished, not_started, stalled.';
comment on column milepost.job_progress.liveness is 'on_time, late, stalled or lost: computed when read, never stored.';
comment on column milepost.job_progress.liveness_reason is 'no_progress, no_contact, no_net_progress, never_started or past_deadline.';
comment on column milepost.job_progress.threshold_s is 'Seconds of silence after which it counts as stalled.';
comment on column milepost.job_progress.health is 'excellent, good, fair or poor, from errors, liveness and the runs of its kind: docs/health.md.';
comment on column milepost.job_progress.time_processing_ms is 'Its active clock: time spent running, pauses and waits excluded.';
comment on column milepost.job_progress.workers is 'Its lanes.';
comment on column milepost.job_progress.cursor is 'The newest cursor of its lanes.';
comment on column milepost.job_progress.bytes_per_s is 'Bytes a second over its whole active time.';
comment on column milepost.job_progress.average_duration_ms_per_item is 'Active time per item that was worked on, in ms.';
comment on column milepost.job_progress.estimated_completion_at is 'When it is expected to be done: now + eta_ms.';
comment on column milepost.job_progress.time_to_start_ms is 'Time from its creation to its first run, in ms.';
comment on column milepost.job_progress.rate_limited is 'Whether a worker waits for a rate limit to end.';
comment on column milepost.job_progress.current_stage is 'The last of its stages that is running.';

revoke all on milepost.job_progress from public, anon, authenticated;
grant select on milepost.job_progress to authenticated, service_role;

-- ==== sql/schema/61_stage_progress.sql

-- stage_progress: stages with their percent.
do $guard$
declare
  v_wanted constant text := $wanted$with (security_invoker = true) as
select s.job_id, j.key as job, j.kind, s.tenant_id, s.name as stage, s.position, s.state, s.weight,
       milepost_private.stage_percent(s) as percent_complete,
       s.items_total, s.items_completed, s.items_failed, s.items_skipped, s.items_canceled, s.bytes_processed,
       s.started_at, s.finished_at
from milepost.stages s
join milepost.jobs j on j.job_id = s.job_id$wanted$;
begin
  if to_regclass('milepost.stage_progress') is not null then
    execute 'create temporary view stage_progress ' || v_wanted;
    if (select count(distinct row(reloptions, pg_get_viewdef(oid))) = 1
        from pg_catalog.pg_class
        where oid in ('milepost.stage_progress'::regclass, 'pg_temp.stage_progress'::regclass)) then
      drop view pg_temp.stage_progress;
      return;
    end if;
    drop view pg_temp.stage_progress;
  end if;
  execute 'create or replace view milepost.stage_progress ' || v_wanted;
end $guard$;
comment on view milepost.stage_progress is 'Stages of jobs with their percent.';
revoke all on milepost.stage_progress from public, anon, authenticated;
grant select on milepost.stage_progress to authenticated, service_role;

-- ==== sql/schema/62_job_status.sql

-- job_status: what a dashboard shows first.
do $guard$
declare
  v_wanted constant text := $wanted$with (security_invoker = true) as
select v.job_id, v.job, v.kind, v.name, v.tenant_id, v.state, v.liveness, v.health, v.percent_complete, v.rate_per_s, v.eta_ms,
       v.eta_low_ms, v.eta_high_ms, v.estimated_completion_at, v.eta_reason, v.current_stage, v.message, v.error,
       v.attempt, v.last_checkpoint_at, v.last_progress_at, v.created_at
from milepost.job_progress v
where v.finished_at is null or v.finished_at > now() - interval '1 day'$wanted$;
begin
  if to_regclass('milepost.job_status') is not null then
    execute 'create temporary view job_status ' || v_wanted;
    if (select count(distinct row(reloptions, pg_get_viewdef(oid))) = 1
        from pg_catalog.pg_class
        where oid in ('milepost.job_status'::regclass, 'pg_temp.job_status'::regclass)) then
      drop view pg_temp.job_status;
      return;
    end if;
    drop view pg_temp.job_status;
  end if;
  execute 'create or replace view milepost.job_status ' || v_wanted;
end $guard$;
comment on view milepost.job_status is 'Jobs that are active or ended within a day, with the figures of a dashboard.';
comment on column milepost.job_status.estimated_completion_at is 'When it is expected to be done.';
comment on column milepost.job_status.current_stage is 'The last of its stages that is running.';
revoke all on milepost.job_status from public, anon, authenticated;
grant select on milepost.job_status to authenticated, service_role;

-- ==== sql/schema/63_job_json.sql

-- job_summaries: a job as lists show it. Times are written as JSON wants them.
do $guard$
declare
  v_wanted constant text := $wanted$with (security_invoker = true) as
select
  v.job_id, v.job, v.kind, v.name, v.unit, v.tenant_id, v.owner_id, v.state, v.state_reason, v.liveness, v.health,
  v.attempt, v.max_attempts, v.priority, v.version, v.percent_complete, v.items_total, v.items_completed,
  v.items_failed, v.items_skipped, v.items_canceled, v.items_pending, v.bytes_processed, v.rate_per_s, v.bytes_per_s,
  v.average_duration_ms_per_item, v.eta_ms, v.eta_low_ms, v.eta_high_ms,
  milepost_private.iso(v.estimated_completion_at) as estimated_completion_at, v.eta_reason, v.time_to_start_ms,
  v.time_processing_ms, v.rate_limited, milepost_private.iso(v.rate_limited_until) as rate_limited_until,
  v.processing_deadline_ms, v.current_stage, v.message, v.error,
  milepost_private.iso(v.created_at) as created_at, milepost_private.iso(v.started_at) as started_at,
  milepost_private.iso(v.last_checkpoint_at) as last_checkpoint_at,
  milepost_private.iso(v.last_progress_at) as last_progress_at, milepost_private.iso(v.finished_at) as finished_at,
  milepost_private.iso(v.run_after) as run_after
from milepost.job_progress v$wanted$;
begin
  if to_regclass('milepost_private.job_summaries') is not null then
    execute 'create temporary view job_summaries ' || v_wanted;
    if (select count(distinct row(reloptions, pg_get_viewdef(oid))) = 1
        from pg_catalog.pg_class
        where oid in ('milepost_private.job_summaries'::regclass, 'pg_temp.job_summaries'::regclass)) then
      drop view pg_temp.job_summaries;
      return;
    end if;
    drop view pg_temp.job_summaries;
  end if;
  execute 'create or replace view milepost_private.job_summaries ' || v_wanted;
end $guard$;
comment on view milepost_private.job_summaries is 'Jobs as lists show them.';
revoke all on milepost_private.job_summaries from public, anon, authenticated;
grant select on milepost_private.job_summaries to authenticated, service_role;

-- job_json: a job as GET /v1/jobs/{job} shows it: the summary with its stages, workers, cursor and metadata.
create or replace function milepost_private.job_json(job_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select to_jsonb(s) || jsonb_build_object(
      'stages', v.stages, 'workers', v.workers, 'cursor', v.cursor, 'metadata', v.metadata,
      'cursors', (select coalesce(jsonb_object_agg(l.worker, l.cursor), '{}')
                  from milepost.lanes l where l.job_id = v.job_id and l.cursor is not null))
    from milepost_private.job_summaries s
    join (select p.job_id, p.stages, p.workers, p.cursor, p.metadata from milepost.job_progress p) v on v.job_id = s.job_id
    where s.job_id = job_json.job_id);
end;
$$;
comment on function milepost_private.job_json(uuid) is 'A job as the API shows it: the summary with its stages, workers, cursor and metadata.';
revoke execute on function milepost_private.job_json(uuid) from public, anon, authenticated;
grant execute on function milepost_private.job_json(uuid) to authenticated, service_role;

-- ==== sql/schema/64_visible_job.sql

-- visible_job: the job that a caller means, if the caller may see it. Absent and foreign are one answer.
create or replace function milepost_private.visible_job(job_id text)
returns milepost.jobs
language plpgsql
stable
set search_path = ''
as $$
declare
  v_jobs milepost.jobs[];
begin
  select array_agg(j) into v_jobs
  from unnest(array(select milepost_private.my_tenants())) as t (tenant_id)
  cross join lateral milepost_private.job_by_ref(t.tenant_id, visible_job.job_id) j;
  -- GUARD: absent, or not the caller's
  if v_jobs is null then
    perform milepost_private.refuse(404, 'job_not_found',
      format('Expected the id or key of a job; %s is none that you can see.', visible_job.job_id),
      'Check the id, or list your jobs with GET /v1/jobs.');
  end if;
  -- GUARD: the same key in several of the caller's tenants
  if cardinality(v_jobs) > 1 then
    perform milepost_private.refuse(422, 'ambiguous_job',
      format('Expected one job; %s is a key in several of your tenants.', visible_job.job_id), 'Use the job''s id.');
  end if;
  return v_jobs[1];
end;
$$;
comment on function milepost_private.visible_job(text) is 'The job with this id or key among those the caller may see. Refuses with job_not_found.';
revoke execute on function milepost_private.visible_job(text) from public, anon, authenticated;
grant execute on function milepost_private.visible_job(text) to authenticated, service_role;

-- ==== sql/schema/65_paging.sql

-- page_size, page_after: how lists are paged. A cursor is opaque to clients: the sort key of the last row, as JSON in base64.
create or replace function milepost_private.page_size(wanted int)
returns int
language plpgsql
immutable
set search_path = ''
as $$
begin
  return least(greatest(coalesce(wanted, 50), 1), 200);
end;
$$;
comment on function milepost_private.page_size(int) is 'Rows of a page: 50 unless said otherwise, at most 200.';
revoke execute on function milepost_private.page_size(int) from public, anon, authenticated;
grant execute on function milepost_private.page_size(int) to authenticated, service_role;

create or replace function milepost_private.page_cursor(sort_key jsonb)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return translate(encode(convert_to(sort_key::text, 'utf8'), 'base64'), E'+/=\n', '-_');
end;
$$;
comment on function milepost_private.page_cursor(jsonb) is 'The cursor of a row: its sort key.';
revoke execute on function milepost_private.page_cursor(jsonb) from public, anon, authenticated;
grant execute on function milepost_private.page_cursor(jsonb) to authenticated, service_role;

-- An older one trusted what was in a cursor.
drop function if exists milepost_private.page_after(text);
create or replace function milepost_private.page_after(cursor text, shape text[])
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_key jsonb;
begin
  if cursor is null then
    return null;
  end if;
  begin
    v_key := convert_from(decode(rpad(translate(cursor, '-_', '+/'), (length(cursor) + 3) / 4 * 4, '='), 'base64'), 'utf8')::jsonb;
  exception when others then
    v_key := null;
  end;
  -- GUARD: no sort key of this list; a client can make up any JSON
  if jsonb_typeof(v_key) is distinct from 'array' or exists (
       select from unnest(shape) with ordinality as part (type, place)
       where not coalesce(pg_input_is_valid(v_key ->> (part.place - 1)::int, part.type), false)) then
    perform milepost_private.refuse(422, 'invalid_cursor', 'Expected in `after` a cursor that an earlier answer gave as `next`.',
      'Leave it out to begin with the first page.');
  end if;
  return v_key;
end;
$$;
comment on function milepost_private.page_after(text, text[]) is
'The sort key in a cursor, of these types; null for none. Refuses what is no cursor of such a list.';
revoke execute on function milepost_private.page_after(text, text[]) from public, anon, authenticated;
grant execute on function milepost_private.page_after(text, text[]) to authenticated, service_role;

-- ==== sql/schema/66_eta_accuracy.sql

-- eta_accuracy: how right the finish times of each kind were.
do $guard$
declare
  v_wanted constant text := $wanted$with (security_invoker = true) as
select s.tenant_id, s.kind, count(distinct s.job_id) as runs,
       percentile_cont(0.5) within group (order by abs(s.log_error)) as median_error,
       percentile_cont(0.9) within group (order by abs(s.log_error)) as p90_error,
       avg(s.log_error) as bias,
       avg(s.covered::int) as coverage,
       avg(s.width) as mean_width
from milepost_private.eta_scores s
group by s.tenant_id, s.kind$wanted$;
begin
  if to_regclass('milepost.eta_accuracy') is not null then
    execute 'create temporary view eta_accuracy ' || v_wanted;
    if (select count(distinct row(reloptions, pg_get_viewdef(oid))) = 1
        from pg_catalog.pg_class
        where oid in ('milepost.eta_accuracy'::regclass, 'pg_temp.eta_accuracy'::regclass)) then
      drop view pg_temp.eta_accuracy;
      return;
    end if;
    drop view pg_temp.eta_accuracy;
  end if;
  execute 'create or replace view milepost.eta_accuracy ' || v_wanted;
end $guard$;
comment on view milepost.eta_accuracy is
'Per kind: errors |ln(predicted / true)| of the remaining time at each tenth of progress of completed jobs.';
comment on column milepost.eta_accuracy.runs is 'Completed jobs that were scored.';
comment on column milepost.eta_accuracy.median_error is 'Half of the predictions were wrong by no more; 0.1 is about 10 %.';
comment on column milepost.eta_accuracy.p90_error is 'Nine of ten were wrong by no more.';
comment on column milepost.eta_accuracy.bias is 'Mean of ln(predicted / true): above 0 is too late, below 0 too early.';
comment on column milepost.eta_accuracy.coverage is 'Share of cases in which eta_low_ms..eta_high_ms held the truth; 0.8 is meant.';
comment on column milepost.eta_accuracy.mean_width is 'Mean of (high - low) / true.';
revoke all on milepost.eta_accuracy from public, anon, authenticated;
grant select on milepost.eta_accuracy to authenticated, service_role;

-- ==== sql/schema/67_job_performance.sql

-- job_performance: what runs of each kind took.
do $guard$
declare
  v_wanted constant text := $wanted$with (security_invoker = true) as
select j.tenant_id, j.kind, count(*) as runs,
       count(*) filter (where j.state = 'completed') as completed,
       count(*) filter (where j.state = 'failed') as failed,
       count(*) filter (where j.state = 'canceled') as canceled,
       percentile_cont(0.5) within group (order by p.active_s * 1000) filter (where j.state = 'completed') as median_duration_ms,
       percentile_cont(0.95) within group (order by p.active_s * 1000) filter (where j.state = 'completed') as p95_duration_ms,
       percentile_cont(0.5) within group (order by w.work / p.active_s) filter (where j.state = 'completed' and w.work > 0 and p.active_s > 0)
         as median_rate_per_s,
       sum(j.items_completed) as items_completed, sum(j.items_failed) as items_failed, sum(j.bytes_processed) as bytes_processed,
       max(j.finished_at) as last_finished_at
from milepost.jobs j
left join milepost_private.pulses p on p.job_id = j.job_id
cross join lateral (select j.items_completed::double precision + j.items_failed + j.items_canceled as work) w
where j.finished_at is not null
group by j.tenant_id, j.kind$wanted$;
begin
  if to_regclass('milepost.job_performance') is not null then
    execute 'create temporary view job_performance ' || v_wanted;
    if (select count(distinct row(reloptions, pg_get_viewdef(oid))) = 1
        from pg_catalog.pg_class
        where oid in ('milepost.job_performance'::regclass, 'pg_temp.job_performance'::regclass)) then
      drop view pg_temp.job_performance;
      return;
    end if;
    drop view pg_temp.job_performance;
  end if;
  execute 'create or replace view milepost.job_performance ' || v_wanted;
end $guard$;
comment on view milepost.job_performance is 'Per kind: finished runs, their outcome, duration on the active clock and speed.';
comment on column milepost.job_performance.completed is 'Runs that completed.';
comment on column milepost.job_performance.failed is 'Runs that failed.';
comment on column milepost.job_performance.canceled is 'Runs that were canceled.';
comment on column milepost.job_performance.median_duration_ms is 'Half of the completed runs took no longer on the active clock.';
comment on column milepost.job_performance.p95_duration_ms is 'Nineteen of twenty took no longer.';
comment on column milepost.job_performance.median_rate_per_s is 'Half of the completed runs were no faster, in items a second.';
comment on column milepost.job_performance.last_finished_at is 'When the latest run ended.';
revoke all on milepost.job_performance from public, anon, authenticated;
grant select on milepost.job_performance to authenticated, service_role;

-- ==== sql/schema/68_message_budget.sql

-- message_budget: what Realtime messages a tenant's jobs cost.
do $guard$
declare
  v_wanted constant text := $wanted$with (security_invoker = true) as
select t.tenant_id, t.messages_per_s, coalesce(o.jobs_at_work, 0) as jobs_at_work,
       greatest(t.progress_interval_ms, milepost_private.progress_interval_ms(t.messages_per_s, o.jobs_at_work, 2)) as interval_ms,
       coalesce(e.last_minute, 0) as sent_last_minute, coalesce(e.last_hour, 0) as sent_last_hour, coalesce(e.last_day, 0) as sent_last_day,
       coalesce(p.coalesced, 0) as coalesced,
       coalesce(e.last_minute, 0) / 60.0 / 100 as share_of_free_plan,
       coalesce(e.last_minute, 0) / 60.0 / 500 as share_of_pro_plan,
       coalesce(e.last_day, 0) * 30 as projected_per_month,
       greatest(coalesce(e.last_day, 0) * 30 - 5000000, 0) * 2.5 / 1000000 as pro_plan_usd_per_month
from milepost.tenants t
left join milepost_private.tenant_loads o on o.tenant_id = t.tenant_id
left join lateral (
  -- One message on job:, one on tenant:, and one on user: where the job has an owner.
  select sum(2 + (j.owner_id is not null)::int) filter (where x.ts > now() - interval '1 minute') as last_minute,
         sum(2 + (j.owner_id is not null)::int) filter (where x.ts > now() - interval '1 hour') as last_hour,
         sum(2 + (j.owner_id is not null)::int) as last_day
  from milepost.events x join milepost.jobs j on j.job_id = x.job_id
  where x.tenant_id = t.tenant_id and x.ts > now() - interval '1 day'
) e on true
left join lateral (
  select sum(u.coalesced) as coalesced from milepost_private.pulses u
  join milepost.jobs j on j.job_id = u.job_id
  where j.tenant_id = t.tenant_id and (j.finished_at is null or j.finished_at > now() - interval '1 day')
) p on true$wanted$;
begin
  if to_regclass('milepost.message_budget') is not null then
    execute 'create temporary view message_budget ' || v_wanted;
    if (select count(distinct row(reloptions, pg_get_viewdef(oid))) = 1
        from pg_catalog.pg_class
        where oid in ('milepost.message_budget'::regclass, 'pg_temp.message_budget'::regclass)) then
      drop view pg_temp.message_budget;
      return;
    end if;
    drop view pg_temp.message_budget;
  end if;
  execute 'create or replace view milepost.message_budget ' || v_wanted;
end $guard$;
comment on view milepost.message_budget is
'Realtime messages sent and coalesced per tenant, beside Supabase''s plans. Each receiving client counts once more.';
comment on column milepost.message_budget.messages_per_s is 'The tenant''s budget for progress.';
comment on column milepost.message_budget.jobs_at_work is 'Jobs that share it now.';
comment on column milepost.message_budget.interval_ms is 'How far apart a job''s progress events are now.';
comment on column milepost.message_budget.sent_last_minute is 'Messages sent within the last minute.';
comment on column milepost.message_budget.sent_last_hour is 'Messages sent within the last hour.';
comment on column milepost.message_budget.sent_last_day is 'Messages sent within the last day.';
comment on column milepost.message_budget.coalesced is 'Progress events held back, of jobs that are active or ended within a day.';
comment on column milepost.message_budget.share_of_free_plan is 'Messages a second over the last minute, as a share of the free plan''s 100.';
comment on column milepost.message_budget.share_of_pro_plan is 'The same of the Pro plan''s 500.';
comment on column milepost.message_budget.projected_per_month is 'Thirty days like the last one.';
comment on column milepost.message_budget.pro_plan_usd_per_month is 'What that costs over the Pro plan''s 5 million, at 2.50 USD a million, before receivers.';
revoke all on milepost.message_budget from public, anon, authenticated;
grant select on milepost.message_budget to authenticated, service_role;

-- ==== sql/schema/69_backtest.sql

-- backtest: how near the estimator comes on jobs that completed, from their stored checkpoints, beside two simple rules.

-- stored_trace: a job's checkpoints as replay takes them, in seconds of its active clock.
create or replace function milepost_private.stored_trace(job_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_agg(jsonb_build_object('t', a.active_s, 'done', a.done, 'total', a.total) order by a.place)
         filter (where a.done is not null)
  from (
    select r.place, r.done, r.total,
           sum(case when r.ran then extract(epoch from r.moment - r.before)::double precision else 0 end) over (order by r.place) as active_s
    from (
      select m.*, row_number() over w as place, lag(m.moment) over w as before,
             -- Whether the clock ran until here: what the last change of state before said.
             coalesce(sum(m.starts) over (w rows between unbounded preceding and 1 preceding), 0) > 0 as ran
      from (
        select c.received_at as moment, 1 as rank, c.checkpoint_id as number, 0 as starts,
               (c.job_done - coalesce(c.job_skipped, 0))::double precision as done,
               (c.job_total - coalesce(c.job_skipped, 0))::double precision as total
        from milepost.checkpoints c where c.job_id = stored_trace.job_id and c.job_done is not null
        union all
        select e.ts, 0, e.version,
               (e.data ->> 'new_state' in ('running', 'completing', 'pausing', 'canceling'))::int
                 - (e.data ->> 'prior_state' in ('running', 'completing', 'pausing', 'canceling'))::int, null, null
        from milepost.events e where e.job_id = stored_trace.job_id and e.type = 'job.state_changed'
      ) m
      window w as (order by m.moment, m.rank, m.number)
    ) r
  ) a;
$$;
comment on function milepost_private.stored_trace(uuid) is
'A job''s stored checkpoints as [{"t", "done", "total"}]: active seconds, items settled by work, and total without skipped items.';
revoke execute on function milepost_private.stored_trace(uuid) from public, anon, authenticated;
grant execute on function milepost_private.stored_trace(uuid) to service_role;

-- simple_rules: what two rules in wide use would have said of the same trace.
create or replace function milepost_private.simple_rules(
  trace jsonb,     -- as stored_trace gives it
  at_s  float8[],  -- an answer for second x has seen the checkpoints with t <= x
  out elapsed_average_s float8[],
  out tqdm_s            float8[]
)
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_line    record;
  v_last_s  float8;
  v_last    float8;
  v_left    float8;
  v_spent_s float8 := 0;
  v_work    float8 := 0;
  v_mark_s  float8;  -- tqdm's last sample
  v_mark    float8;
  v_items   float8 := 0;
  v_seconds float8 := 0;
begin
  for v_line in
    select c.t, c.done, c.total, null::bigint as asked, c.place
      from rows from (jsonb_to_recordset(simple_rules.trace) as (t float8, done float8, total float8))
           with ordinality as c (t, done, total, place)
    union all
    select a.t, null, null, a.place, a.place from unnest(simple_rules.at_s) with ordinality as a (t, place)
    order by t, asked nulls first, place
  loop
    if v_line.asked is not null then
      elapsed_average_s[v_line.asked] := v_left * v_spent_s / nullif(v_work, 0);
      tqdm_s[v_line.asked] := v_left * v_seconds / nullif(v_items, 0);
      continue;
    end if;
    v_spent_s := v_spent_s + coalesce(v_line.t - v_last_s, 0);
    v_work := v_work + greatest(coalesce(v_line.done - v_last, 0), 0);
    v_last_s := v_line.t;
    v_last := v_line.done;
    v_left := greatest(v_line.total - v_line.done, 0);
    -- EMA(0.3) of items over EMA(0.3) of seconds, sampled at most once in 0.1 s.
    if v_mark is null or v_line.done < v_mark then
      v_mark_s := coalesce(v_mark_s, v_line.t);
      v_mark := v_line.done;
    elsif v_line.done > v_mark and v_line.t - v_mark_s >= 0.1 then
      v_items := 0.3 * (v_line.done - v_mark) + 0.7 * v_items;
      v_seconds := 0.3 * (v_line.t - v_mark_s) + 0.7 * v_seconds;
      v_mark_s := v_line.t;
      v_mark := v_line.done;
    end if;
  end loop;
end;
$$;
comment on function milepost_private.simple_rules(jsonb, float8[]) is
'Remaining seconds by the elapsed average and by tqdm''s moving average, for each asked second; null where the rule cannot tell.';
revoke execute on function milepost_private.simple_rules(jsonb, float8[]) from public, anon, authenticated;
grant execute on function milepost_private.simple_rules(jsonb, float8[]) to service_role;

create or replace function milepost.backtest(kind text default null, "limit" int default 50)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job       record;
  v_history   milepost_private.kind_pace;
  v_trace     jsonb;
  v_at_s      double precision[];
  v_said_s    double precision[];
  v_low_s     double precision[];
  v_high_s    double precision[];
  v_rules     record;
  v_jobs      int := 0;
  v_left_out  int := 0;
  v_questions jsonb := '[]';
begin
  for v_job in
    select l.*, row_number() over (partition by l.tenant_id, l.kind order by l.finished_at, l.job_id) = 1 as is_first from (
      select j.job_id, j.tenant_id, j.kind, j.finished_at, p.active_s,
             j.items_completed::double precision + j.items_failed + j.items_canceled as work,
             j.counts_reported or not j.has_stages as counts_items
      from milepost.jobs j join milepost_private.pulses p on p.job_id = j.job_id
      where j.state = 'completed' and (backtest.kind is null or j.kind = backtest.kind)
      order by j.finished_at desc limit backtest."limit"
    ) l
    order by l.tenant_id, l.kind, l.finished_at, l.job_id
  loop
    -- As live jobs do, each run knows the runs of its kind that ended before it, and no others.
    if v_job.is_first then
      v_history := null;
    end if;
    v_trace := case when v_job.counts_items and v_job.active_s > 0 then milepost_private.stored_trace(v_job.job_id) end;
    -- When each tenth was first reached with something left to do.
    select array_agg(r.reached_s order by g.tenth) into v_at_s
    from generate_series(0, 9) as g (tenth)
    left join lateral (
      select min(c.t) as reached_s
      from jsonb_to_recordset(v_trace) as c (t double precision, done double precision, total double precision)
      where c.total > c.done and c.done >= g.tenth / 10.0 * c.total
    ) r on true;
    -- GUARD: nothing to judge: its history is gone, it counted by stages, or it never knew its total
    if array_remove(v_at_s, null) = '{}' then
      v_left_out := v_left_out + 1;
      continue;
    end if;
    v_jobs := v_jobs + 1;

    select array_agg(r.remaining_s order by r.place), array_agg(r.low_s order by r.place), array_agg(r.high_s order by r.place)
    into v_said_s, v_low_s, v_high_s
    from milepost_private.replay(v_trace, v_at_s, v_history)
      with ordinality as r (at_s, remaining_s, low_s, high_s, liveness, place);
    v_rules := milepost_private.simple_rules(v_trace, v_at_s);
    v_questions := v_questions || (
      select coalesce(jsonb_agg(jsonb_build_object(
        'milepost', ln(v_said_s[g.place] / t.true_s), 'elapsed_average', ln(nullif(v_rules.elapsed_average_s[g.place], 0) / t.true_s),
        'tqdm', ln(nullif(v_rules.tqdm_s[g.place], 0) / t.true_s), 'covered', t.true_s between v_low_s[g.place] and v_high_s[g.place])), '[]')
      from generate_series(1, 10) as g (place)
      cross join lateral (select v_job.active_s - v_at_s[g.place] as true_s) t
      where t.true_s > 0);
    if v_job.kind <> 'default' then
      v_history := milepost_private.kind_pace_learn(v_history, v_job.active_s, v_job.work, v_at_s, v_said_s);
    end if;
  end loop;

  return (
    with questions as (
      select q.*, q.milepost is not null and q.elapsed_average is not null and q.tqdm is not null as by_all
      from jsonb_to_recordset(v_questions) as q (milepost double precision, elapsed_average double precision, tqdm double precision, covered boolean)
    )
    select jsonb_build_object('jobs', v_jobs, 'left_out', v_left_out, 'questions', (select count(*) from questions),
      'compared', (select count(*) from questions q where q.by_all), 'rules', jsonb_agg(r.rule order by r.place))
    from (
      select v.place, jsonb_build_object('rule', v.name, 'answered', count(v.error),
        'median_error', percentile_cont(0.5) within group (order by abs(v.error)) filter (where q.by_all),
        'p90_error', percentile_cont(0.9) within group (order by abs(v.error)) filter (where q.by_all),
        'bias', avg(v.error) filter (where q.by_all),
        'coverage', avg(q.covered::int) filter (where v.name = 'milepost')) as rule
      from (values (1, 'milepost'), (2, 'elapsed_average'), (3, 'tqdm')) as n (place, name)
      left join questions q on true
      cross join lateral (select n.place, n.name, case n.name when 'milepost' then q.milepost when 'tqdm' then q.tqdm
                                                              else q.elapsed_average end as error) v
      group by v.place, v.name
    ) r);
end;
$$;
comment on function milepost.backtest(text, int) is
'Replays the newest completed jobs (of a kind): predictions at each tenth of progress, scored as |ln(predicted / true)| on the questions that every rule answered: {"jobs", "left_out", "questions", "compared", "rules": [{"rule", "answered", "median_error", "p90_error", "bias", "coverage"}]}.';
revoke execute on function milepost.backtest(text, int) from public, anon, authenticated;
grant execute on function milepost.backtest(text, int) to service_role;

-- ==== sql/schema/69_resume_json.sql

-- resume_json: a job as create and claim answer it: each lane with its counts at its last cursor, from which a worker counts on.
create or replace function milepost_private.resume_json(job_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return milepost_private.job_json(resume_json.job_id) || jsonb_build_object('workers', (
    select coalesce(jsonb_agg(milepost_private.lane_json(l) || jsonb_build_object(
        'items_completed', l.cursor_completed, 'items_failed', l.cursor_failed, 'items_skipped', l.cursor_skipped,
        'items_canceled', l.cursor_canceled, 'bytes_processed', l.cursor_bytes,
        'stages', (select coalesce(jsonb_agg(jsonb_build_object('name', s.stage, 'items_completed', s.cursor_completed,
            'items_failed', s.cursor_failed, 'items_skipped', s.cursor_skipped, 'items_canceled', s.cursor_canceled,
            'bytes_processed', s.cursor_bytes) order by s.stage), '[]')
          from milepost_private.stage_lanes s where s.job_id = l.job_id and s.worker = l.worker)
      ) order by l.worker), '[]')
    from milepost.lanes l where l.job_id = resume_json.job_id));
end;
$$;
comment on function milepost_private.resume_json(uuid) is
'A job with its lanes'' counts, and their stages'' counts, at their last cursors.';
revoke execute on function milepost_private.resume_json(uuid) from public, anon, authenticated;
grant execute on function milepost_private.resume_json(uuid) to service_role;

-- ==== sql/schema/70_find_jobs.sql

-- find_jobs: the ids of one page of the caller's jobs, newest first, at a cost that does not grow with the history.
-- Each tenant's newest matches are taken in the order of an index, or, where that would pass by too many others, by the index
-- of the rarest condition: the planner knows which, since it plans each call with the values at hand.
create or replace function milepost_private.find_jobs(
  state    text[],
  kind     text[],
  q        text,
  metadata jsonb,
  owner    uuid,
  liveness text[],
  since    timestamptz,
  until    timestamptz,
  tenant   uuid,           -- one of the caller's, or all of them
  after    jsonb,          -- created_at and job_id of the last job of the page before
  size     int
)
returns table (job_id uuid, created_at timestamptz)
language plpgsql
stable
security definer                -- under row level security `like` and `@>` may not use an index; my_tenants decides
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
as $$
declare
  v_rare    text;
  v_pattern text := '%' || replace(replace(replace(lower(q), '\', '\\'), '%', '\%'), '_', '\_') || '%';
  v_after_at timestamptz := (after ->> 0)::timestamptz;
  v_after_id uuid := (after ->> 1)::uuid;
  v_so        uuid[];  -- not on time, and as asked
  v_otherwise uuid[];  -- not on time
begin
  if liveness is not null then
    select array_agg(n.job_id) filter (where n.liveness = any (find_jobs.liveness)), array_agg(n.job_id) into v_so, v_otherwise
    from milepost_private.not_on_time(array(select milepost_private.my_tenants()), now()) n;
  end if;
  -- An index of trigrams walks through all jobs that have one, also where the text's other words are rare: most keys begin alike.
  -- So a word that hardly any of a thousand texts has, the planner's sample, is looked for alone, and the whole among what it finds.
  if q ~ '[^[:alnum:]]' then
    select w into v_rare
    from regexp_split_to_table(lower(q), '[^[:alnum:]]+') w
    where length(w) >= 4 and 2 >= (
      select count(*) from pg_catalog.pg_stats s cross join lateral unnest(s.histogram_bounds::text::text[]) b
      where s.schemaname = 'milepost' and s.tablename = 'jobs' and s.attname = 'search_text' and strpos(b, w) > 0)
    order by length(w) desc
    limit 1;
  end if;
  return query
  select m.job_id, m.created_at
  from milepost_private.my_tenants() as t (tenant_id)
  cross join lateral (
    select j.job_id, j.created_at
    from milepost.jobs j
    where j.tenant_id = t.tenant_id
      -- Of a case with a constant condition nothing remains in the plan but the branch that holds.
      and case when find_jobs.state is null then true when cardinality(find_jobs.state) = 1 then j.state = find_jobs.state[1]
               else j.state = any (find_jobs.state) end
      -- Jobs in a state that is not terminal are few, and have an index of their own.
      and (find_jobs.state && array['completed', 'canceled', 'failed'] is not false or j.finished_at is null)
      and case when find_jobs.kind is null then true when cardinality(find_jobs.kind) = 1 then j.kind = find_jobs.kind[1]
               else j.kind = any (find_jobs.kind) end
      and case when v_rare is not null then j.search_text like '%' || v_rare || '%' and strpos(j.search_text, lower(q)) > 0
               else v_pattern is null or j.search_text like v_pattern end
      and (find_jobs.metadata is null or j.ended_metadata @> find_jobs.metadata
           or j.finished_at is null and j.metadata @> find_jobs.metadata)
      and (find_jobs.owner is null or j.owner_id = find_jobs.owner)
      and (find_jobs.since is null or j.created_at >= find_jobs.since)
      and (find_jobs.until is null or j.created_at < find_jobs.until)
      and (v_after_id is null or (j.created_at, j.job_id) < (v_after_at, v_after_id))
      -- Liveness is computed, and only a job that is active can be anything but on time.
      and (find_jobs.liveness is null or j.job_id = any (v_so)
           or 'on_time' = any (find_jobs.liveness) and (v_otherwise is null or j.job_id <> all (v_otherwise)))
    order by j.created_at desc, j.job_id desc
    limit find_jobs.size
  ) m
  where find_jobs.tenant is null or t.tenant_id = find_jobs.tenant
  order by m.created_at desc, m.job_id desc
  limit find_jobs.size;
end;
$$;
comment on function milepost_private.find_jobs(text[], text[], text, jsonb, uuid, text[], timestamptz, timestamptz, uuid, jsonb, int) is
'At most so many of the caller''s jobs that match, newest first, after the given one. Null filters are none.';
revoke execute on function milepost_private.find_jobs(text[], text[], text, jsonb, uuid, text[], timestamptz, timestamptz, uuid, jsonb, int)
  from public, anon, authenticated;
grant execute on function milepost_private.find_jobs(text[], text[], text, jsonb, uuid, text[], timestamptz, timestamptz, uuid, jsonb, int)
  to authenticated, service_role;

-- ==== sql/schema/70_get_job_progress.sql

-- get_job_progress: one job, whole.
create or replace function milepost.get_job_progress(job_id text)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select milepost_private.job_json((milepost_private.visible_job(job_id)).job_id);
$$;
comment on function milepost.get_job_progress(text) is 'A job by its id or key, with stages, workers, cursor and every computed figure. Refuses with job_not_found.';
revoke execute on function milepost.get_job_progress(text) from public, anon, authenticated;
grant execute on function milepost.get_job_progress(text) to authenticated, service_role;

-- ==== sql/schema/70_job_rank.sql

-- job_rank: where an active job belongs in a list that is sorted otherwise than by age.
create or replace function milepost_private.job_rank(
  job   milepost.jobs,
  pulse milepost_private.pulses,
  kind  milepost_private.kinds,
  sort  text,
  at    timestamptz
)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
declare
  f milepost_private.figures;
begin
  -- GUARD: nobody works on it, so it has no finish time
  if sort = 'finishing' and job.state in ('pending', 'retrying', 'paused') then
    return 'Infinity';
  end if;
  f := milepost_private.figures(job, pulse, kind, at);
  if sort = 'finishing' then
    -- A job that has no finish time comes after all that have one.
    return coalesce(f.eta_ms::double precision, 'Infinity');
  end if;
  return case
    when f.liveness in ('lost', 'stalled') then 0
    when f.liveness = 'late' then 1
    when f.rate_limited or f.health in ('fair', 'poor') then 2
    when job.state = 'retrying' then 3
    when job.state in ('paused', 'pausing', 'canceling') then 4
    else 5 end;
end;
$$;
comment on function milepost_private.job_rank(milepost.jobs, milepost_private.pulses, milepost_private.kinds, text, timestamptz) is
'The place of an active job, smaller first: for sort finishing its remaining ms, for attention 0 (lost or stalled), 1 (late), 2 (rate limited or failing), 3 (retrying), 4 (held by somebody), 5 (as it should be).';
revoke execute on function milepost_private.job_rank(milepost.jobs, milepost_private.pulses, milepost_private.kinds, text, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.job_rank(milepost.jobs, milepost_private.pulses, milepost_private.kinds, text, timestamptz) to authenticated, service_role;

-- ==== sql/schema/71_search_jobs.sql

-- search_jobs: a tenant's jobs, newest first unless sorted otherwise, keyset paged.
create or replace function milepost.search_jobs(
  state    text[] default null,
  kind     text[] default null,
  q        text default null,
  owner    uuid default null,
  liveness text[] default null,
  since    timestamptz default null,
  until    timestamptz default null,
  "limit"  int default 50,
  after    text default null,
  metadata jsonb default null,
  tenant   uuid default null,
  sort     text default 'newest'
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_size   int := milepost_private.page_size("limit");
  v_after  jsonb := milepost_private.page_after(after, case when sort = 'newest' then '{timestamptz,uuid}' else '{timestamptz,uuid,double precision}' end::text[]);
  v_rank   double precision := (v_after ->> 2)::double precision;
  v_active text[] := array['pending', 'running', 'pausing', 'paused', 'completing', 'canceling', 'retrying'];
  v_page   jsonb;
begin
  -- GUARD: the sorts there are
  if sort is null or sort not in ('newest', 'finishing', 'attention') then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected sort newest, finishing or attention; found %s.', coalesce(sort, 'null')),
      'Leave it out for newest first.');
  end if;
  if sort = 'newest' then
    with page as (
      select f.*, row_number() over (order by f.created_at desc, f.job_id desc) as place
      from milepost_private.find_jobs(state, kind, q, metadata, owner, liveness, since, until, tenant, v_after, v_size + 1) f
    )
    select jsonb_build_object(
      'jobs', coalesce(jsonb_agg(to_jsonb(s) order by p.place) filter (where p.place <= v_size), '[]'),
      'next', case when count(*) > v_size then milepost_private.page_cursor(
        (select jsonb_build_array(l.created_at, l.job_id) from page l where l.place = v_size)) end)
    into v_page
    from page p join milepost_private.job_summaries s on s.job_id = p.job_id;
    return v_page;
  end if;
  -- Only what is active has a place that depends on now, so all of it is looked at, and nothing else.
  with page as (
    select f.job_id, f.created_at, r.rank, row_number() over (order by r.rank, f.created_at desc, f.job_id desc) as place
    from milepost_private.find_jobs(
           case when state is null then v_active else array(select s from unnest(state) s where s = any (v_active)) end,
           kind, q, metadata, owner, liveness, since, until, tenant, null, 2147483647) f
    join milepost.jobs j on j.job_id = f.job_id
    join milepost_private.pulses p on p.job_id = j.job_id
    left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
    cross join lateral milepost_private.job_rank(j, p, k, search_jobs.sort, now()) as r (rank)
    where v_after is null or r.rank > v_rank
          or r.rank = v_rank and (f.created_at, f.job_id) < ((v_after ->> 0)::timestamptz, (v_after ->> 1)::uuid)
    order by r.rank, f.created_at desc, f.job_id desc
    limit v_size + 1
  )
  select jsonb_build_object(
    'jobs', coalesce(jsonb_agg(to_jsonb(s) order by p.place) filter (where p.place <= v_size), '[]'),
    'next', case when count(*) > v_size then milepost_private.page_cursor(
      (select jsonb_build_array(l.created_at, l.job_id, l.rank) from page l where l.place = v_size)) end)
  into v_page
  from page p join milepost_private.job_summaries s on s.job_id = p.job_id;
  return v_page;
end;
$$;
comment on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, jsonb, uuid, text) is
'Jobs by state, kind, text (in key, name, kind and error), owner, liveness, time of creation and metadata (that contains this), newest first: {"jobs", "next"}. Sort finishing (least time left first) or attention (what is stuck first) lists active jobs only; a job may move between its pages. tenant narrows to one of the caller''s.';
revoke execute on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, jsonb, uuid, text) from public, anon, authenticated;
grant execute on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, jsonb, uuid, text) to authenticated, service_role;

-- ==== sql/schema/72_list_audit.sql

-- list_audit: who did what in the caller's tenants, newest first, keyset paged.
create or replace function milepost.list_audit(
  job_id  text default null,
  action  text[] default null,
  "limit" int default 50,
  after   text default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'  -- of one job, or of all
as $$
declare
  v_tenants uuid[] := array(select milepost_private.managed_tenants(array['operator', 'admin']));
  v_job     uuid;
  v_size    int := milepost_private.page_size("limit");
  v_after   jsonb := milepost_private.page_after(after, '{bigint}');
begin
  -- GUARD: sees jobs, but operates none of its tenants
  if v_tenants = '{}' then
    perform milepost_private.refuse(403, 'not_allowed', 'Expected an operator, an admin or an operator key.',
      'Ask an admin of the tenant for the role operator, or use an operator key.');
  end if;
  -- The audit outlives the job, so its id is enough.
  if list_audit.job_id is not null then
    v_job := case when pg_input_is_valid(list_audit.job_id, 'uuid') then list_audit.job_id::uuid
                  else (milepost_private.visible_job(list_audit.job_id)).job_id end;
  end if;
  return (
    with page as (
      select a.*, row_number() over (order by a.audit_id desc) as place
      from milepost.audit a
      where a.tenant_id = any (v_tenants)
        and (v_job is null or a.job_id = v_job)
        and (list_audit.action is null or a.action = any (list_audit.action))
        and (v_after is null or a.audit_id < (v_after ->> 0)::bigint)
      order by a.audit_id desc
      limit v_size + 1
    )
    select jsonb_build_object(
      'audit', coalesce(jsonb_agg(jsonb_build_object(
        'id', p.audit_id, 'tenant_id', p.tenant_id, 'at', milepost_private.iso(p.at), 'actor', p.actor, 'action', p.action,
        'job_id', p.job_id, 'subject', p.subject, 'reason', p.reason, 'details', p.details) order by p.place)
        filter (where p.place <= v_size), '[]'),
      'next', case when count(*) > v_size then milepost_private.page_cursor(
        jsonb_build_array(max(p.audit_id) filter (where p.place = v_size))) end)
    from page p);
end;
$$;
comment on function milepost.list_audit(text, text[], int, text) is
'What was done by people and the sweep (to one job, if given), newest first: {"audit", "next"}. For operators, admins and operator keys; refuses others with not_allowed.';
revoke execute on function milepost.list_audit(text, text[], int, text) from public, anon, authenticated;
grant execute on function milepost.list_audit(text, text[], int, text) to authenticated, service_role;

-- ==== sql/schema/72_lists.sql

-- list_items, list_checkpoints, list_events: what belongs to one job, keyset paged.
create or replace function milepost.list_items(
  job_id text, state text[] default null, stage text default null, q text default null, "limit" int default 50, after text default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job   uuid := (milepost_private.visible_job(job_id)).job_id;
  v_size  int := milepost_private.page_size("limit");
  v_after jsonb := milepost_private.page_after(after, '{bigint}');
begin
  return (
    with page as (
      select i.*, row_number() over (order by i.item_id) as place
      from milepost.items i
      where i.job_id = v_job
        and (list_items.state is null or i.state = any (list_items.state))
        and (list_items.stage is null or i.stage = list_items.stage)
        and (list_items.q is null or strpos(lower(i.key || ' ' || coalesce(i.error, '')), lower(list_items.q)) > 0)
        and (v_after is null or i.item_id > (v_after ->> 0)::bigint)
      order by i.item_id
      limit v_size + 1
    )
    select jsonb_build_object(
      'items', coalesce(jsonb_agg(jsonb_build_object(
        'key', p.key, 'stage', nullif(p.stage, ''), 'state', p.state, 'percent', p.percent, 'duration_ms', p.duration_ms,
        'payload', p.payload, 'error', p.error, 'worker', p.worker, 'attempt', p.attempt,
        'updated_at', milepost_private.iso(p.received_at)) order by p.place) filter (where p.place <= v_size), '[]'),
      'next', case when count(*) > v_size then milepost_private.page_cursor(
        jsonb_build_array(max(p.item_id) filter (where p.place = v_size))) end)
    from page p);
end;
$$;
comment on function milepost.list_items(text, text[], text, text, int, text) is
'A job''s items in the order of their first appearance: {"items", "next"}.';
revoke execute on function milepost.list_items(text, text[], text, text, int, text) from public, anon, authenticated;
grant execute on function milepost.list_items(text, text[], text, text, int, text) to authenticated, service_role;

create or replace function milepost.list_checkpoints(job_id text, "limit" int default 50, after text default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job   milepost.jobs := milepost_private.visible_job(job_id);
  v_size  int := milepost_private.page_size("limit");
  v_after jsonb := milepost_private.page_after(after, '{bigint}');
begin
  return (
    with page as (
      select c.*, row_number() over (order by c.checkpoint_id desc) as place
      from milepost.checkpoints c
      -- The job's first day on: older partitions are not looked at.
      where c.job_id = v_job.job_id and c.received_at >= v_job.created_at - interval '1 second'
        and (v_after is null or c.checkpoint_id < (v_after ->> 0)::bigint)
      order by c.checkpoint_id desc
      limit v_size + 1
    )
    select jsonb_build_object(
      'checkpoints', coalesce(jsonb_agg(jsonb_build_object(
        'worker', p.worker, 'attempt', p.attempt, 'seq', p.seq, 'at', milepost_private.iso(p.at),
        'received_at', milepost_private.iso(p.received_at), 'state', p.state, 'items_total', p.items_total,
        'items_completed', p.items_completed, 'items_failed', p.items_failed, 'items_skipped', p.items_skipped,
        'items_canceled', p.items_canceled, 'bytes_processed', p.bytes_processed,
        'batch', case when p.batch_items is not null or p.batch_duration_ms is not null or p.batch_bytes is not null then
          jsonb_build_object('items', p.batch_items, 'duration_ms', p.batch_duration_ms, 'bytes', p.batch_bytes) end,
        'stages', p.stages, 'message', p.message, 'has_cursor', p.has_cursor,
        'job_done', p.job_done, 'job_total', p.job_total, 'traceparent', p.traceparent) order by p.place) filter (where p.place <= v_size), '[]'),
      'next', case when count(*) > v_size then milepost_private.page_cursor(
        jsonb_build_array(max(p.checkpoint_id) filter (where p.place = v_size))) end)
    from page p);
end;
$$;
comment on function milepost.list_checkpoints(text, int, text) is 'A job''s checkpoints, newest first: {"checkpoints", "next"}.';
revoke execute on function milepost.list_checkpoints(text, int, text) from public, anon, authenticated;
grant execute on function milepost.list_checkpoints(text, int, text) to authenticated, service_role;

create or replace function milepost.list_events(job_id text, type text[] default null, "limit" int default 50, after text default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job   milepost.jobs := milepost_private.visible_job(job_id);
  v_size  int := milepost_private.page_size("limit");
  v_after jsonb := milepost_private.page_after(after, '{bigint}');
begin
  return (
    with page as (
      select e.*, row_number() over (order by e.version desc) as place
      from milepost.events e
      where e.job_id = v_job.job_id and e.ts >= v_job.created_at - interval '1 second'
        and (list_events.type is null or e.type = any (list_events.type))
        and (v_after is null or e.version < (v_after ->> 0)::bigint)
      order by e.version desc
      limit v_size + 1
    )
    select jsonb_build_object(
      'events', coalesce(jsonb_agg(jsonb_build_object(
        'id', p.event_id, 'version', p.version, 'type', p.type, 'ts', milepost_private.iso(p.ts),
        'correlation_id', p.correlation_id, 'data', p.data) order by p.place) filter (where p.place <= v_size), '[]'),
      'next', case when count(*) > v_size then milepost_private.page_cursor(
        jsonb_build_array(max(p.version) filter (where p.place = v_size))) end)
    from page p);
end;
$$;
comment on function milepost.list_events(text, text[], int, text) is 'A job''s events, newest first: {"events", "next"}.';
revoke execute on function milepost.list_events(text, text[], int, text) from public, anon, authenticated;
grant execute on function milepost.list_events(text, text[], int, text) to authenticated, service_role;

-- ==== sql/schema/73_controls.sql

-- control: what a person asks of a job. Allowed to operators, admins, operator keys and the job's owner.
create or replace function milepost_private.control(job_id uuid, verb text, reason text)
returns void
language plpgsql
volatile
security definer                -- callers may not write jobs; may_control decides
set search_path = ''
as $$
declare
  v_job milepost.jobs;
begin
  perform milepost_private.check_reason(reason);
  select * into v_job from milepost.jobs j where j.job_id = control.job_id for no key update;
  -- GUARD: not the caller's to see (not told apart from absent)
  if v_job.job_id is null or not (v_job.tenant_id = any (array(select milepost_private.my_tenants()))) then
    perform milepost_private.refuse(404, 'job_not_found', 'Expected the id or key of a job that you can see.',
      'Check the id, or list your jobs with GET /v1/jobs.');
  end if;
  -- GUARD: sees it, but may not control it
  if not milepost_private.may_control(v_job.tenant_id, v_job.owner_id, v_job.kind) then
    perform milepost_private.refuse(403, 'not_allowed',
      format('Expected an operator, an admin, an operator key or the owner of %s.', v_job.key),
      'Ask an admin of the tenant for the role operator, or use an operator key.');
  end if;
  -- A request that is already met is no conflict: asking twice is harmless.
  if verb = 'pause' and v_job.state in ('pausing', 'paused') or verb = 'cancel' and v_job.state in ('canceling', 'canceled') then
    return;
  end if;
  perform milepost_private.transition(control.job_id,
    case verb
      when 'pause' then case when v_job.state in ('pending', 'retrying') then 'paused' else 'pausing' end
      when 'resume' then case when v_job.state = 'pausing' or v_job.attempt_started_at is not null then 'running'
                              when v_job.attempt = 1 then 'pending' else 'retrying' end
      when 'cancel' then case when v_job.state in ('pending', 'retrying')
                                or v_job.state = 'paused' and v_job.attempt_started_at is null then 'canceled' else 'canceling' end
      when 'retry' then 'retrying' end,
    verb, reason, milepost_private.actor(), clock_timestamp());
end;
$$;
comment on function milepost_private.control(uuid, text, text) is
'Pauses, resumes, cancels or retries a job for the caller. Refuses with 404, 403, or 409 and the allowed verbs.';
revoke execute on function milepost_private.control(uuid, text, text) from public, anon, authenticated;
grant execute on function milepost_private.control(uuid, text, text) to authenticated, service_role;

create or replace function milepost.pause_job(job_id text, reason text default null)
returns jsonb language plpgsql volatile set search_path = ''
as $$
declare v_job uuid := (milepost_private.visible_job(job_id)).job_id;
begin
  perform milepost_private.control(v_job, 'pause', reason);
  return milepost_private.job_json(v_job);
end;
$$;
create or replace function milepost.resume_job(job_id text, reason text default null)
returns jsonb language plpgsql volatile set search_path = ''
as $$
declare v_job uuid := (milepost_private.visible_job(job_id)).job_id;
begin
  perform milepost_private.control(v_job, 'resume', reason);
  return milepost_private.job_json(v_job);
end;
$$;
create or replace function milepost.cancel_job(job_id text, reason text default null)
returns jsonb language plpgsql volatile set search_path = ''
as $$
declare v_job uuid := (milepost_private.visible_job(job_id)).job_id;
begin
  perform milepost_private.control(v_job, 'cancel', reason);
  return milepost_private.job_json(v_job);
end;
$$;
create or replace function milepost.retry_job(job_id text, reason text default null)
returns jsonb language plpgsql volatile set search_path = ''
as $$
declare v_job uuid := (milepost_private.visible_job(job_id)).job_id;
begin
  perform milepost_private.control(v_job, 'retry', reason);
  return milepost_private.job_json(v_job);
end;
$$;
comment on function milepost.pause_job(text, text) is 'Asks a job to pause: pausing until its workers say paused. Returns the job.';
comment on function milepost.resume_job(text, text) is 'Lets a paused job go on. Returns the job.';
comment on function milepost.cancel_job(text, text) is 'Asks a job to cancel: canceling until its workers say canceled. Returns the job.';
comment on function milepost.retry_job(text, text) is 'Begins a job''s next attempt at once; its old workers are fenced. Returns the job.';
revoke execute on function milepost.pause_job(text, text), milepost.resume_job(text, text), milepost.cancel_job(text, text),
  milepost.retry_job(text, text) from public, anon, authenticated;
grant execute on function milepost.pause_job(text, text), milepost.resume_job(text, text), milepost.cancel_job(text, text),
  milepost.retry_job(text, text) to authenticated, service_role;

-- set_job_priority: moves a job forward or back in the queue.
create or replace function milepost_private.set_priority(job_id uuid, priority int, reason text)
returns void
language plpgsql
volatile
security definer                -- callers may not write jobs; may_control decides
set search_path = ''
as $$
declare
  v_job milepost.jobs;
begin
  perform milepost_private.check_reason(reason);
  -- GUARD: no number that a priority can be
  if priority is null or priority not between -32768 and 32767 then
    perform milepost_private.refuse(422, 'out_of_range',
      format('priority: expected a whole number from -32768 to 32767, found %s.', coalesce(priority::text, 'null')), 'Send a value within the limit.');
  end if;
  select * into v_job from milepost.jobs j
  where j.job_id = set_priority.job_id and j.tenant_id = any (array(select milepost_private.my_tenants())) for no key update;
  if v_job.job_id is null or not milepost_private.may_control(v_job.tenant_id, v_job.owner_id, v_job.kind) then
    perform milepost_private.refuse(403, 'not_allowed', 'Expected an operator, an admin, an operator key or the owner of the job.',
      'Ask an admin of the tenant for the role operator, or use an operator key.');
  end if;
  update milepost.jobs j set priority = set_priority.priority where j.job_id = set_priority.job_id;
  perform milepost_private.write_audit(v_job.tenant_id, milepost_private.actor(), 'set_priority', v_job.key,
    jsonb_build_object('prior_priority', v_job.priority, 'priority', priority), reason, v_job.job_id);
  perform milepost_private.emit(array[row(v_job.job_id, 'job.priority_changed', jsonb_build_object(
    'prior_priority', v_job.priority, 'priority', priority, 'reason', reason, 'actor', milepost_private.actor()
  ))::milepost_private.event_draft], clock_timestamp());
end;
$$;
comment on function milepost_private.set_priority(uuid, int, text) is 'Sets a job''s priority for the caller. Refuses with 403.';
revoke execute on function milepost_private.set_priority(uuid, int, text) from public, anon, authenticated;
grant execute on function milepost_private.set_priority(uuid, int, text) to authenticated, service_role;

create or replace function milepost.set_job_priority(job_id text, priority int, reason text default null)
returns jsonb language plpgsql volatile set search_path = ''
as $$
declare v_job uuid := (milepost_private.visible_job(job_id)).job_id;
begin
  perform milepost_private.set_priority(v_job, priority, reason);
  return milepost_private.job_json(v_job);
end;
$$;
comment on function milepost.set_job_priority(text, int, text) is 'Sets a job''s priority: greater is claimed first. Returns the job.';
revoke execute on function milepost.set_job_priority(text, int, text) from public, anon, authenticated;
grant execute on function milepost.set_job_priority(text, int, text) to authenticated, service_role;

-- ==== sql/schema/73_set_retention.sql

-- set_retention: how long a tenant's finished jobs stay; for its admins.
create or replace function milepost_private.set_retention(tenant_id uuid, keep_days int)
returns void
language plpgsql
volatile
security definer                -- nobody but the service may write tenants; check_admin decides
set search_path = ''
as $$
declare
  v_prior int;
begin
  perform milepost_private.check_admin(tenant_id);
  perform milepost_private.check_tenant(tenant_id);
  -- GUARD: a value that a constraint would refuse less clearly
  if keep_days is null or keep_days not between 1 and 3650 then
    perform milepost_private.refuse(422, 'invalid_value',
      format('Expected keep_days from 1 to 3650; found %s.', coalesce(keep_days::text, 'null')), 'Send a number of days.');
  end if;
  v_prior := (select t.keep_days from milepost.tenants t where t.tenant_id = set_retention.tenant_id);
  update milepost.tenants t set keep_days = set_retention.keep_days where t.tenant_id = set_retention.tenant_id;
  perform milepost_private.write_audit(set_retention.tenant_id, milepost_private.actor(), 'set_retention', null,
    jsonb_build_object('prior_keep_days', v_prior, 'keep_days', keep_days));
end;
$$;
comment on function milepost_private.set_retention(uuid, int) is 'Sets keep_days of a tenant for its admin or the service. Refuses with 403, 404 and 422.';
revoke execute on function milepost_private.set_retention(uuid, int) from public, anon, authenticated;
grant execute on function milepost_private.set_retention(uuid, int) to authenticated, service_role;

create or replace function milepost.set_retention(tenant_id uuid, keep_days int)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
begin
  perform milepost_private.set_retention(tenant_id, keep_days);
  return jsonb_build_object('tenant_id', tenant_id, 'keep_days', keep_days);
end;
$$;
comment on function milepost.set_retention(uuid, int) is
'Sets for how many days a tenant''s jobs stay after they ended, 1 to 3650: {"tenant_id", "keep_days"}. For admins.';
revoke execute on function milepost.set_retention(uuid, int) from public, anon, authenticated;
grant execute on function milepost.set_retention(uuid, int) to authenticated, service_role;

-- ==== sql/schema/74_call_with_key.sql

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

-- ==== sql/schema/75_job_history_stats.sql

-- job_history_stats: how finished jobs went, by hour, day or kind, and what their errors have in common.
create or replace function milepost.job_history_stats(
  since     timestamptz default null,
  until     timestamptz default null,
  kind      text[] default null,
  state     text[] default null,
  q         text default null,
  by        text default 'day',
  zone      text default 'UTC',
  tenant_id uuid default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'  -- an hour and a month of jobs want other plans
as $$
declare
  v_until   timestamptz := coalesce(until, now());
  v_since   timestamptz := coalesce(since, v_until - interval '30 days');
  v_tenants uuid[] := array(select t from milepost_private.my_tenants() as t
                            where job_history_stats.tenant_id is null or t = job_history_stats.tenant_id);
  v_is_time boolean := by in ('hour', 'day');
  v_stats   jsonb;
begin
  -- GUARD: no such grouping
  if by is null or by not in ('hour', 'day', 'kind', 'none') then
    perform milepost_private.refuse(422, 'invalid_value',
      format('Expected `by` to be hour, day, kind or none; found %s.', coalesce(by, 'null')), 'Use one of these.');
  end if;
  -- GUARD: no such time zone
  begin
    perform timezone(zone, v_until);
  exception when invalid_parameter_value then
    perform milepost_private.refuse(422, 'invalid_value',
      format('Expected in `zone` the name of a time zone; found %s.', zone), 'Use a name such as Europe/Berlin, or leave it out for UTC.');
  end;
  perform milepost_private.check_range(v_since, v_until);

  with runs as materialized (
    select j.job_id, j.kind, j.state, j.finished_at, j.items_completed, j.items_failed, j.bytes_processed,
           case when v_is_time then date_trunc(by, j.finished_at, zone) end as at,
           -- A job that was only said to be done took no time that anybody knows of.
           case when j.state = 'completed' and p.active_s > 0 then p.active_s end as active_s,
           case when j.state = 'completed' and p.active_s > 0 and (p.pace).work > 0 then (p.pace).work / p.active_s end as items_per_s
    from milepost.jobs j
    left join milepost_private.pulses p on p.job_id = j.job_id
    where j.tenant_id = any (v_tenants)
      and j.finished_at >= v_since and j.finished_at < v_until
      and (job_history_stats.kind is null or j.kind = any (job_history_stats.kind))
      and (job_history_stats.state is null or j.state = any (job_history_stats.state))
      and (job_history_stats.q is null
           or strpos(j.search_text, lower(job_history_stats.q)) > 0)
  ), figures as (
    select r.at, case when by = 'kind' then r.kind end as kind,
           grouping(r.at) as is_total,
           jsonb_build_object(
             'runs', count(*),
             'completed', count(*) filter (where r.state = 'completed'),
             'failed', count(*) filter (where r.state = 'failed'),
             'canceled', count(*) filter (where r.state = 'canceled'),
             'success_rate', round((count(*) filter (where r.state = 'completed'))::numeric / nullif(count(*), 0), 4),
             'failure_rate', round((count(*) filter (where r.state = 'failed'))::numeric / nullif(count(*), 0), 4),
             'duration_p50_ms', round((percentile_cont(0.5) within group (order by r.active_s) * 1000)::numeric),
             'duration_p95_ms', round((percentile_cont(0.95) within group (order by r.active_s) * 1000)::numeric),
             'items_per_s_p50', percentile_cont(0.5) within group (order by r.items_per_s),
             'items_completed', coalesce(sum(r.items_completed), 0),
             'items_failed', coalesce(sum(r.items_failed), 0),
             'bytes_processed', coalesce(sum(r.bytes_processed), 0),
             'last_finished_at', milepost_private.iso(max(r.finished_at))) as said
    from runs r
    group by grouping sets ((r.at, case when by = 'kind' then r.kind end), ())
  ), newest as (
    -- Ten scores a job: all of a long range would cost more than all else here.
    select n.job_id, n.kind
    from (select r.job_id, r.kind, row_number() over (partition by r.kind order by r.finished_at desc) as place
          from runs r where by = 'kind' and r.state = 'completed') n
    where n.place <= 200
  ), accuracy as (
    select n.kind, jsonb_build_object(
             'runs', count(distinct s.job_id),
             'median_error', percentile_cont(0.5) within group (order by abs(s.log_error)),
             'p90_error', percentile_cont(0.9) within group (order by abs(s.log_error)),
             'bias', avg(s.log_error), 'coverage', avg(s.covered::int), 'mean_width', avg(s.width)) as said
    from newest n join milepost_private.eta_scores s on s.job_id = n.job_id
    group by n.kind
  ), texts as (
    -- Equal texts first: a pattern is found once for each.
    select coalesce(j.error, j.state_reason, '') as error, r.kind, count(*) as runs, max(r.finished_at) as last_at,
           (array_agg(j.job_id order by r.finished_at desc))[1] as job_id,
           (array_agg(j.key order by r.finished_at desc))[1] as job
    from runs r join milepost.jobs j on j.job_id = r.job_id
    where r.state = 'failed'
    group by 1, 2
  ), patterns as (
    select milepost_private.error_pattern(t.error) as pattern, sum(t.runs) as runs, max(t.last_at) as last_at,
           (array_agg(t.job_id order by t.last_at desc))[1] as job_id,
           (array_agg(t.job order by t.last_at desc))[1] as job,
           (array_agg(t.error order by t.last_at desc))[1] as example,
           array_agg(distinct t.kind) as kinds
    from texts t
    group by 1
    order by 2 desc, 3 desc
    limit 20
  )
  select jsonb_build_object(
    'since', milepost_private.iso(v_since), 'until', milepost_private.iso(v_until), 'by', by, 'zone', zone,
    'total', (select f.said from figures f where f.is_total = 1),
    'groups', (
      select coalesce(jsonb_agg(f.said
        || case when v_is_time then jsonb_build_object('at', milepost_private.iso(f.at)) else '{}' end
        || case when by = 'kind' then jsonb_build_object('kind', f.kind, 'eta_accuracy', a.said) else '{}' end
        order by f.at, (f.said ->> 'runs')::bigint desc, f.kind), '[]')
      from figures f left join accuracy a on a.kind = f.kind
      where f.is_total = 0 and by <> 'none'),
    'errors', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'pattern', p.pattern, 'count', p.runs, 'kinds', to_jsonb(p.kinds), 'example', p.example,
        'last_job', p.job, 'last_job_id', p.job_id, 'last_finished_at', milepost_private.iso(p.last_at))
        order by p.runs desc, p.last_at desc), '[]')
      from patterns p))
  into v_stats;
  return v_stats;
end;
$$;
comment on function milepost.job_history_stats(timestamptz, timestamptz, text[], text[], text, text, text, uuid) is
'Figures of the jobs that ended from since (30 days before until) until until (now), by kind, state and text, grouped by hour, day, kind or none: {"since", "until", "by", "zone", "total": {...}, "groups": [{"at" or "kind", "runs", "completed", "failed", "canceled", "success_rate", "failure_rate", "duration_p50_ms", "duration_p95_ms", "items_per_s_p50", ...}], "errors": [{"pattern", "count", "example", "last_job"}]}. Rates are shares of the runs; durations (active time) and speeds are those of completed runs; by kind, eta_accuracy is that of the newest 200. Hours and days are those of zone. Refuses with invalid_value.';
revoke execute on function milepost.job_history_stats(timestamptz, timestamptz, text[], text[], text, text, text, uuid) from public, anon, authenticated;
grant execute on function milepost.job_history_stats(timestamptz, timestamptz, text[], text[], text, text, text, uuid) to authenticated, service_role;

-- ==== sql/schema/75_list_finished_jobs.sql

-- list_finished_jobs: a tenant's finished jobs, the last one to end first, keyset paged.
create or replace function milepost.list_finished_jobs(
  since     timestamptz default null,
  until     timestamptz default null,
  kind      text[] default null,
  state     text[] default null,
  q         text default null,
  tenant_id uuid default null,
  whole     boolean default false,
  "limit"   int default 50,
  after     text default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'  -- so that what failed is found in the index of what failed
as $$
declare
  v_size    int := milepost_private.page_size("limit");
  v_after   jsonb := milepost_private.page_after(after, '{timestamptz,uuid}');
  v_until   timestamptz := coalesce(until, 'infinity');
  v_since   timestamptz := coalesce(since, '-infinity');
  v_tenants uuid[] := array(select t from milepost_private.my_tenants() as t
                            where list_finished_jobs.tenant_id is null or t = list_finished_jobs.tenant_id);
  v_page    jsonb;
begin
  perform milepost_private.check_range(v_since, v_until);
  with matching as (
    select m.job_id, m.finished_at
    from unnest(v_tenants) as t (tenant_id)
    -- Tenant by tenant, since an index gives its order for one of them only.
    cross join lateral (
      select j.job_id, j.finished_at
      from milepost.jobs j
      where j.tenant_id = t.tenant_id
        and j.finished_at >= v_since and j.finished_at < v_until
        and (list_finished_jobs.kind is null or j.kind = any (list_finished_jobs.kind))
        and case when list_finished_jobs.state is null then true
                 when cardinality(list_finished_jobs.state) = 1 then j.state = list_finished_jobs.state[1]
                 else j.state = any (list_finished_jobs.state) end
        and (list_finished_jobs.q is null
             or strpos(j.search_text, lower(list_finished_jobs.q)) > 0)
        and (v_after is null or (j.finished_at, j.job_id) < ((v_after ->> 0)::timestamptz, (v_after ->> 1)::uuid))
      order by j.finished_at desc, j.job_id desc
      limit v_size + 1
    ) m
    order by m.finished_at desc, m.job_id desc
    limit v_size + 1
  ), page as (
    select m.*, row_number() over (order by m.finished_at desc, m.job_id desc) as place from matching m
  )
  select jsonb_build_object(
    'jobs', coalesce(jsonb_agg(case when whole then milepost_private.job_json(p.job_id) else to_jsonb(s) end order by p.place)
                     filter (where p.place <= v_size), '[]'),
    'next', case when count(*) > v_size then milepost_private.page_cursor(
      (select jsonb_build_array(l.finished_at, l.job_id) from page l where l.place = v_size)) end)
  into v_page
  from page p left join milepost_private.job_summaries s on s.job_id = p.job_id and not whole;
  return v_page;
end;
$$;
comment on function milepost.list_finished_jobs(timestamptz, timestamptz, text[], text[], text, uuid, boolean, int, text) is
'Jobs that ended from since until until, by kind, state and text, the last one to end first: {"jobs", "next"}. A whole one has its stages, workers, cursor and metadata too. Refuses with invalid_value and invalid_cursor.';
revoke execute on function milepost.list_finished_jobs(timestamptz, timestamptz, text[], text[], text, uuid, boolean, int, text) from public, anon, authenticated;
grant execute on function milepost.list_finished_jobs(timestamptz, timestamptz, text[], text[], text, uuid, boolean, int, text) to authenticated, service_role;

-- ==== sql/schema/76_explain_job.sql

-- explain_job: why a job is stalled, slow, waiting or without an ETA, in words and fields.
create or replace function milepost_private.seconds_in_words(s double precision)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when s is null then 'an unknown time'
    when s < 120 then round(s) || ' s'
    when s < 7200 then round(s / 60) || ' min'
    when s < 172800 then round(s / 3600) || ' h'
    else round(s / 86400) || ' days' end;
end;
$$;
comment on function milepost_private.seconds_in_words(double precision) is 'A duration as a person says it.';
revoke execute on function milepost_private.seconds_in_words(double precision) from public, anon, authenticated;
grant execute on function milepost_private.seconds_in_words(double precision) to authenticated, service_role;

create or replace function milepost_private.explain(job_id uuid, at timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job     milepost.jobs;
  v_pulse   milepost_private.pulses;
  v_kind    milepost_private.kinds;
  f         milepost_private.figures;
  v_slowest record;
  v_reasons jsonb := '[]';
  v_silent  text;
  v_queue   text;
  v_usual   double precision;
  v_summary text;
  v_trend   milepost_private.trend;
begin
  select * into v_job from milepost.jobs j where j.job_id = explain.job_id;
  select * into v_pulse from milepost_private.pulses p where p.job_id = explain.job_id;
  select * into v_kind from milepost_private.kinds k where k.tenant_id = v_job.tenant_id and k.kind = v_job.kind;
  f := milepost_private.figures(v_job, v_pulse, v_kind, at);
  v_silent := milepost_private.seconds_in_words(extract(epoch from at - coalesce(v_job.last_progress_at, v_job.attempt_started_at, v_job.created_at)));

  select l.worker, l.rate into v_slowest from (
    select x.worker, (milepost_private.lane_json(x) ->> 'rate_per_s')::double precision as rate, count(*) over () as lanes
    from milepost.lanes x where x.job_id = explain.job_id and x.attempt = v_job.attempt and x.state in ('running', 'completing')
  ) l where l.lanes > 1 and l.rate is not null order by l.rate limit 1;

  if v_job.state in ('pending', 'retrying') then
    select format(', for %s now; %s of its kind %s before it',
             milepost_private.seconds_in_words(greatest(extract(epoch from at - greatest(v_job.state_changed_at, v_job.run_after)), 0)),
             case when q.ahead = 1000 then 'at least 1000' else q.ahead::text end, case when q.ahead = 1 then 'is' else 'are' end)
    into v_queue
    from (
      select count(*) as ahead from (
        select from milepost.jobs j
        where j.tenant_id = v_job.tenant_id and j.kind = v_job.kind and j.state in ('pending', 'retrying')
          and (j.priority > v_job.priority or j.priority = v_job.priority and j.created_at < v_job.created_at)
          and (j.run_after is null or j.run_after <= explain.at)
        limit 1000) a) q;
  end if;

  v_summary := case
    when v_job.state = 'completed' then format('Completed after %s of work.', milepost_private.seconds_in_words(f.time_processing_ms / 1000.0))
    when v_job.state = 'failed' then format('Failed in attempt %s of %s: %s', v_job.attempt, v_job.max_attempts, coalesce(v_job.error, 'no reason was given'))
    when v_job.state = 'canceled' then format('Canceled%s.', ' by ' || milepost_private.actor_in_words(v_job.state_actor))
    when v_job.state = 'pending' and v_job.run_after > at then
      format('Waiting for its time, in %s.', milepost_private.seconds_in_words(extract(epoch from v_job.run_after - at)))
    when v_job.state = 'pending' then format('Waiting for a worker to claim it%s.', v_queue)
    when v_job.state = 'retrying' then format('Waiting for attempt %s of %s%s: %s', v_job.attempt, v_job.max_attempts,
      case when v_job.run_after > at then ', in ' || milepost_private.seconds_in_words(extract(epoch from v_job.run_after - at)) else v_queue end,
      coalesce(v_job.state_reason, 'the last attempt ended'))
    when v_job.state = 'paused' then format('Paused by %s%s.', milepost_private.actor_in_words(v_job.state_actor), coalesce(': ' || v_job.state_reason, ''))
    when v_job.state = 'pausing' then format('Asked to pause by %s; its workers have not acknowledged yet.', milepost_private.actor_in_words(v_job.state_actor))
    when v_job.state = 'canceling' then format('Asked to cancel by %s; its workers have not acknowledged yet.', milepost_private.actor_in_words(v_job.state_actor))
    when f.rate_limited then format('Rate limited for another %s.', milepost_private.seconds_in_words(extract(epoch from v_job.rate_limited_until - at)))
    when f.liveness = 'lost' then format('Lost: nothing was heard for %s.', milepost_private.seconds_in_words(extract(epoch from at - coalesce(v_job.last_checkpoint_at, v_job.attempt_started_at))))
    when f.liveness_reason = 'no_net_progress' then 'Stalled: its count falls and climbs without a new high.'
    when f.liveness = 'stalled' then format('Stalled: its worker reports, but made no progress for %s; more than %s is unusual for it.', v_silent, milepost_private.seconds_in_words(f.threshold_s))
    when f.liveness_reason = 'past_deadline' then format('Late: it has taken %s of its %s.',
      milepost_private.seconds_in_words(f.time_processing_ms / 1000.0), milepost_private.seconds_in_words(v_job.processing_deadline_ms / 1000.0))
    when f.liveness = 'late' then format('Late: no progress for %s; it counts as stalled after %s.', v_silent, milepost_private.seconds_in_words(f.threshold_s))
    when f.eta_ms is not null then format('On time; about %s left.', milepost_private.seconds_in_words(f.eta_ms / 1000.0))
    when f.eta_reason = 'no_total' then 'On time; no finish time, since the total is unknown.'
    when f.eta_reason = 'no_progress' then 'Running; no finish time before the first progress.'
    else 'On time.' end;

  if f.liveness <> 'on_time' then
    v_reasons := v_reasons || jsonb_build_object('code', f.liveness_reason, 'message', v_summary);
  end if;
  if f.rate_limited then
    v_reasons := v_reasons || jsonb_build_object('code', 'rate_limited', 'message',
      format('A worker said that it may not go on before %s.', milepost_private.iso(v_job.rate_limited_until)));
  end if;
  if v_job.attempt > 1 then
    v_reasons := v_reasons || jsonb_build_object('code', 'retried', 'message',
      format('This is attempt %s of %s.', v_job.attempt, v_job.max_attempts));
  end if;
  if v_job.processing_deadline_ms is not null and f.time_processing_ms + coalesce(f.eta_ms, 0) > v_job.processing_deadline_ms and v_job.finished_at is null
    and f.liveness_reason is distinct from 'past_deadline' then
    v_reasons := v_reasons || jsonb_build_object('code', 'past_deadline', 'message',
      format('It will have taken %s of its %s.', milepost_private.seconds_in_words((f.time_processing_ms + coalesce(f.eta_ms, 0)) / 1000.0),
             milepost_private.seconds_in_words(v_job.processing_deadline_ms / 1000.0)));
  end if;
  v_usual := coalesce(exp(-(v_kind.pace).ln_cost), 1000 / nullif(f.average_duration_ms_per_item, 0));
  if v_job.state in ('running', 'completing') and f.rate_per_s < 0.5 * v_usual then
    v_reasons := v_reasons || jsonb_build_object('code', 'slow', 'message',
      format('It does %s a second now; %s is usual for %s.', round(f.rate_per_s::numeric, 3), round(v_usual::numeric, 3),
             case when (v_kind.pace).ln_cost is null then 'it' else 'its kind' end));
  end if;
  v_trend := milepost_private.trend_of(v_job, v_pulse, v_kind, milepost_private.tally_of(v_job));
  if v_trend.slower is not null then
    v_reasons := v_reasons || jsonb_build_object('code', 'slower_than_usual', 'message',
      format('It took %s to get this far; %s is usual for %s after %s runs: %s times as long.',
             milepost_private.seconds_in_words(v_trend.spent_s), milepost_private.seconds_in_words(v_trend.usual_s), v_job.kind,
             v_trend.runs, round(v_trend.slower::numeric, 1)));
  end if;
  if v_trend.failed_share is not null then
    v_reasons := v_reasons || jsonb_build_object('code', 'more_errors_than_usual', 'message',
      format('%s %% of its items failed; %s %% is usual for %s.', round((100 * v_trend.failed_share)::numeric, 1),
             round((100 * v_trend.usual_failed)::numeric, 1), v_job.kind));
  end if;
  if v_trend.larger is not null then
    v_reasons := v_reasons || jsonb_build_object('code', 'larger_than_usual', 'message',
      format('It has %s %s; %s is usual for %s.', f.items_total, v_job.unit, round(v_trend.usual_items::numeric), v_job.kind));
  end if;
  if v_slowest.worker is not null then
    v_reasons := v_reasons || jsonb_build_object('code', 'slowest_worker', 'message',
      format('Its slowest worker is %s with %s a second.', v_slowest.worker, round(v_slowest.rate::numeric, 3)));
  end if;
  if f.eta_reason is not null then
    v_reasons := v_reasons || jsonb_build_object('code', f.eta_reason, 'message', 'There is no finish time: ' || case f.eta_reason
      when 'no_total' then 'the total is unknown.' when 'no_progress' then 'there was no progress yet.'
      when 'paused' then 'the job is paused.' when 'rate_limited' then 'the job is rate limited.'
      when 'finished' then 'nothing is left to do.' when 'not_started' then 'the job is not running.'
      else 'the job is stalled.' end);
  end if;

  return jsonb_build_object(
    'summary', v_summary, 'liveness', f.liveness, 'threshold_s', f.threshold_s, 'reasons', v_reasons,
    'last_checkpoint_at', milepost_private.iso(v_job.last_checkpoint_at),
    'last_progress_at', milepost_private.iso(v_job.last_progress_at), 'attempt', v_job.attempt,
    'paused_by', case when v_job.state in ('pausing', 'paused') then v_job.state_actor end,
    'slowest_worker', v_slowest.worker, 'rate_limited_until', case when f.rate_limited then milepost_private.iso(v_job.rate_limited_until) end,
    'eta_reason', f.eta_reason);
end;
$$;
comment on function milepost_private.explain(uuid, timestamptz) is 'Why a job is as it is at the given time: a sentence, and reasons with codes.';
revoke execute on function milepost_private.explain(uuid, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.explain(uuid, timestamptz) to authenticated, service_role;

create or replace function milepost.explain_job(job_id text)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select milepost_private.explain((milepost_private.visible_job(job_id)).job_id, now());
$$;
comment on function milepost.explain_job(text) is
'Why a job is stalled, slow, waiting or without an ETA: {"summary", "liveness", "threshold_s", "reasons", ...}.';
revoke execute on function milepost.explain_job(text) from public, anon, authenticated;
grant execute on function milepost.explain_job(text) to authenticated, service_role;

-- ==== sql/schema/77_health.sql

-- Health: what an operator's probe asks.

-- get_jobs_health: how jobs are, counted, and why not better.
create or replace function milepost.get_jobs_health()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_tenants uuid[] := array(select milepost_private.my_tenants());
  v_jobs    bigint;
  v_odd     uuid[];
  v_health  jsonb;
begin
  -- Nearly all jobs have no reason: one look counts all, and keeps the ids of those that have one.
  select count(*), array_agg(j.job_id) filter (where
    j.state = 'failed' or j.finished_at is null and j.rate_limited_until > now()
    or j.items_failed > 0.05 * (j.items_completed::double precision + j.items_failed + j.items_skipped + j.items_canceled))
  into v_jobs, v_odd
  from milepost.jobs j
  where j.tenant_id = any (v_tenants) and (j.finished_at is null or j.finished_at > now() - interval '1 day');

  with off as materialized (
    select v.job_id, v.liveness from milepost_private.not_on_time(v_tenants, now()) v
  ), judged as (
    select j.key, case
      when j.state = 'failed' then 'failed'
      when o.liveness is not null then o.liveness
      when j.finished_at is null and j.rate_limited_until > now() then 'rate_limited'
      else 'many_errors' end as reason
    from (select unnest(v_odd) as job_id union select f.job_id from off f) i
    join milepost.jobs j on j.job_id = i.job_id
    left join off o on o.job_id = i.job_id
  ), reasons as (
    select j.reason, count(*) as jobs, j.reason in ('failed', 'stalled', 'lost') as is_critical,
           (array_agg(j.key order by j.key))[1:5] as examples
    from judged j group by j.reason
  )
  select jsonb_build_object(
    'overall_status', case when bool_or(r.is_critical) then 'Critical' when count(*) > 0 then 'Warning' else 'Healthy' end,
    'total_jobs', v_jobs, 'healthy_count', v_jobs - coalesce(sum(r.jobs), 0),
    'warning_count', coalesce(sum(r.jobs) filter (where not r.is_critical), 0),
    'critical_count', coalesce(sum(r.jobs) filter (where r.is_critical), 0),
    'reasons', coalesce(jsonb_agg(jsonb_build_object(
      'code', r.reason, 'status', case when r.is_critical then 'Critical' else 'Warning' end, 'count', r.jobs,
      'message', format(case r.reason
        when 'failed' then '%s failed within a day.' when 'stalled' then '%s made no progress for longer than is usual.'
        when 'lost' then '%s not heard from any more.' when 'late' then '%s late.' when 'rate_limited' then '%s waiting for a rate limit.'
        else '%s with many errors.' end, case when r.jobs = 1 then '1 job' else r.jobs || ' jobs' end),
      'jobs', r.examples) order by r.is_critical desc, r.jobs desc), '[]'),
    'last_updated', milepost_private.iso(now()))
  into v_health
  from reasons r;
  return v_health;
end;
$$;
comment on function milepost.get_jobs_health() is
'Healthy, Warning or Critical with counts and reasons, over jobs that are active or ended within a day. Critical: failed, stalled or lost; warning: late, rate limited or many errors.';
revoke execute on function milepost.get_jobs_health() from public, anon, authenticated;
grant execute on function milepost.get_jobs_health() to authenticated, service_role;

-- get_job_health: one job's health, its error and the explanation.
create or replace function milepost.get_job_health(job_id text)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select to_jsonb(s) || jsonb_build_object('error_message', s.error, 'explanation', milepost_private.explain(s.job_id, now()))
  from milepost_private.job_summaries s
  where s.job_id = (milepost_private.visible_job(get_job_health.job_id)).job_id;
$$;
comment on function milepost.get_job_health(text) is 'A job''s summary with its error_message and explanation.';
revoke execute on function milepost.get_job_health(text) from public, anon, authenticated;
grant execute on function milepost.get_job_health(text) to authenticated, service_role;

-- get_loading_progress: all jobs that are active or ended within a day, by key.
create or replace function milepost.get_loading_progress()
returns jsonb
language sql
stable
set search_path = ''
as $$
  with recent as materialized (
    select j.job_id, j.state, j.items_completed, j.finished_at, j.created_at
    from milepost.jobs j
    where j.tenant_id = any (array(select milepost_private.my_tenants()))
      and (j.finished_at is null or j.finished_at > now() - interval '1 day')
  ), shown as (
    select r.job_id from recent r order by r.finished_at is not null, r.created_at desc, r.job_id desc limit 1000
  )
  select jsonb_build_object(
    'summary', jsonb_build_object(
      'total_jobs', count(*),
      'loading', count(*) filter (where r.finished_at is null),
      'completed', count(*) filter (where r.state = 'completed'), 'failed', count(*) filter (where r.state = 'failed'),
      'total_records_loaded', coalesce(sum(r.items_completed), 0),
      'left_out', greatest(count(*) - 1000, 0)),
    'jobs', (select coalesce(jsonb_object_agg(s.job, to_jsonb(s)), '{}')
             from shown h join milepost_private.job_summaries s on s.job_id = h.job_id))
  from recent r;
$$;
comment on function milepost.get_loading_progress() is
'Jobs that are active or ended within a day: {"summary", "jobs": {key: job}}. The summary is of all; jobs are a thousand at most, active ones first, then the newest; left_out says how many are missing.';
revoke execute on function milepost.get_loading_progress() from public, anon, authenticated;
grant execute on function milepost.get_loading_progress() to authenticated, service_role;

-- get_system_metrics: figures of the system, as the caller may see them.
create or replace function milepost.get_system_metrics()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_tenants uuid[] := array(select milepost_private.my_tenants());
begin
  return (
    select jsonb_build_object(
      'active_jobs', count(*) filter (where j.state not in ('pending', 'retrying')),
      'total_items_per_second', coalesce(milepost_private.items_per_s(v_tenants, now()), 0),
      'queue_depth', count(*) filter (where j.state in ('pending', 'retrying')),
      'oldest_wait_s', extract(epoch from now() - min(greatest(j.state_changed_at, j.run_after)) filter (
        where j.state in ('pending', 'retrying') and (j.run_after is null or j.run_after <= now()))))
    from milepost.jobs j
    where j.tenant_id = any (v_tenants) and j.finished_at is null
  ) || (
    select jsonb_build_object('late_count', count(*) filter (where v.liveness = 'late'),
                              'stuck_count', count(*) filter (where v.liveness in ('stalled', 'lost')))
    from milepost_private.not_on_time(v_tenants, now()) v
  ) || (
    select jsonb_build_object(
      'finished_last_hour', count(*), 'failed_last_hour', count(*) filter (where j.state = 'failed'),
      'failure_rate_percent', 100.0 * count(*) filter (where j.state = 'failed')
                              / nullif(count(*) filter (where j.state in ('completed', 'failed')), 0))
    from milepost.jobs j
    where j.tenant_id = any (v_tenants) and j.finished_at > now() - interval '1 hour'
  ) || (
    -- Of several tenants, the one with the slowest requests.
    select jsonb_build_object('ingest_requests_5min', coalesce(sum(d.requests), 0), 'ingest_p50_ms', max(d.p50_ms), 'ingest_p99_ms', max(d.p99_ms))
    from unnest(v_tenants) t cross join lateral milepost_private.ingest_latency(t, now(), 300) d
  ) || (
    select jsonb_build_object('messages_last_minute', coalesce(sum(m.messages), 0),
                              'message_budget_used_percent', max(100.0 * m.messages / 60 / n.messages_per_s))
    from milepost.tenants n
    cross join lateral (
      -- One message on job:, one on tenant:, and one on user: where the job has an owner.
      select coalesce(sum(2 + (j.owner_id is not null)::int), 0) as messages
      from (
        select x.ts, x.job_id from milepost.events x
        where x.tenant_id = n.tenant_id and x.ts > now() - interval '1 day'
        order by x.event_id desc limit 5000
      ) e join milepost.jobs j on j.job_id = e.job_id
      where e.ts > now() - interval '1 minute'
    ) m
    where n.tenant_id = any (v_tenants)
  ) || jsonb_build_object(
    'open_alerts', (select count(*) from milepost_private.alerts a
                    where a.tenant_id = any (v_tenants) and a.opened_at is not null and a.resolved_at is null),
    -- Of the database that all tenants share: for who belongs to one of them.
    'database_bytes', case when v_tenants <> '{}' then pg_catalog.pg_database_size(current_database()) end,
    'database_connections', case when v_tenants <> '{}' then
      (select count(*) from pg_catalog.pg_stat_activity d where d.datname = current_database()) end,
    'last_sweep_at', (select milepost_private.iso(w.swept_at) from milepost_private.sweeps w),
    'last_updated', milepost_private.iso(now()));
end;
$$;
comment on function milepost.get_system_metrics() is
'Active jobs, items a second, queue, late and stuck jobs, failures, ingest latency, messages, size and connections of the database, last sweep.';
revoke execute on function milepost.get_system_metrics() from public, anon, authenticated;
grant execute on function milepost.get_system_metrics() to authenticated, service_role;

-- get_metrics: the same for Prometheus, with counters: totals and what is not in them yet. The first fifty kinds to come up have
-- a name; all others are 'other', and stay so, since a counter must not move from one name to another.
create or replace function milepost.get_metrics()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_tenants uuid[] := array(select milepost_private.my_tenants());
  v_answer  jsonb;
begin
  with counted as (
    select t.* from milepost_private.totals t where t.tenant_id = any (v_tenants)
    union all
    select m.* from milepost_private.measured('infinity') m where m.tenant_id = any (v_tenants)
  ), named as (
    select c.kind from counted c where c.kind <> '' group by c.kind order by min(c.place), c.kind limit 50
  ), by_name as (
    select case when n.kind is null and c.kind <> '' then 'other' else c.kind end as name, c.*
    from counted c left join named n on n.kind = c.kind
  ), summed as (
    select b.name, jsonb_build_object(
             'kind', b.name, 'items', jsonb_build_object('completed', sum(b.items_completed), 'failed', sum(b.items_failed),
               'skipped', sum(b.items_skipped), 'canceled', sum(b.items_canceled)),
             'bytes', sum(b.bytes_processed), 'jobs', jsonb_build_object('completed', sum(b.jobs_completed),
               'failed', sum(b.jobs_failed), 'canceled', sum(b.jobs_canceled)),
             'job_s', sum(b.job_s),
             'job_buckets', (select jsonb_agg(s.n order by s.place) from (
               select u.place, sum(u.n) as n from by_name x cross join lateral unnest(x.job_buckets) with ordinality as u (n, place)
               where x.name = b.name group by u.place) s)) as kind
    from by_name b where b.name <> '' group by b.name
  ), active as (
    select coalesce(n.kind, 'other') as name, j.state, count(*) as jobs
    from milepost.jobs j left join named n on n.kind = j.kind
    where j.tenant_id = any (v_tenants) and j.finished_at is null
    group by 1, 2
  )
  select jsonb_build_object(
    'kinds', (select coalesce(jsonb_agg(s.kind order by s.name), '[]') from summed s),
    'active', (select coalesce(jsonb_agg(to_jsonb(a) order by a.name, a.state), '[]') from active a),
    'checkpoints', coalesce(sum(b.checkpoints), 0), 'ingest_ms', coalesce(sum(b.ingest_ms), 0),
    'ingest_buckets', (select jsonb_agg(s.n order by s.place) from (
      select u.place, sum(u.n) as n from by_name x cross join lateral unnest(x.ingest_buckets) with ordinality as u (n, place)
      where x.name = '' group by u.place) s),
    'ingest_bounds_ms', milepost_private.ingest_bounds_ms(), 'job_bounds_s', milepost_private.job_bounds_s())
  into v_answer
  from by_name b where b.name = '';
  return v_answer || jsonb_build_object('system', milepost.get_system_metrics());
end;
$$;
comment on function milepost.get_metrics() is 'What /metrics shows: counters by kind, active jobs by kind and state, histograms, and get_system_metrics.';
revoke execute on function milepost.get_metrics() from public, anon, authenticated;
grant execute on function milepost.get_metrics() to authenticated, service_role;

-- ==== sql/schema/78_list_tenants.sql

-- list_tenants: the tenants that the caller may read, for the page's switch and for streams.
create or replace function milepost.list_tenants()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('tenant_id', t.tenant_id, 'name', t.name,
             'role', (select m.role from milepost.members m where m.tenant_id = t.tenant_id and m.user_id = auth.uid()))
             order by t.name, t.tenant_id), '[]')
    from milepost.tenants t
    where t.tenant_id = any (array(select milepost_private.my_tenants())));
end;
$$;
comment on function milepost.list_tenants() is 'The caller''s tenants: [{"tenant_id", "name", "role"}]; role is null for a key.';
revoke execute on function milepost.list_tenants() from public, anon, authenticated;
grant execute on function milepost.list_tenants() to authenticated, service_role;

-- ==== sql/schema/79_alerts.sql

-- What people do with alerts: read them, change rules, add and remove channels, mute.

create or replace function milepost_private.check_alert_rule(rule text)
returns void
language plpgsql
stable
set search_path = ''
as $$
begin
  if not exists (select from milepost_private.alert_defaults() d where d.rule = check_alert_rule.rule) then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected the name of an alert rule; %s is none.', rule),
      'They are: ' || (select string_agg(d.rule, ', ') from milepost_private.alert_defaults() d) || '.');
  end if;
end;
$$;
comment on function milepost_private.check_alert_rule(text) is 'Refuses what is no rule''s name.';
revoke execute on function milepost_private.check_alert_rule(text) from public, anon, authenticated;
grant execute on function milepost_private.check_alert_rule(text) to authenticated, service_role;

create or replace function milepost.list_alerts(
  status text default null, tenant_id uuid default null, "limit" int default 50, after text default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_size  int := milepost_private.page_size("limit");
  v_after jsonb := milepost_private.page_after(after, '{timestamptz,uuid}');
  v_page  jsonb;
begin
  if status not in ('open', 'resolved') then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected status open or resolved; found %s.', status));
  end if;
  select coalesce(jsonb_agg(to_jsonb(p) order by p.opened_at desc, p.alert_id desc), '[]') into v_page
  from (
    select a.alert_id, a.tenant_id, case when a.resolved_at is null then 'open' else 'resolved' end as status, a.rule, a.severity,
           a.message, a.job_id, a.job, a.kind, a.value, a.threshold, a.resolution, milepost_private.is_muted(a, now()) as is_muted,
           a.opened_at, a.resolved_at
    from milepost_private.alerts a
    where a.tenant_id = any (array(select milepost_private.my_tenants())) and a.opened_at is not null
      and (list_alerts.tenant_id is null or a.tenant_id = list_alerts.tenant_id)
      and (list_alerts.status is null or (a.resolved_at is null) = (list_alerts.status = 'open'))
      and (v_after is null or (a.opened_at, a.alert_id) < ((v_after ->> 0)::timestamptz, (v_after ->> 1)::uuid))
    order by a.opened_at desc, a.alert_id desc limit v_size + 1
  ) p;
  return jsonb_build_object(
    'alerts', (select coalesce(jsonb_agg(x.value || jsonb_build_object(
                 'opened_at', milepost_private.iso((x.value ->> 'opened_at')::timestamptz),
                 'resolved_at', milepost_private.iso((x.value ->> 'resolved_at')::timestamptz)) order by x.n), '[]')
               from jsonb_array_elements(v_page) with ordinality as x (value, n) where x.n <= v_size),
    'next', case when jsonb_array_length(v_page) > v_size then
      milepost_private.page_cursor(jsonb_build_array(v_page -> (v_size - 1) -> 'opened_at', v_page -> (v_size - 1) -> 'alert_id')) end);
end;
$$;
comment on function milepost.list_alerts(text, uuid, int, text) is
'The caller''s alerts, newest first: {"alerts", "next"}; status is open, resolved, or null for both.';

create or replace function milepost.list_alert_rules(tenant_id uuid default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'rules', (
      select coalesce(jsonb_agg(to_jsonb(r) order by r.tenant_id, r.severity, r.rule), '[]') from milepost_private.alert_rules_in_force r
      where r.tenant_id = any (array(select milepost_private.my_tenants()))
        and (list_alert_rules.tenant_id is null or r.tenant_id = list_alert_rules.tenant_id)),
    'mutes', (
      select coalesce(jsonb_agg(jsonb_build_object('tenant_id', m.tenant_id, 'rule', m.rule, 'kind', m.kind, 'job_id', m.job_id,
               'until', milepost_private.iso(m.until), 'reason', m.reason, 'actor', m.actor) order by m.until), '[]')
      from milepost_private.alert_mutes m
      where m.tenant_id = any (array(select milepost_private.my_tenants())) and m.until > now()
        and (list_alert_rules.tenant_id is null or m.tenant_id = list_alert_rules.tenant_id)));
end;
$$;
comment on function milepost.list_alert_rules(uuid) is 'The caller''s tenants'' rules, as defaults and changes make them, and what is muted: {"rules", "mutes"}.';

-- keep_alert_rule: a tenant's own figures of a rule.
create or replace function milepost_private.keep_alert_rule(rule milepost_private.alert_rules)
returns uuid
language plpgsql
volatile
security definer                -- callers may write no table; tenant_to_manage decides
set search_path = ''
as $$
begin
  rule.tenant_id := milepost_private.tenant_to_manage(rule.tenant_id, array['admin']);
  insert into milepost_private.alert_rules as r select (rule).*
  on conflict on constraint alert_rules_pkey do update set
    is_on = excluded.is_on, threshold = excluded.threshold, window_s = excluded.window_s, for_s = excluded.for_s;
  return rule.tenant_id;
end;
$$;
comment on function milepost_private.keep_alert_rule(milepost_private.alert_rules) is
'Keeps a rule''s figures for an admin or operator key, and returns the tenant. Refuses with 403 and 422.';
revoke execute on function milepost_private.keep_alert_rule(milepost_private.alert_rules) from public, anon, authenticated;
grant execute on function milepost_private.keep_alert_rule(milepost_private.alert_rules) to authenticated, service_role;

create or replace function milepost.set_alert_rule(
  rule text, is_on boolean default true, threshold double precision default null, window_s int default null, for_s int default null,
  tenant_id uuid default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_tenant uuid;
begin
  perform milepost_private.check_alert_rule(rule);
  -- GUARD: values that a constraint would refuse less clearly
  if not threshold >= 0 or threshold = 'infinity' or not window_s between 60 and 2592000 or not for_s between 0 and 86400 then
    perform milepost_private.refuse(422, 'out_of_range',
      'Expected a threshold of 0 or more, window_s from 60 to 2592000 (30 days), for_s from 0 to 86400 (a day).', 'Send values within the limits.');
  end if;
  v_tenant := milepost_private.keep_alert_rule(row(tenant_id, rule, coalesce(is_on, true), threshold, window_s, for_s));
  return (select to_jsonb(r) from milepost_private.alert_rules_in_force r
          where r.tenant_id = v_tenant and r.rule = set_alert_rule.rule);
end;
$$;
comment on function milepost.set_alert_rule(text, boolean, double precision, int, int, uuid) is
'Turns a rule on or off, or changes its figures; what is left out is as by default. For admins and operator keys. Returns the rule.';

-- keep_alert_channel, drop_alert_channel: a tenant's channels.
create or replace function milepost_private.keep_alert_channel(channel milepost_private.alert_channels)
returns uuid
language plpgsql
volatile
security definer                -- callers may write no table; tenant_to_manage decides
set search_path = ''
as $$
begin
  channel.tenant_id := milepost_private.tenant_to_manage(channel.tenant_id, array['admin']);
  if (select count(*) from milepost_private.alert_channels c where c.tenant_id = channel.tenant_id) >= 20 then
    perform milepost_private.refuse(422, 'out_of_range', 'Expected at most 20 channels in a tenant; there are as many already.', 'Remove one first.');
  end if;
  -- What was announced before is not told to it.
  channel.told := coalesce((select max(a.announcement) from milepost_private.alerts a where a.tenant_id = channel.tenant_id), 0);
  insert into milepost_private.alert_channels select (channel).*;
  return channel.tenant_id;
end;
$$;
comment on function milepost_private.keep_alert_channel(milepost_private.alert_channels) is
'Adds a channel for an admin or operator key, and returns the tenant. Refuses with 403 and 422.';
revoke execute on function milepost_private.keep_alert_channel(milepost_private.alert_channels) from public, anon, authenticated;
grant execute on function milepost_private.keep_alert_channel(milepost_private.alert_channels) to authenticated, service_role;

create or replace function milepost_private.drop_alert_channel(channel_id uuid)
returns boolean
language plpgsql
volatile
security definer                -- callers may write no table; managed_tenants decides
set search_path = ''
as $$
declare
  -- Asked first: in the condition it would be asked only where there is such a channel, which takes longer.
  v_tenants uuid[] := array(select milepost_private.managed_tenants(array['admin']));
begin
  delete from milepost_private.alert_channels c
  where c.channel_id = drop_alert_channel.channel_id and c.tenant_id = any (v_tenants);
  return found;
end;
$$;
comment on function milepost_private.drop_alert_channel(uuid) is 'Removes a channel that the caller manages; false if there is none.';
revoke execute on function milepost_private.drop_alert_channel(uuid) from public, anon, authenticated;
grant execute on function milepost_private.drop_alert_channel(uuid) to authenticated, service_role;

create or replace function milepost.add_alert_channel(
  type text, name text, address text, quiet_from time default null, quiet_until time default null, time_zone text default null,
  tenant_id uuid default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_tenant uuid;
  v_id     uuid := gen_random_uuid();
  v_zone   text := coalesce(time_zone, 'UTC');
  v_secret text;
  v_shown  text;
begin
  -- GUARD: what no message could be sent to
  if type is null or type not in ('webhook', 'slack', 'email') then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected type webhook, slack or email; found %s.', type));
  end if;
  if address is null or type = 'email' and address !~ '^[^@\s,<>"]+@[^@\s,<>"]+(, ?[^@\s,<>"]+@[^@\s,<>"]+){0,19}$' or length(address) > 2000
    or type <> 'email' and address !~ '^https?://[^\s/?#@]+([/?#]\S*)?$' then
    perform milepost_private.refuse(422, 'invalid_value',
      case type when 'email' then 'Expected up to 20 e-mail addresses with commas between them.'
                else 'Expected an http or https URL without a user name in it.' end, 'Correct the address.');
  end if;
  perform milepost_private.check_name('name', coalesce(name, ''));
  if (quiet_from is null) <> (quiet_until is null) then
    perform milepost_private.refuse(422, 'missing_field', 'Expected both quiet_from and quiet_until, or neither; found one.');
  end if;
  begin
    perform now() at time zone v_zone;
  exception when invalid_parameter_value then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected the name of a time zone; %s is none.', v_zone), 'Send for example Europe/Berlin.');
  end;

  if type = 'webhook' then
    -- As https://www.standardwebhooks.com has it; two random uuids have 244 bits.
    v_secret := 'whsec_' || encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64');
  end if;
  v_shown := case when type = 'email' then address else substring(address from '^https?://[^/?#]+') end;
  v_tenant := milepost_private.keep_alert_channel(row(
    v_id, tenant_id, type, name, address, v_secret, v_shown, quiet_from, quiet_until, v_zone, 0, now()));
  return jsonb_build_object('channel_id', v_id, 'tenant_id', v_tenant, 'type', type, 'name', name, 'address', v_shown,
    'quiet_from', quiet_from, 'quiet_until', quiet_until, 'time_zone', v_zone, 'secret', v_secret);
end;
$$;
comment on function milepost.add_alert_channel(text, text, text, time, time, text, uuid) is
'Adds a channel; a webhook''s signing secret is shown this once. It hears of what changes from now on. For admins and operator keys.';

create or replace function milepost.list_alert_channels(tenant_id uuid default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('channel_id', c.channel_id, 'tenant_id', c.tenant_id, 'type', c.type, 'name', c.name,
             'address', c.shown, 'quiet_from', c.quiet_from, 'quiet_until', c.quiet_until, 'time_zone', c.time_zone,
             'last_delivered_at', milepost_private.iso(d.delivered_at), 'last_error', l.last_error, 'attempts', l.attempts,
             'next_attempt_at', case when l.delivered_at is null and l.gave_up_at is null then milepost_private.iso(l.due_at) end,
             'gave_up_at', milepost_private.iso(l.gave_up_at)) order by c.created_at, c.channel_id), '[]')
    from milepost_private.alert_channels c
    left join lateral (
      select max(x.delivered_at) as delivered_at from milepost_private.alert_deliveries x where x.channel_id = c.channel_id
    ) d on true
    left join lateral (
      select x.* from milepost_private.alert_deliveries x where x.channel_id = c.channel_id order by x.created_at desc limit 1
    ) l on true
    where c.tenant_id = any (array(select milepost_private.managed_tenants(array['admin'])))
      and (list_alert_channels.tenant_id is null or c.tenant_id = list_alert_channels.tenant_id));
end;
$$;
comment on function milepost.list_alert_channels(uuid) is
'The channels of tenants that the caller manages, and how their last message went. Of a URL only the host is shown.';

create or replace function milepost.remove_alert_channel(channel_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
begin
  if not milepost_private.drop_alert_channel(channel_id) then
    perform milepost_private.refuse(404, 'channel_not_found',
      format('Expected the id of a channel that you manage; %s is none.', remove_alert_channel.channel_id), 'List them with: milepost alerts channels');
  end if;
  return jsonb_build_object('channel_id', channel_id, 'removed', true);
end;
$$;
comment on function milepost.remove_alert_channel(uuid) is 'Removes a channel, with what it has not been sent yet. For admins and operator keys.';

-- keep_mute: begins, changes or ends a mute.
create or replace function milepost_private.keep_mute(mute milepost_private.alert_mutes)
returns void
language plpgsql
volatile
security definer                -- callers may write no table; tenant_to_manage decides
set search_path = ''
as $$
begin
  mute.tenant_id := milepost_private.tenant_to_manage(mute.tenant_id, array['operator', 'admin']);
  if mute.until > now() then
    insert into milepost_private.alert_mutes as m select (mute).*
    on conflict on constraint one_mute_for_each_scope do update set until = excluded.until, reason = excluded.reason, actor = excluded.actor;
  else
    delete from milepost_private.alert_mutes m
    where m.tenant_id = mute.tenant_id and m.rule is not distinct from mute.rule and m.kind is not distinct from mute.kind
      and m.job_id is not distinct from mute.job_id;
  end if;
end;
$$;
comment on function milepost_private.keep_mute(milepost_private.alert_mutes) is
'Keeps a mute for an operator, or ends the one of its scope where its time is past. Refuses with 403 and 422.';
revoke execute on function milepost_private.keep_mute(milepost_private.alert_mutes) from public, anon, authenticated;
grant execute on function milepost_private.keep_mute(milepost_private.alert_mutes) to authenticated, service_role;

create or replace function milepost.mute_alerts(
  until timestamptz, rule text default null, kind text default null, job_id text default null, reason text default null,
  tenant_id uuid default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_tenant uuid := milepost_private.tenant_to_manage(tenant_id, array['operator', 'admin']);
  v_job    milepost.jobs;
begin
  perform milepost_private.check_name('kind', kind);
  if rule is not null then
    perform milepost_private.check_alert_rule(rule);
  end if;
  if job_id is not null then
    select * into v_job from milepost_private.job_by_ref(v_tenant, mute_alerts.job_id);
    if v_job.job_id is null then
      perform milepost_private.refuse(404, 'job_not_found',
        format('Expected the id or key of a job; %s is none that you can see.', mute_alerts.job_id),
        'Check the id, or list your jobs with GET /v1/jobs.');
    end if;
  end if;
  perform milepost_private.keep_mute(row(gen_random_uuid(), v_tenant, rule, kind, v_job.job_id, until, left(reason, 2000), milepost_private.actor()));
  return jsonb_build_object('tenant_id', v_tenant, 'rule', rule, 'kind', kind, 'job_id', v_job.job_id, 'job', v_job.key,
                            'until', case when until > now() then milepost_private.iso(until) end);
end;
$$;
comment on function milepost.mute_alerts(timestamptz, text, text, text, text, uuid) is
'Nobody is told of such alerts until then: of a rule, a kind, a job, or all; a time that is past ends the mute. For operators.';

revoke execute on function milepost.list_alerts(text, uuid, int, text), milepost.list_alert_rules(uuid),
  milepost.set_alert_rule(text, boolean, double precision, int, int, uuid),
  milepost.add_alert_channel(text, text, text, time, time, text, uuid), milepost.list_alert_channels(uuid),
  milepost.remove_alert_channel(uuid), milepost.mute_alerts(timestamptz, text, text, text, text, uuid) from public, anon, authenticated;
grant execute on function milepost.list_alerts(text, uuid, int, text), milepost.list_alert_rules(uuid),
  milepost.set_alert_rule(text, boolean, double precision, int, int, uuid),
  milepost.add_alert_channel(text, text, text, time, time, text, uuid), milepost.list_alert_channels(uuid),
  milepost.remove_alert_channel(uuid), milepost.mute_alerts(timestamptz, text, text, text, text, uuid) to authenticated, service_role;

-- ==== sql/schema/79_job_counts.sql

-- job_counts: what runs, waits, is stuck and failed, in figures: the top of a dashboard, by one look at the active jobs.
create or replace function milepost.job_counts(tenant uuid default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_tenants uuid[] := array(select t from milepost_private.my_tenants() t where job_counts.tenant is null or t = job_counts.tenant);
begin
  return (
    with counted as (
      select j.kind, j.state as what, count(*) as jobs
      from milepost.jobs j
      where j.tenant_id = any (v_tenants) and j.finished_at is null
      group by j.kind, j.state
      union all
      select j.kind, 'stuck', count(*)
      from milepost_private.not_on_time(v_tenants, now()) n join milepost.jobs j on j.job_id = n.job_id
      where n.liveness in ('stalled', 'lost')
      group by j.kind
      union all
      select j.kind, 'failed', count(*)
      from milepost.jobs j
      where j.tenant_id = any (v_tenants) and j.state = 'failed' and j.finished_at > now() - interval '24 hours'
      group by j.kind
    ), by_kind as (
      select c.kind,
             coalesce(sum(c.jobs) filter (where c.what in ('running', 'completing', 'pausing', 'canceling')), 0) as running,
             coalesce(sum(c.jobs) filter (where c.what in ('pending', 'retrying')), 0) as waiting,
             coalesce(sum(c.jobs) filter (where c.what = 'paused'), 0) as paused,
             coalesce(sum(c.jobs) filter (where c.what = 'stuck'), 0) as stuck,
             coalesce(sum(c.jobs) filter (where c.what = 'failed'), 0) as failed_24h
      from counted c
      group by c.kind
    )
    select jsonb_build_object(
      'running', coalesce(sum(b.running), 0), 'waiting', coalesce(sum(b.waiting), 0), 'paused', coalesce(sum(b.paused), 0),
      'stuck', coalesce(sum(b.stuck), 0), 'failed_24h', coalesce(sum(b.failed_24h), 0), 'items_per_s', milepost_private.items_per_s(v_tenants, now()),
      'kinds', coalesce(jsonb_agg(jsonb_build_object(
        'kind', b.kind, 'running', b.running, 'waiting', b.waiting, 'paused', b.paused, 'stuck', b.stuck,
        'failed_24h', b.failed_24h) order by b.kind), '[]'))
    from by_kind b);
end;
$$;
comment on function milepost.job_counts(uuid) is
'Active jobs in figures, of one tenant or of all that the caller may read: {"running", "waiting", "paused", "stuck", "failed_24h", "items_per_s", "kinds": [...]}; failed_24h counts jobs that failed within the last 24 hours; items_per_s is null while nothing has a rate.';
revoke execute on function milepost.job_counts(uuid) from public, anon, authenticated;
grant execute on function milepost.job_counts(uuid) to authenticated, service_role;

-- ==== sql/schema/79_job_predictions.sql

-- job_predictions: what was predicted of a job at each tenth of its progress, and its course to draw beside it.
create or replace function milepost.job_predictions(job_id text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job   milepost.jobs := milepost_private.visible_job(job_id);
  v_began timestamptz := coalesce(v_job.started_at, v_job.created_at);
  v_first bigint;
  v_last  bigint;
  v_from  timestamptz;
  v_until timestamptz;
begin
  select min(c.checkpoint_id), max(c.checkpoint_id) into v_first, v_last
  from milepost.checkpoints c where c.job_id = v_job.job_id and c.job_done is not null;
  -- Only the days between these two are looked at. Who drew an id first may have been written down later, but not by a day.
  select min(c.received_at) - interval '1 day', max(c.received_at) + interval '1 day' into v_from, v_until
  from milepost.checkpoints c where c.job_id = v_job.job_id and c.checkpoint_id in (v_first, v_last);

  return jsonb_build_object(
    'job', v_job.key, 'job_id', v_job.job_id,
    'predictions', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'tenth', p.tenth, 't', extract(epoch from p.said_at - v_began)::double precision,
        'eta_ms', p.remaining_s * 1000, 'eta_low_ms', p.low_s * 1000, 'eta_high_ms', p.high_s * 1000,
        -- Both on the active clock: what was left then, as it turned out.
        'true_ms', case when v_job.state = 'completed' then (u.active_s - p.active_s) * 1000 end) order by p.tenth), '[]')
      from milepost_private.predictions p
      join milepost_private.pulses u on u.job_id = p.job_id
      where p.job_id = v_job.job_id),
    -- At most 200 of them, evenly by their numbers: each is one look into the index, so a long history costs no more.
    'checkpoints', (
      select coalesce(jsonb_agg(jsonb_build_object(
        't', extract(epoch from s.received_at - v_began)::double precision, 'done', s.job_done, 'total', s.job_total)
        order by s.checkpoint_id), '[]')
      from (
        select distinct on (c.checkpoint_id) c.*
        from generate_series(0, 199) as g (place)
        cross join lateral (
          select x.checkpoint_id, x.received_at, x.job_done, x.job_total
          from milepost.checkpoints x
          where x.job_id = v_job.job_id and x.job_done is not null and x.received_at between v_from and v_until
            and x.checkpoint_id >= v_first + ((v_last - v_first)::numeric * g.place / 199)::bigint
          order by x.checkpoint_id limit 1
        ) c
        order by c.checkpoint_id
      ) s));
end;
$$;
comment on function milepost.job_predictions(text) is
'What was predicted of a job when it first reached each tenth, and its checkpoints thinned to at most 200: {"job", "job_id", "predictions": [{"tenth", "t", "eta_ms", "eta_low_ms", "eta_high_ms", "true_ms"}], "checkpoints": [{"t", "done", "total"}]}; t in seconds since it started. Refuses with job_not_found.';
revoke execute on function milepost.job_predictions(text) from public, anon, authenticated;
grant execute on function milepost.job_predictions(text) to authenticated, service_role;

-- ==== sql/schema/79_shares.sql

-- share_json: a share link as those see it who manage it: without its token, which was shown once.
create or replace function milepost_private.share_json(share milepost_private.shares)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object('share_id', share.share_id, 'job_id', share.job_id, 'created_by', share.created_by,
    'created_at', milepost_private.iso(share.created_at), 'expires_at', milepost_private.iso(share.expires_at));
end;
$$;
comment on function milepost_private.share_json(milepost_private.shares) is 'A share link as the API shows it, without its token.';
revoke execute on function milepost_private.share_json(milepost_private.shares) from public, anon, authenticated;
grant execute on function milepost_private.share_json(milepost_private.shares) to authenticated, service_role;

-- require_control: the gate to a job's share links: who may control the job may show it to others.
create or replace function milepost_private.require_control(job_id uuid)
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job milepost.jobs;
begin
  select * into v_job from milepost.jobs j where j.job_id = require_control.job_id;
  -- GUARD: a viewer, a worker key
  if not coalesce(milepost_private.may_control(v_job.tenant_id, v_job.owner_id, v_job.kind), false) then
    perform milepost_private.refuse(403, 'not_allowed', 'Expected an operator, an admin, an operator key or the owner of the job.',
      'Ask an admin of the tenant for the role operator, or use an operator key.');
  end if;
end;
$$;
comment on function milepost_private.require_control(uuid) is 'Refuses with 403 unless the caller may control the job.';
revoke execute on function milepost_private.require_control(uuid) from public, anon, authenticated;
grant execute on function milepost_private.require_control(uuid) to authenticated, service_role;

create or replace function milepost_private.add_share(job_id uuid, expires_in_s int)
returns jsonb
language plpgsql
volatile
security definer                -- callers may not write share links; require_control decides
set search_path = ''
as $$
declare
  -- Two random uuids: 244 bits, in the letters that an address takes. Shown once; only the hash is kept.
  v_token text := 'sh_' || rtrim(translate(encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), '+/' || E'\n', '-_'), '=');
  v_share milepost_private.shares;
  v_job   milepost.jobs;
begin
  perform milepost_private.require_control(add_share.job_id);
  select * into v_job from milepost.jobs j where j.job_id = add_share.job_id;
  -- What no longer opens anything is of no use; so a job's links stay few.
  delete from milepost_private.shares s
  where s.job_id = add_share.job_id and s.expires_at <= now();
  -- GUARD: more links than anybody can keep in mind
  if (select count(*) from milepost_private.shares s where s.job_id = add_share.job_id) >= 100 then
    perform milepost_private.refuse(409, 'too_many_shares', 'Expected at most 100 share links of a job; there are as many already.',
      'Revoke one that is no longer needed.');
  end if;
  insert into milepost_private.shares (job_id, token_hash, created_by, expires_at)
  values (add_share.job_id, encode(sha256(convert_to(v_token, 'utf8')), 'hex'), milepost_private.actor(),
          now() + make_interval(secs => expires_in_s))
  returning * into v_share;
  perform milepost_private.write_audit(v_job.tenant_id, milepost_private.actor(), 'share_job', v_job.key,
    jsonb_build_object('share_id', v_share.share_id, 'expires_at', milepost_private.iso(v_share.expires_at)), job_id => v_job.job_id);
  return milepost_private.share_json(v_share) || jsonb_build_object('token', v_token);
end;
$$;
comment on function milepost_private.add_share(uuid, int) is 'Makes a share link for the caller and returns it with its token, once. Refuses with 403 and 409.';
revoke execute on function milepost_private.add_share(uuid, int) from public, anon, authenticated;
grant execute on function milepost_private.add_share(uuid, int) to authenticated, service_role;

create or replace function milepost_private.shares_of(job_id uuid)
returns jsonb
language plpgsql
stable
security definer                -- callers may not read share links; require_control decides
set search_path = ''
as $$
begin
  perform milepost_private.require_control(shares_of.job_id);
  return jsonb_build_object('shares', (
    select coalesce(jsonb_agg(milepost_private.share_json(s) order by s.created_at desc, s.share_id), '[]')
    from milepost_private.shares s
    where s.job_id = shares_of.job_id and s.expires_at > now()));
end;
$$;
comment on function milepost_private.shares_of(uuid) is 'A job''s share links that hold, newest first. Refuses with 403.';
revoke execute on function milepost_private.shares_of(uuid) from public, anon, authenticated;
grant execute on function milepost_private.shares_of(uuid) to authenticated, service_role;

create or replace function milepost_private.end_share(share_id uuid)
returns jsonb
language plpgsql
volatile
security definer                -- callers may not write share links; require_control decides
set search_path = ''
as $$
declare
  -- Asked first: in the condition it would be asked only where there is such a link, which takes longer.
  v_tenants uuid[] := array(select milepost_private.my_tenants());
  v_job     milepost.jobs;
begin
  -- A job is looked for in any case, for the same reason.
  select j.* into v_job from milepost.jobs j
  where j.tenant_id = any (v_tenants)
    and j.job_id = coalesce((select s.job_id from milepost_private.shares s where s.share_id = end_share.share_id),
                            '00000000-0000-0000-0000-000000000000');
  -- GUARD: absent, or of a job that is not the caller's to see; not told apart
  if v_job.job_id is null then
    perform milepost_private.refuse(404, 'share_not_found', 'Expected the id of a share link that you can see; there is none.',
      'List them with GET /v1/jobs/{job}/shares.');
  end if;
  perform milepost_private.require_control(v_job.job_id);
  delete from milepost_private.shares s where s.share_id = end_share.share_id;
  perform milepost_private.write_audit(v_job.tenant_id, milepost_private.actor(), 'revoke_share', v_job.key,
    jsonb_build_object('share_id', share_id), job_id => v_job.job_id);
  return jsonb_build_object('share_id', end_share.share_id, 'revoked', true);
end;
$$;
comment on function milepost_private.end_share(uuid) is 'Revokes a share link for the caller. Refuses with 403 and 404.';
revoke execute on function milepost_private.end_share(uuid) from public, anon, authenticated;
grant execute on function milepost_private.end_share(uuid) to authenticated, service_role;

-- share_job, list_shares, revoke_share: links by which somebody without an account may follow one job.
create or replace function milepost.share_job(job_id text, expires_in_s int default 604800)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job milepost.jobs := milepost_private.visible_job(job_id);
begin
  -- GUARD: a minute to a year
  if expires_in_s is null or expires_in_s not between 60 and 31622400 then
    perform milepost_private.refuse(422, 'out_of_range',
      format('expires_in_s: expected 60 to 31622400 (366 days), found %s.', coalesce(expires_in_s::text, 'null')), 'Send a value within the limit.');
  end if;
  return milepost_private.add_share(v_job.job_id, expires_in_s) || jsonb_build_object('job', v_job.key);
end;
$$;
comment on function milepost.share_job(text, int) is
'Makes a link by which anybody may read this one job for so many seconds (a week): {"share_id", "token", "expires_at", ...}; the token is shown this once. For operators, admins, operator keys and the owner. Refuses with 403, 404, 409 and 422.';
revoke execute on function milepost.share_job(text, int) from public, anon, authenticated;
grant execute on function milepost.share_job(text, int) to authenticated, service_role;

create or replace function milepost.list_shares(job_id text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return milepost_private.shares_of((milepost_private.visible_job(job_id)).job_id);
end;
$$;
comment on function milepost.list_shares(text) is
'The job''s share links that hold, newest first: {"shares": [{"share_id", "created_by", "created_at", "expires_at", ...}]}, without their tokens. Refuses with 403 and 404.';
revoke execute on function milepost.list_shares(text) from public, anon, authenticated;
grant execute on function milepost.list_shares(text) to authenticated, service_role;

create or replace function milepost.revoke_share(share_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
begin
  return milepost_private.end_share(share_id);
end;
$$;
comment on function milepost.revoke_share(uuid) is
'Revokes a share link, with effect on the next request: {"share_id", "revoked": true}. Refuses with 403 and 404.';
revoke execute on function milepost.revoke_share(uuid) from public, anon, authenticated;
grant execute on function milepost.revoke_share(uuid) to authenticated, service_role;

-- ==== sql/schema/80_realtime.sql

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

do $guard$
declare
  v_wanted constant text := $wanted$for select to authenticated
  using (extension = 'broadcast' and topic = (select realtime.topic())
         and (select milepost_private.may_listen((select realtime.topic()))))$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = 'realtime.messages'::regclass and polname = 'members hear their milepost topics') then
    create temporary table messages (like realtime.messages);
    execute 'create policy "members hear their milepost topics" on pg_temp.messages ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('realtime.messages'::regclass, 'pg_temp.messages'::regclass)
          and polname = 'members hear their milepost topics') then
      drop table pg_temp.messages;
      return;
    end if;
    drop table pg_temp.messages;
    drop policy "members hear their milepost topics" on realtime.messages;
  end if;
  execute 'create policy "members hear their milepost topics" on realtime.messages ' || v_wanted;
end $guard$;

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

-- ==== sql/schema/82_cron.sql

-- Scheduled work, where pg_cron exists: the sweep, retention, and what pg_cron writes down of both. Safe to repeat, and
-- beside another scheduler of /cron/sweep. Without pg_cron that one is needed; after `create extension pg_cron` run this
-- file again. sql/uninstall.sql takes the schedule away.
do $$
begin
  -- GUARD: no pg_cron, or one from before schedules in seconds
  if not exists (select from pg_catalog.pg_extension e
                 where e.extname = 'pg_cron' and string_to_array(substring(e.extversion from '^\d+\.\d+'), '.')::int[] >= array[1, 5]) then
    return;
  end if;
  perform cron.schedule('milepost-sweep', '30 seconds', 'select milepost.sweep()');
  -- Opens and resolves alerts; sending them takes a request to /cron/alerts: docs/operations.md.
  perform cron.schedule('milepost-alerts', '* * * * *', 'select milepost_private.evaluate_alerts(now())');
  perform cron.schedule('milepost-purge', '*/5 * * * *', 'select milepost.purge_history()');
  perform cron.schedule('milepost-prune', '45 3 * * *',
    'delete from cron.job_run_details d using cron.job j '
    'where j.jobid = d.jobid and j.jobname like ''milepost-%'' and d.end_time < now() - interval ''1 day''');
end;
$$;

-- ==== sql/schema/83_installation.sql

-- installation: what `milepost doctor` asks of the database: facts only, judged by who asks.
-- Security definer, since pg_cron's tables and the publication's are nobody else's to read.
create or replace function milepost_private.installation()
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_cron jsonb;
begin
  if to_regclass('cron.job') is not null and to_regclass('cron.job_run_details') is not null then
    begin
      execute $sql$
        select coalesce(jsonb_agg(jsonb_build_object('job', j.jobname, 'schedule', j.schedule, 'active', j.active,
                 'last_status', d.status, 'last_message', d.return_message, 'last_run_at', d.start_time) order by j.jobname), '[]')
        from cron.job j
        left join lateral (
          select r.status, r.return_message, r.start_time from cron.job_run_details r
          where r.jobid = j.jobid order by r.runid desc limit 1) d on true
        where j.jobname like 'milepost-%'
      $sql$ into v_cron;
    exception when insufficient_privilege then
      v_cron := null;
    end;
  end if;

  return jsonb_build_object(
    'now', clock_timestamp(),
    'postgres', current_setting('server_version_num')::int / 10000,
    'schema_version', milepost.schema_version(),
    'extensions', (select coalesce(jsonb_object_agg(e.extname, e.extversion), '{}') from pg_catalog.pg_extension e
                   where e.extname in ('pg_trgm', 'pg_cron')),
    'cron', v_cron,
    'days_ahead', (select count(*) from pg_catalog.pg_inherits i
                   join pg_catalog.pg_class c on c.oid = i.inhrelid
                   where i.inhparent = 'milepost.events'::regclass
                     and c.relname > 'events_' || to_char(now() at time zone 'utc', 'YYYYMMDD') and c.relname ~ '\d{8}$'),
    'without_rls', (select coalesce(jsonb_agg(c.oid::regclass::text order by 1), '[]') from pg_catalog.pg_class c
                    where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace)
                      and c.relkind in ('r', 'p') and not c.relrowsecurity),
    'open_to_anon', (
      select coalesce(jsonb_agg(o.what order by o.what), '[]') from (
        select p.oid::regprocedure::text as what from pg_catalog.pg_proc p
        where p.pronamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace)
          and has_function_privilege('anon', p.oid, 'execute')
          and has_schema_privilege('anon', p.pronamespace, 'usage')
        union all
        select c.oid::regclass::text from pg_catalog.pg_class c
        where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace)
          and c.relkind in ('r', 'p', 'v') and has_table_privilege('anon', c.oid, 'select, insert, update, delete')
          and has_schema_privilege('anon', c.relnamespace, 'usage')) o),
    'closed_to_service', (select coalesce(jsonb_agg(p.oid::regprocedure::text order by 1), '[]') from pg_catalog.pg_proc p
                          where p.pronamespace = 'milepost'::regnamespace and p.prorettype <> 'trigger'::regtype
                            and not has_function_privilege('service_role', p.oid, 'execute')),
    'closed_to_users', (select coalesce(jsonb_agg(c.oid::regclass::text order by 1), '[]') from pg_catalog.pg_class c
                        where c.oid in ('milepost.jobs'::regclass, 'milepost.job_progress'::regclass)
                          and not has_table_privilege('authenticated', c.oid, 'select')),
    'realtime_policy', exists (select from pg_catalog.pg_policy p where p.polrelid = to_regclass('realtime.messages')
                                 and p.polname = 'members hear their milepost topics'),
    'realtime_rls', (select c.relrowsecurity from pg_catalog.pg_class c where c.oid = to_regclass('realtime.messages')),
    'browsers_may_send', exists (select from pg_catalog.pg_policy p where p.polrelid = to_regclass('realtime.messages')
                                   and p.polcmd in ('a', '*')),
    'published', (select coalesce(jsonb_agg(c.relname order by c.relname), '[]') from pg_catalog.pg_publication_rel r
                  join pg_catalog.pg_publication p on p.oid = r.prpubid
                  join pg_catalog.pg_class c on c.oid = r.prrelid
                  where p.pubname = 'supabase_realtime' and c.relnamespace = 'milepost'::regnamespace));
end;
$$;
comment on function milepost_private.installation() is
'Facts about this installation: extensions, schedule and its last runs, partitions ahead, privileges, Realtime. Nothing of any tenant.';
revoke execute on function milepost_private.installation() from public, anon, authenticated;
grant execute on function milepost_private.installation() to service_role;

create or replace function milepost.installation()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return milepost_private.installation();
end;
$$;
comment on function milepost.installation() is 'Facts about this installation, for `milepost doctor`; for the service only.';
revoke execute on function milepost.installation() from public, anon, authenticated;
grant execute on function milepost.installation() to service_role;

reset lock_timeout;
