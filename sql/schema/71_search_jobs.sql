-- search_jobs: a tenant's jobs, newest first, keyset paged.
create or replace function milepost.search_jobs(
  state    text[] default null,
  kind     text[] default null,
  q        text default null,
  owner    uuid default null,
  liveness text[] default null,
  since    timestamptz default null,
  until    timestamptz default null,
  "limit"  int default 50,
  after    text default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_size    int := milepost_private.page_size("limit");
  v_after   jsonb := milepost_private.page_after(after);
  v_tenants uuid[] := array(select milepost_private.my_tenants());
  v_page    jsonb;
begin
  with matching as (
    select j.job_id, j.created_at
    from milepost.jobs j
    where j.tenant_id = any (v_tenants)
      and (search_jobs.state is null or j.state = any (search_jobs.state))
      and (search_jobs.kind is null or j.kind = any (search_jobs.kind))
      and (search_jobs.owner is null or j.owner_id = search_jobs.owner)
      and (search_jobs.since is null or j.created_at >= search_jobs.since)
      and (search_jobs.until is null or j.created_at < search_jobs.until)
      and (search_jobs.q is null
           or strpos(lower(j.key || ' ' || j.name || ' ' || j.kind || ' ' || coalesce(j.message, '') || ' ' || coalesce(j.error, '')),
                     lower(search_jobs.q)) > 0)
      and (v_after is null or (j.created_at, j.job_id) < ((v_after ->> 0)::timestamptz, (v_after ->> 1)::uuid))
      -- Liveness is computed, and only a job that is active can be anything but on time.
      and (search_jobs.liveness is null or (
             select f.liveness = any (search_jobs.liveness)
             from milepost_private.pulses p
             left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
             cross join lateral milepost_private.liveness_of(j, p, k, now()) f
             where p.job_id = j.job_id))
    order by j.created_at desc, j.job_id desc
    limit v_size + 1
  ), page as (
    select m.*, row_number() over (order by m.created_at desc, m.job_id desc) as place from matching m
  )
  select jsonb_build_object(
    'jobs', coalesce(jsonb_agg(to_jsonb(s) order by p.place) filter (where p.place <= v_size), '[]'),
    'next', case when count(*) > v_size then milepost_private.page_cursor(
      (select jsonb_build_array(l.created_at, l.job_id) from page l where l.place = v_size)) end)
  into v_page
  from page p join milepost_private.job_summaries s on s.job_id = p.job_id;
  return v_page;
end;
$$;
comment on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text) is
'Jobs by state, kind, text, owner, liveness and time of creation, newest first: {"jobs", "next"}.';
revoke execute on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text) from public, anon, authenticated;
grant execute on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text) to authenticated, service_role;
