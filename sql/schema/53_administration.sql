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
