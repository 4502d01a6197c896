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
