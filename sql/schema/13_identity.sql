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

drop policy if exists "members see their tenants" on milepost.tenants;
create policy "members see their tenants" on milepost.tenants for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
drop policy if exists "members see who else is a member" on milepost.members;
create policy "members see who else is a member" on milepost.members for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
