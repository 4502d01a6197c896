-- ingest_latency: how long the database has had the latest requests of a tenant.
create or replace function milepost_private.ingest_latency(tenant_id uuid, at timestamptz, window_s int)
returns table (requests bigint, p50_ms double precision, p95_ms double precision, p99_ms double precision)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select count(*), percentile_cont(0.5) within group (order by l.duration_ms),
         percentile_cont(0.95) within group (order by l.duration_ms), percentile_cont(0.99) within group (order by l.duration_ms)
  from (
    select m.duration_ms, m.measured_at from milepost_private.measurements m
    where m.tenant_id = ingest_latency.tenant_id and m.duration_ms is not null
    order by m.measurement_id desc limit 1000
  ) l
  where l.measured_at > ingest_latency.at - ingest_latency.window_s * interval '1 second' and l.measured_at <= ingest_latency.at;
end;
$$;
comment on function milepost_private.ingest_latency(uuid, timestamptz, int) is
'Of the last thousand requests, those within the window before at: their number, and half, 95 and 99 of a hundred took at most so many ms.';
revoke execute on function milepost_private.ingest_latency(uuid, timestamptz, int) from public, anon, authenticated;
grant execute on function milepost_private.ingest_latency(uuid, timestamptz, int) to authenticated, service_role;
