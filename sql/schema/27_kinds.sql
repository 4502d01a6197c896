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
alter table milepost_private.kinds enable row level security;
drop policy if exists "members read what their kinds taught" on milepost_private.kinds;
create policy "members read what their kinds taught" on milepost_private.kinds for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost_private.kinds from public, anon, authenticated;
grant select on milepost_private.kinds to authenticated;
grant select, insert, update, delete on milepost_private.kinds to service_role;
