-- Tenants, keys and members: made by the service role (the command line), until a tenant's admins do it themselves.
create or replace function milepost.create_tenant(name text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_tenant uuid;
begin
  insert into milepost.tenants as t (name) values (create_tenant.name) returning t.tenant_id into v_tenant;
  perform milepost_private.write_audit(v_tenant, milepost_private.actor(), 'create_tenant', create_tenant.name);
  return jsonb_build_object('tenant_id', v_tenant, 'name', create_tenant.name);
end;
$$;
comment on function milepost.create_tenant(text) is 'Creates a tenant: {"tenant_id", "name"}.';
revoke execute on function milepost.create_tenant(text) from public, anon, authenticated;
grant execute on function milepost.create_tenant(text) to service_role;

create or replace function milepost.create_key(tenant_id uuid, scope text, name text default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  -- Two random uuids: 244 bits. Shown once; only the hash is kept.
  v_key    text := 'mp_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
  v_key_id uuid;
begin
  -- GUARD: values that a constraint would refuse less clearly
  if scope not in ('worker', 'operator', 'ping') then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected scope worker, operator or ping; found %s.', scope));
  end if;
  if not exists (select from milepost.tenants t where t.tenant_id = create_key.tenant_id) then
    perform milepost_private.refuse(404, 'tenant_not_found', format('Expected the id of a tenant; %s is none.', create_key.tenant_id),
      'Create one with: milepost tenants create NAME');
  end if;
  insert into milepost_private.keys (tenant_id, scope, name, prefix, key_hash)
  values (create_key.tenant_id, create_key.scope, create_key.name, left(v_key, 11),
          encode(sha256(convert_to(v_key, 'utf8')), 'hex'))
  returning key_id into v_key_id;
  perform milepost_private.write_audit(create_key.tenant_id, milepost_private.actor(), 'create_key', v_key_id::text,
    jsonb_build_object('scope', scope, 'name', name, 'prefix', left(v_key, 11)));
  return jsonb_build_object('key', v_key, 'key_id', v_key_id, 'tenant_id', tenant_id, 'scope', scope, 'name', name, 'prefix', left(v_key, 11));
end;
$$;
comment on function milepost.create_key(uuid, text, text) is 'Creates a Milepost key and returns it, once: {"key", "key_id", ...}.';
revoke execute on function milepost.create_key(uuid, text, text) from public, anon, authenticated;
grant execute on function milepost.create_key(uuid, text, text) to service_role;

create or replace function milepost.list_keys(tenant_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object('key_id', k.key_id, 'scope', k.scope, 'name', k.name, 'prefix', k.prefix,
    'created_at', milepost_private.iso(k.created_at), 'expires_at', milepost_private.iso(k.expires_at),
    'revoked_at', milepost_private.iso(k.revoked_at), 'last_used_at', milepost_private.iso(k.last_used_at)) order by k.created_at), '[]')
  from milepost_private.keys k where k.tenant_id = list_keys.tenant_id;
$$;
comment on function milepost.list_keys(uuid) is 'A tenant''s keys, without the keys themselves.';
revoke execute on function milepost.list_keys(uuid) from public, anon, authenticated;
grant execute on function milepost.list_keys(uuid) to service_role;

create or replace function milepost.revoke_key(key_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_key milepost_private.keys;
begin
  select * into v_key from milepost_private.keys k where k.key_id = revoke_key.key_id for update;
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
comment on function milepost.revoke_key(uuid) is 'Revokes a key, with effect on the next request.';
revoke execute on function milepost.revoke_key(uuid) from public, anon, authenticated;
grant execute on function milepost.revoke_key(uuid) to service_role;

create or replace function milepost.add_member(tenant_id uuid, user_id uuid, role text default 'viewer')
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
begin
  if role not in ('viewer', 'operator', 'admin') then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected role viewer, operator or admin; found %s.', role));
  end if;
  if not exists (select from milepost.tenants t where t.tenant_id = add_member.tenant_id) then
    perform milepost_private.refuse(404, 'tenant_not_found', format('Expected the id of a tenant; %s is none.', add_member.tenant_id),
      'Create one with: milepost tenants create NAME');
  end if;
  insert into milepost.members as m (tenant_id, user_id, role) values (add_member.tenant_id, add_member.user_id, add_member.role)
  on conflict on constraint members_pkey do update set role = excluded.role;
  perform milepost_private.write_audit(add_member.tenant_id, milepost_private.actor(), 'add_member', user_id::text,
    jsonb_build_object('role', role));
  return jsonb_build_object('tenant_id', tenant_id, 'user_id', user_id, 'role', role);
end;
$$;
comment on function milepost.add_member(uuid, uuid, text) is 'Makes a user a member of a tenant, or changes the role.';
revoke execute on function milepost.add_member(uuid, uuid, text) from public, anon, authenticated;
grant execute on function milepost.add_member(uuid, uuid, text) to service_role;
