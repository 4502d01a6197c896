-- How many Realtime messages does each tenant cost, and how far is it from its budget and from Supabase's plans?
select t.name as tenant, b.jobs_at_work, round(b.interval_ms) as progress_every_ms, b.sent_last_hour, b.sent_last_day, b.coalesced as held_back,
       round((100 * b.share_of_free_plan)::numeric, 2) as percent_of_free_plan, b.projected_per_month, round(b.pro_plan_usd_per_month::numeric, 2) as usd_per_month
from milepost.message_budget b join milepost.tenants t on t.tenant_id = b.tenant_id
order by b.sent_last_day desc;
