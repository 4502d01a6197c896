-- search_jobs: a tenant's jobs, newest first unless sorted otherwise, keyset paged.
-- It had fewer parameters once; left beside this one, its calls would be ambiguous.
drop function if exists milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text);
create or replace function milepost.search_jobs(
  state    text[] default null,
  kind     text[] default null,
  q        text default null,
  owner    uuid default null,
  liveness text[] default null,
  since    timestamptz default null,
  until    timestamptz default null,
  "limit"  int default 50,
  after    text default null,
  tenant   uuid default null,
  sort     text default 'newest'
)
returns jsonb
language plpgsql
stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'  -- one plan cannot fit every filter and sort
as $$
declare
  v_size    int := milepost_private.page_size("limit");
  v_after   jsonb := milepost_private.page_after(after);
  v_tenants uuid[] := array(select t from milepost_private.my_tenants() t where search_jobs.tenant is null or t = search_jobs.tenant);
  v_page    jsonb;
begin
  -- GUARD: the sorts there are
  if sort is null or sort not in ('newest', 'finishing', 'attention') then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected sort newest, finishing or attention; found %s.', coalesce(sort, 'null')),
      'Leave it out for newest first.');
  end if;
  with matching as (
    select j.job_id, j.created_at, r.rank
    from milepost.jobs j
    -- Only what is active has a place that depends on now; by age alone, the index gives the order.
    cross join lateral (select case when search_jobs.sort <> 'newest' then (
      select milepost_private.job_rank(j, p, k, search_jobs.sort, now())
      from milepost_private.pulses p
      left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
      where p.job_id = j.job_id) end) as r (rank)
    where j.tenant_id = any (v_tenants)
      and (search_jobs.sort = 'newest' or j.finished_at is null)
      and (search_jobs.state is null or j.state = any (search_jobs.state))
      and (search_jobs.kind is null or j.kind = any (search_jobs.kind))
      and (search_jobs.owner is null or j.owner_id = search_jobs.owner)
      and (search_jobs.since is null or j.created_at >= search_jobs.since)
      and (search_jobs.until is null or j.created_at < search_jobs.until)
      and (search_jobs.q is null
           or strpos(lower(j.key || ' ' || j.name || ' ' || j.kind || ' ' || coalesce(j.message, '') || ' ' || coalesce(j.error, '')),
                     lower(search_jobs.q)) > 0)
      and (v_after is null or case when r.rank = (v_after ->> 2)::double precision or search_jobs.sort = 'newest'
             then (j.created_at, j.job_id) < ((v_after ->> 0)::timestamptz, (v_after ->> 1)::uuid)
             else r.rank > (v_after ->> 2)::double precision end)
      -- Liveness is computed, and only a job that is active can be anything but on time.
      and (search_jobs.liveness is null or (
             select f.liveness = any (search_jobs.liveness)
             from milepost_private.pulses p
             left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
             cross join lateral milepost_private.liveness_of(j, p, k, now()) f
             where p.job_id = j.job_id))
    order by r.rank, j.created_at desc, j.job_id desc
    limit v_size + 1
  ), page as (
    select m.job_id, m.created_at, m.rank, row_number() over (order by m.rank, m.created_at desc, m.job_id desc) as place
    from matching m
  )
  select jsonb_build_object(
    'jobs', coalesce(jsonb_agg(to_jsonb(s) order by p.place) filter (where p.place <= v_size), '[]'),
    'next', case when count(*) > v_size then milepost_private.page_cursor(
      (select jsonb_build_array(l.created_at, l.job_id, l.rank) from page l where l.place = v_size)) end)
  into v_page
  from page p join milepost_private.job_summaries s on s.job_id = p.job_id;
  return v_page;
end;
$$;
comment on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, uuid, text) is
'Jobs by state, kind, text, owner, liveness and time of creation, newest first: {"jobs", "next"}. Sort finishing (least time left first) or attention (what is stuck first) lists active jobs only; a job may move between its pages. tenant narrows to one of the caller''s.';
revoke execute on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, uuid, text) from public, anon, authenticated;
grant execute on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, uuid, text) to authenticated, service_role;
