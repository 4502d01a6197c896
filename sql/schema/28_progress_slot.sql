-- progress_slot: each job may speak once in each of its slots of time. Each job's slots begin at another moment, so that jobs
-- which began together do not speak together.
create or replace function milepost_private.progress_slot(job_id uuid, at timestamptz, interval_ms double precision)
returns double precision
language plpgsql
immutable
set search_path = ''
as $$
begin
  return floor(extract(epoch from at)::double precision * 1000 / interval_ms
    + (uuid_hash(job_id)::bigint + 2147483648) / 4294967296.0);
end;
$$;
comment on function milepost_private.progress_slot(uuid, timestamptz, double precision) is
'The number of the slot of so many ms in which a job is at a moment. Jobs'' slots are shifted against each other.';
revoke execute on function milepost_private.progress_slot(uuid, timestamptz, double precision) from public, anon, authenticated;
grant execute on function milepost_private.progress_slot(uuid, timestamptz, double precision) to authenticated, service_role;
