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
create unique index if not exists one_live_alert_for_each_subject on milepost_private.alerts (tenant_id, rule, subject)
  where resolved_at is null;
create index if not exists alerts_newest_first on milepost_private.alerts (tenant_id, opened_at desc, alert_id desc)
  where opened_at is not null;
create index if not exists alerts_announced on milepost_private.alerts (tenant_id, announcement) where announcement is not null;
create index if not exists alerts_over on milepost_private.alerts (resolved_at) where resolved_at is not null;
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
alter table milepost_private.alerts enable row level security;
drop policy if exists "members read their tenant's alerts" on milepost_private.alerts;
create policy "members read their tenant's alerts" on milepost_private.alerts for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
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
create index if not exists alert_channels_by_tenant on milepost_private.alert_channels (tenant_id);
comment on table milepost_private.alert_channels is 'Where a tenant''s alerts go: a webhook, Slack, or e-mail.';
comment on column milepost_private.alert_channels.address is 'A URL, or e-mail addresses with commas between them. A URL may be a secret, so nobody but the service reads it.';
comment on column milepost_private.alert_channels.secret is 'What a webhook''s requests are signed with.';
comment on column milepost_private.alert_channels.shown is 'What people see of the address: a URL''s host, or the e-mail addresses.';
comment on column milepost_private.alert_channels.quiet_from is 'From then until quiet_until, on its time zone''s clock, nothing is sent.';
comment on column milepost_private.alert_channels.told is 'The last announcement that it was told of, or that lies in its outbox.';
alter table milepost_private.alert_channels enable row level security;
drop policy if exists "admins see channels" on milepost_private.alert_channels;
create policy "admins see channels" on milepost_private.alert_channels for select to authenticated
  using (tenant_id = any (array(select milepost_private.managed_tenants(array['admin']))));
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
create unique index if not exists one_delivery_at_a_time on milepost_private.alert_deliveries (channel_id)
  where delivered_at is null and gave_up_at is null;
create index if not exists alert_deliveries_by_channel on milepost_private.alert_deliveries (channel_id, created_at desc);
comment on table milepost_private.alert_deliveries is 'Messages to channels: what they say, how often it was tried, and how it ended. Kept for a week.';
comment on column milepost_private.alert_deliveries.due_at is 'When it is tried next. While somebody tries: when that counts as given up, and another may.';
comment on column milepost_private.alert_deliveries.lease_id is 'Who tries: only a result under this id counts.';
comment on column milepost_private.alert_deliveries.gave_up_at is 'When the last attempt had failed.';
alter table milepost_private.alert_deliveries enable row level security;
drop policy if exists "admins see how deliveries go" on milepost_private.alert_deliveries;
create policy "admins see how deliveries go" on milepost_private.alert_deliveries for select to authenticated
  using (tenant_id = any (array(select milepost_private.managed_tenants(array['admin']))));
revoke all on milepost_private.alert_deliveries from public, anon, authenticated;
grant select on milepost_private.alert_deliveries to authenticated;
grant select, insert, update, delete on milepost_private.alert_deliveries to service_role;
