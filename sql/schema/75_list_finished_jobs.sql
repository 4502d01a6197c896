-- list_finished_jobs: a tenant's finished jobs, the last one to end first, keyset paged.
create or replace function milepost.list_finished_jobs(
  since     timestamptz default null,
  until     timestamptz default null,
  kind      text[] default null,
  state     text[] default null,
  q         text default null,
  tenant_id uuid default null,
  whole     boolean default false,
  "limit"   int default 50,
  after     text default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'  -- so that what failed is found in the index of what failed
as $$
declare
  v_size    int := milepost_private.page_size("limit");
  v_after   jsonb := milepost_private.page_after(after, '{timestamptz,uuid}');
  v_until   timestamptz := coalesce(until, 'infinity');
  v_since   timestamptz := coalesce(since, '-infinity');
  v_tenants uuid[] := array(select t from milepost_private.my_tenants() as t
                            where list_finished_jobs.tenant_id is null or t = list_finished_jobs.tenant_id);
  v_page    jsonb;
begin
  perform milepost_private.check_range(v_since, v_until);
  with matching as (
    select m.job_id, m.finished_at
    from unnest(v_tenants) as t (tenant_id)
    -- Tenant by tenant, since an index gives its order for one of them only.
    cross join lateral (
      select j.job_id, j.finished_at
      from milepost.jobs j
      where j.tenant_id = t.tenant_id
        and j.finished_at >= v_since and j.finished_at < v_until
        and (list_finished_jobs.kind is null or j.kind = any (list_finished_jobs.kind))
        and case when list_finished_jobs.state is null then true
                 when cardinality(list_finished_jobs.state) = 1 then j.state = list_finished_jobs.state[1]
                 else j.state = any (list_finished_jobs.state) end
        and (list_finished_jobs.q is null
             or strpos(j.search_text, lower(list_finished_jobs.q)) > 0)
        and (v_after is null or (j.finished_at, j.job_id) < ((v_after ->> 0)::timestamptz, (v_after ->> 1)::uuid))
      order by j.finished_at desc, j.job_id desc
      limit v_size + 1
    ) m
    order by m.finished_at desc, m.job_id desc
    limit v_size + 1
  ), page as (
    select m.*, row_number() over (order by m.finished_at desc, m.job_id desc) as place from matching m
  )
  select jsonb_build_object(
    'jobs', coalesce(jsonb_agg(case when whole then milepost_private.job_json(p.job_id) else to_jsonb(s) end order by p.place)
                     filter (where p.place <= v_size), '[]'),
    'next', case when count(*) > v_size then milepost_private.page_cursor(
      (select jsonb_build_array(l.finished_at, l.job_id) from page l where l.place = v_size)) end)
  into v_page
  from page p left join milepost_private.job_summaries s on s.job_id = p.job_id and not whole;
  return v_page;
end;
$$;
comment on function milepost.list_finished_jobs(timestamptz, timestamptz, text[], text[], text, uuid, boolean, int, text) is
'Jobs that ended from since until until, by kind, state and text, the last one to end first: {"jobs", "next"}. A whole one has its stages, workers, cursor and metadata too. Refuses with invalid_value and invalid_cursor.';
revoke execute on function milepost.list_finished_jobs(timestamptz, timestamptz, text[], text[], text, uuid, boolean, int, text) from public, anon, authenticated;
grant execute on function milepost.list_finished_jobs(timestamptz, timestamptz, text[], text[], text, uuid, boolean, int, text) to authenticated, service_role;
