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
create index if not exists members_by_user on milepost.members (user_id, tenant_id);

comment on table milepost.members is 'Users of a tenant and their role.';
comment on column milepost.members.tenant_id is 'The tenant.';
comment on column milepost.members.user_id is 'The Supabase Auth user (the sub of the JWT). No foreign key: Milepost does not reach into the schema auth.';
comment on column milepost.members.role is 'viewer reads; operator also creates and controls jobs; admin also manages keys and members.';
comment on column milepost.members.created_at is 'Since when.';

alter table milepost.members enable row level security;
revoke all on milepost.members from public, anon, authenticated;
grant select on milepost.members to authenticated;
grant select, insert, update, delete on milepost.members to service_role;
