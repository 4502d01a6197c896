-- add_job: a new row for a key that has none. Returns nothing where another request was first.
create or replace function milepost_private.add_job(tenant_id uuid, job jsonb, at timestamptz)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job_id uuid;
begin
  with added as (
    insert into milepost.jobs as n (tenant_id, key, kind, name, unit, owner_id, priority, max_attempts, items_total,
      items_total_given, workers_expected, stall_after_ms, processing_deadline_ms, retry_backoff_ms, metadata,
      created_at, run_after, state_changed_at)
    select add_job.tenant_id, r.job, coalesce(r.kind, 'default'), coalesce(r.name, r.job), coalesce(r.unit, 'items'), r.owner_id,
           coalesce(r.priority, 0), coalesce(r.max_attempts, 3), r.items_total, r.items_total, r.workers_expected,
           r.stall_after_ms, r.processing_deadline_ms, coalesce(r.retry_backoff_ms, 10000),
           -- To the millisecond, which is what clients see: they sort a list as the database does.
           coalesce(nullif(r.metadata, 'null'), '{}'), date_trunc('milliseconds', add_job.at), r.run_after, add_job.at
    from jsonb_to_record(add_job.job) as r (job text, kind text, name text, unit text, owner_id uuid, priority int,
      max_attempts int, items_total bigint, workers_expected int, stall_after_ms bigint, processing_deadline_ms bigint,
      retry_backoff_ms bigint, metadata jsonb, run_after timestamptz)
    on conflict on constraint job_key_is_unique_in_its_tenant do nothing
    returning n.job_id, n.tenant_id
  ), pulse as (
    insert into milepost_private.pulses (job_id, tenant_id, active_at)
    select a.job_id, a.tenant_id, add_job.at from added a
  ), stages as (
    insert into milepost.stages (tenant_id, job_id, name, position, weight, items_total, items_total_given)
    select a.tenant_id, a.job_id, s.value ->> 'name', row_number() over (order by s.n),
           coalesce((s.value ->> 'weight')::double precision, 1), (s.value ->> 'items_total')::bigint,
           (s.value ->> 'items_total')::bigint
    from added a, jsonb_array_elements(nullif(add_job.job -> 'stages', 'null')) with ordinality as s (value, n)
    on conflict do nothing
  )
  select a.job_id into v_job_id from added a;
  return v_job_id;
end;
$$;
comment on function milepost_private.add_job(uuid, jsonb, timestamptz) is
'Inserts a job with its pulse and stages from a body of POST /v1/jobs; null if the key exists.';
revoke execute on function milepost_private.add_job(uuid, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.add_job(uuid, jsonb, timestamptz) to service_role;
