-- message_budget: what Realtime messages a tenant's jobs cost.
create or replace view milepost.message_budget with (security_invoker = true) as
select t.tenant_id, t.messages_per_s, coalesce(o.jobs_at_work, 0) as jobs_at_work,
       greatest(t.progress_interval_ms, milepost_private.progress_interval_ms(t.messages_per_s, o.jobs_at_work, 2)) as interval_ms,
       coalesce(e.last_minute, 0) as sent_last_minute, coalesce(e.last_hour, 0) as sent_last_hour, coalesce(e.last_day, 0) as sent_last_day,
       coalesce(p.coalesced, 0) as coalesced,
       coalesce(e.last_minute, 0) / 60.0 / 100 as share_of_free_plan,
       coalesce(e.last_minute, 0) / 60.0 / 500 as share_of_pro_plan,
       coalesce(e.last_day, 0) * 30 as projected_per_month,
       greatest(coalesce(e.last_day, 0) * 30 - 5000000, 0) * 2.5 / 1000000 as pro_plan_usd_per_month
from milepost.tenants t
left join milepost_private.tenant_loads o on o.tenant_id = t.tenant_id
left join lateral (
  -- One message on job:, one on tenant:, and one on user: where the job has an owner.
  select sum(2 + (j.owner_id is not null)::int) filter (where x.ts > now() - interval '1 minute') as last_minute,
         sum(2 + (j.owner_id is not null)::int) filter (where x.ts > now() - interval '1 hour') as last_hour,
         sum(2 + (j.owner_id is not null)::int) as last_day
  from milepost.events x join milepost.jobs j on j.job_id = x.job_id
  where x.tenant_id = t.tenant_id and x.ts > now() - interval '1 day'
) e on true
left join lateral (
  select sum(u.coalesced) as coalesced from milepost_private.pulses u
  join milepost.jobs j on j.job_id = u.job_id
  where j.tenant_id = t.tenant_id and (j.finished_at is null or j.finished_at > now() - interval '1 day')
) p on true;
comment on view milepost.message_budget is
'Realtime messages sent and coalesced per tenant, beside Supabase''s plans. Each receiving client counts once more.';
comment on column milepost.message_budget.messages_per_s is 'The tenant''s budget for progress.';
comment on column milepost.message_budget.jobs_at_work is 'Jobs that share it now.';
comment on column milepost.message_budget.interval_ms is 'How far apart a job''s progress events are now.';
comment on column milepost.message_budget.sent_last_minute is 'Messages sent within the last minute.';
comment on column milepost.message_budget.sent_last_hour is 'Messages sent within the last hour.';
comment on column milepost.message_budget.sent_last_day is 'Messages sent within the last day.';
comment on column milepost.message_budget.coalesced is 'Progress events held back, of jobs that are active or ended within a day.';
comment on column milepost.message_budget.share_of_free_plan is 'Messages a second over the last minute, as a share of the free plan''s 100.';
comment on column milepost.message_budget.share_of_pro_plan is 'The same of the Pro plan''s 500.';
comment on column milepost.message_budget.projected_per_month is 'Thirty days like the last one.';
comment on column milepost.message_budget.pro_plan_usd_per_month is 'What that costs over the Pro plan''s 5 million, at 2.50 USD a million, before receivers.';
revoke all on milepost.message_budget from public, anon, authenticated;
grant select on milepost.message_budget to authenticated, service_role;
