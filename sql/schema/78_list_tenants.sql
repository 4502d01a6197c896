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
