-- audit: who did what beside the workers. Append-only: nobody is granted to change it, and only write_audit adds to it.
create table if not exists milepost.audit (
  audit_id       bigint generated always as identity,
  tenant_id      uuid not null,
  at             timestamptz not null default clock_timestamp(),
  actor          text not null,
  action         text not null,
  job_id         uuid,
  subject        text,
  reason         text,
  details        jsonb not null default '{}',
  constraint audit_pkey primary key (audit_id),
  constraint audit_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade
);
create index if not exists audit_by_tenant on milepost.audit (tenant_id, audit_id desc);
create index if not exists audit_by_job on milepost.audit (job_id, audit_id desc) where job_id is not null;
create index if not exists audit_by_time on milepost.audit (at);

comment on table milepost.audit is
'Who paused, resumed, canceled, reset, retried or moved jobs, made or revoked keys, added or removed members, shared jobs, changed retention. Kept for a year, or for as long as jobs if that is longer.';
comment on column milepost.audit.audit_id is 'Order of writing.';
comment on column milepost.audit.tenant_id is 'The tenant.';
comment on column milepost.audit.at is 'When it was done.';
comment on column milepost.audit.actor is 'Who did it: user:<id>, key:<id> or system (the sweep, or who holds the service key).';
comment on column milepost.audit.action is 'pause, resume, cancel, retry, reset, set_priority, create_tenant, create_key, revoke_key, add_member, remove_member, set_retention, share_job, revoke_share.';
comment on column milepost.audit.job_id is 'The job it was done to; it may be gone by now.';
comment on column milepost.audit.subject is 'What it was done to: the job''s key, the id of the key, the user.';
comment on column milepost.audit.reason is 'Why, as the actor said.';
comment on column milepost.audit.details is 'What changed: prior_state, new_state, attempt; scope; role; ...';

alter table milepost.audit enable row level security;
drop policy if exists "operators read their tenant's audit" on milepost.audit;
create policy "operators read their tenant's audit" on milepost.audit for select to authenticated
  using (tenant_id = any (array(select milepost_private.managed_tenants(array['operator', 'admin']))));
revoke all on milepost.audit from public, anon, authenticated, service_role;
grant select on milepost.audit to authenticated, service_role;

create or replace function milepost_private.write_audit(
  tenant_id uuid,
  actor     text,
  action    text,
  subject   text,
  details   jsonb default '{}',
  reason    text default null,
  job_id    uuid default null,
  at        timestamptz default null  -- now, unless said otherwise
)
returns void
language plpgsql
volatile
security definer                -- nobody else may write it, so that nobody can write it otherwise
set search_path = ''
as $$
begin
  insert into milepost.audit (tenant_id, at, actor, action, job_id, subject, reason, details)
  values (write_audit.tenant_id, coalesce(write_audit.at, clock_timestamp()), write_audit.actor, write_audit.action, write_audit.job_id, write_audit.subject,
          write_audit.reason, jsonb_strip_nulls(write_audit.details));
end;
$$;
comment on function milepost_private.write_audit(uuid, text, text, text, jsonb, text, uuid, timestamptz) is 'Adds an entry to the audit.';
revoke execute on function milepost_private.write_audit(uuid, text, text, text, jsonb, text, uuid, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.write_audit(uuid, text, text, text, jsonb, text, uuid, timestamptz) to service_role;

-- purge_audit: a bounded step of the purge. A definer, since the audit is nobody's to delete from.
create or replace function milepost_private.purge_audit(at timestamptz)
returns int
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_gone int;
begin
  delete from milepost.audit a
  where a.audit_id in (
    select o.audit_id from milepost.audit o join milepost.tenants t on t.tenant_id = o.tenant_id
    -- The first condition is the index's.
    where o.at < purge_audit.at - interval '365 days'
      and o.at < purge_audit.at - greatest(t.keep_days, 365) * interval '1 day'
    limit 1000);
  get diagnostics v_gone = row_count;
  return v_gone;
end;
$$;
comment on function milepost_private.purge_audit(timestamptz) is
'Deletes at most 1,000 entries that are older than a year and than the tenant keeps its jobs; returns how many.';
revoke execute on function milepost_private.purge_audit(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.purge_audit(timestamptz) to service_role;
