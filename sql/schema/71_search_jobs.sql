-- search_jobs: a tenant's jobs, newest first, keyset paged.
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
  metadata jsonb default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_size    int := milepost_private.page_size("limit");
  v_after   jsonb := milepost_private.page_after(after);
  v_page    jsonb;
begin
  with page as (
    select f.*, row_number() over (order by f.created_at desc, f.job_id desc) as place
    from milepost_private.find_jobs(state, kind, q, metadata, owner, liveness, since, until, v_after, v_size + 1) f
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
comment on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, jsonb) is
'Jobs by state, kind, text (in key, name, kind and error), owner, liveness, time of creation and metadata (that contains this), newest first: {"jobs", "next"}.';
revoke execute on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, jsonb) from public, anon, authenticated;
grant execute on function milepost.search_jobs(text[], text[], text, uuid, text[], timestamptz, timestamptz, int, text, jsonb) to authenticated, service_role;
