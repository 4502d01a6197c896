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
