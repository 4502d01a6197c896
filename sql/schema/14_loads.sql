-- tenant_loads: how many of a tenant's jobs are at work; what stretches the interval of progress events.
create table if not exists milepost_private.tenant_loads (
  tenant_id    uuid not null,
  jobs_at_work int not null default 0,
  constraint tenant_loads_pkey primary key (tenant_id),
  constraint tenant_loads_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade
);
comment on table milepost_private.tenant_loads is 'Jobs at work per tenant, kept by transition.';
alter table milepost_private.tenant_loads enable row level security;
drop policy if exists "members read their tenant's load" on milepost_private.tenant_loads;
create policy "members read their tenant's load" on milepost_private.tenant_loads for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost_private.tenant_loads from public, anon, authenticated;
grant select on milepost_private.tenant_loads to authenticated;
grant select, insert, update, delete on milepost_private.tenant_loads to service_role;
