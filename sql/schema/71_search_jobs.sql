-- search_jobs: a tenant's jobs, newest first unless sorted otherwise, keyset paged.
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
  metadata jsonb default null,
  tenant   uuid default null,
  sort     text default 'newest'
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_size   int := milepost_private.page_size("limit");
  v_after  jsonb := milepost_private.page_after(after, case when sort = 'newest' then '{timestamptz,uuid}' else '{timestamptz,uuid,double precision}' end::text[]);
  v_rank   double precision := (v_after ->> 2)::double precision;
  v_active text[] := array['pending', 'running', 'pausing', 'paused', 'completing', 'canceling', 'retrying'];
  v_page   jsonb;
begin
  -- GUARD: the sorts there are
  if sort is null or sort not in ('newest', 'finishing', 'attention') then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected sort newest, finishing or attention; found %s.', coalesce(sort, 'null')),
      'Leave it out for newest first.');
  end if;
  if sort = 'newest' then
    with page as (
      select f.*, row_number() over (order by f.created_at desc, f.job_id desc) as place
      from milepost_private.find_jobs(state, kind, q, metadata, owner, liveness, since, until, tenant, v_after, v_size + 1) f
    )
    select jsonb_build_object(
      'jobs', coalesce(jsonb_agg(to_jsonb(s) order by p.place) filter (where p.place <= v_size), '[]'),
      'next', case when count(*) > v_size then milepost_private.page_cursor(
        (select jsonb_build_array(l.created_at, l.job_id) from page l where l.place = v_size)) end)
    into v_page
    from page p join milepost_private.job_summaries s on s.job_id = p.job_id;
    return v_page;
  end if;
  -- Only what is active has a place that depends on now, so all of it is looked at, and nothing else.
  with page as (
    select f.job_id, f.created_at, r.rank, row_number() over (order by r.rank, f.created_at desc, f.job_id desc) as place
    from milepost_private.find_jobs(
           case when state is null then v_active else array(select s from unnest(state) s where s = any (v_active)) end,
           kind, q, metadata, owner, liveness, since, until, tenant, null, 2147483647) f
    join milepost.jobs j on j.job_id = f.job_id
    join milepost_private.pulses p on p.job_id = j.job_id
    left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind
    cross join lateral milepost_private.job_rank(j, p, k, search_jobs.sort, now()) as r (rank)
    where v_after is null or r.rank > v_rank
          or r.rank = v_rank and (f.created_at, f.job_id) < ((v_after ->> 0)::timestamptz, (v_after ->> 1)::uuid)
    order by r.rank, f.created_at desc, f.job_id desc
    limit v_size + 1
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
comment on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, jsonb, uuid, text) is
'Jobs by state, kind, text (in key, name, kind and error), owner, liveness, time of creation and metadata (that contains this), newest first: {"jobs", "next"}. Sort finishing (least time left first) or attention (what is stuck first) lists active jobs only; a job may move between its pages. tenant narrows to one of the caller''s.';
revoke execute on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, jsonb, uuid, text) from public, anon, authenticated;
grant execute on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, jsonb, uuid, text) to authenticated, service_role;
