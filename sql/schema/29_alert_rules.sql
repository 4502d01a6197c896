-- alert_defaults: what is watched in every tenant, with no configuration at all.
create or replace function milepost_private.alert_defaults()
returns table (rule text, severity text, threshold double precision, unit text, window_s int, for_s int, meaning text)
language plpgsql
immutable
set search_path = ''
as $$
begin
  return query values
    ('job_failed',    'critical', null::double precision, null::text, 86400, 0, 'A job failed, and has not been retried since.'),
    ('job_stuck',     'critical', null, null, null::int, 0, 'A job is stalled or lost, or was reset and has made no progress since.'),
    ('job_late',      'warning',  null, null, null, 120, 'A job is late: silent for longer than is usual for it, but not stalled yet.'),
    ('failure_rate',  'warning',  10, 'percent', 3600, 0, 'More of a kind''s runs that ended within the window failed; of five or more.'),
    ('update_delay',  'warning',  500, 'ms', 300, 60, 'One of twenty checkpoints within the window took longer to be recorded and sent on; of twenty or more.'),
    ('queue_depth',   'warning',  50, 'jobs', null, 60, 'More jobs wait for a worker.'),
    ('past_deadline', 'warning',  null, null, null, 0, 'A job is expected to end after its processing_deadline_ms, or has passed it.'),
    ('missed_run',    'warning',  20, 'percent', null, 0, 'A kind that runs regularly did not: it is late by more of its usual interval.');
end;
$$;
comment on function milepost_private.alert_defaults() is
'The alert rules and their defaults. for_s: how long it has to be so before it is told. window_s: how far back is looked.';
revoke execute on function milepost_private.alert_defaults() from public, anon, authenticated;
grant execute on function milepost_private.alert_defaults() to authenticated, service_role;

-- alert_rules: where a tenant wants it otherwise. Null is the default.
create table if not exists milepost_private.alert_rules (
  tenant_id uuid not null,
  rule      text not null,
  is_on     boolean not null default true,
  threshold double precision,
  window_s  int,
  for_s     int,
  constraint alert_rules_pkey primary key (tenant_id, rule),
  constraint alert_rules_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade,
  constraint alert_threshold_is_not_negative check (threshold >= 0),
  constraint alert_window_is_sensible check (window_s between 60 and 2592000),
  constraint alert_patience_is_sensible check (for_s between 0 and 86400)
);
comment on table milepost_private.alert_rules is 'What a tenant changed of alert_defaults.';
alter table milepost_private.alert_rules enable row level security;
drop policy if exists "members read their tenant's alert rules" on milepost_private.alert_rules;
create policy "members read their tenant's alert rules" on milepost_private.alert_rules for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost_private.alert_rules from public, anon, authenticated;
grant select on milepost_private.alert_rules to authenticated;
grant select, insert, update, delete on milepost_private.alert_rules to service_role;

-- alert_rules_in_force: each tenant's rules with what it changed of them.
create or replace view milepost_private.alert_rules_in_force with (security_invoker = true) as
select t.tenant_id, d.rule, coalesce(r.is_on, true) as is_on, d.severity, coalesce(r.threshold, d.threshold) as threshold, d.unit,
       coalesce(r.window_s, d.window_s) as window_s, coalesce(r.for_s, d.for_s) as for_s, r.rule is null as is_default, d.meaning
from milepost.tenants t
cross join milepost_private.alert_defaults() d
left join milepost_private.alert_rules r on r.tenant_id = t.tenant_id and r.rule = d.rule;
comment on view milepost_private.alert_rules_in_force is 'Every tenant''s alert rules: the defaults, and what the tenant changed of them.';
revoke all on milepost_private.alert_rules_in_force from public, anon, authenticated;
grant select on milepost_private.alert_rules_in_force to authenticated, service_role;

-- alert_mutes: what a tenant does not want to hear of for a while. Null is any.
create table if not exists milepost_private.alert_mutes (
  mute_id   uuid not null default gen_random_uuid(),
  tenant_id uuid not null,
  rule      text,
  kind      text,
  job_id    uuid,
  until     timestamptz not null,
  reason    text,
  actor     text not null,
  constraint alert_mutes_pkey primary key (mute_id),
  constraint alert_mutes_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade,
  constraint one_mute_for_each_scope unique nulls not distinct (tenant_id, rule, kind, job_id)
);
comment on table milepost_private.alert_mutes is 'Alerts that nobody is told of until then: of a rule, a kind, a job, or all of a tenant''s.';
alter table milepost_private.alert_mutes enable row level security;
drop policy if exists "members read their tenant's mutes" on milepost_private.alert_mutes;
create policy "members read their tenant's mutes" on milepost_private.alert_mutes for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost_private.alert_mutes from public, anon, authenticated;
grant select on milepost_private.alert_mutes to authenticated;
grant select, insert, update, delete on milepost_private.alert_mutes to service_role;
