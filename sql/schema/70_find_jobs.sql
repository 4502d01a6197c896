-- find_jobs: the ids of one page of the caller's jobs, newest first, at a cost that does not grow with the history.
-- Each tenant's newest matches are taken in the order of an index, or, where that would pass by too many others, by the index
-- of the rarest condition: the planner knows which, since it plans each call with the values at hand.
create or replace function milepost_private.find_jobs(
  state    text[],
  kind     text[],
  q        text,
  metadata jsonb,
  owner    uuid,
  liveness text[],
  since    timestamptz,
  until    timestamptz,
  tenant   uuid,           -- one of the caller's, or all of them
  after    jsonb,          -- created_at and job_id of the last job of the page before
  size     int
)
returns table (job_id uuid, created_at timestamptz)
language plpgsql
stable
security definer                -- under row level security `like` and `@>` may not use an index; my_tenants decides
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
as $$
declare
  v_rare    text;
  v_pattern text := '%' || replace(replace(replace(lower(q), '\', '\\'), '%', '\%'), '_', '\_') || '%';
  v_after_at timestamptz := (after ->> 0)::timestamptz;
  v_after_id uuid := (after ->> 1)::uuid;
  v_so        uuid[];  -- not on time, and as asked
  v_otherwise uuid[];  -- not on time
begin
  if liveness is not null then
    select array_agg(n.job_id) filter (where n.liveness = any (find_jobs.liveness)), array_agg(n.job_id) into v_so, v_otherwise
    from milepost_private.not_on_time(array(select milepost_private.my_tenants()), now()) n;
  end if;
  -- An index of trigrams walks through all jobs that have one, also where the text's other words are rare: most keys begin alike.
  -- So a word that hardly any of a thousand texts has, the planner's sample, is looked for alone, and the whole among what it finds.
  if q ~ '[^[:alnum:]]' then
    select w into v_rare
    from regexp_split_to_table(lower(q), '[^[:alnum:]]+') w
    where length(w) >= 4 and 2 >= (
      select count(*) from pg_catalog.pg_stats s cross join lateral unnest(s.histogram_bounds::text::text[]) b
      where s.schemaname = 'milepost' and s.tablename = 'jobs' and s.attname = 'search_text' and strpos(b, w) > 0)
    order by length(w) desc
    limit 1;
  end if;
  return query
  select m.job_id, m.created_at
  from milepost_private.my_tenants() as t (tenant_id)
  cross join lateral (
    select j.job_id, j.created_at
    from milepost.jobs j
    where j.tenant_id = t.tenant_id
      -- Of a case with a constant condition nothing remains in the plan but the branch that holds.
      and case when find_jobs.state is null then true when cardinality(find_jobs.state) = 1 then j.state = find_jobs.state[1]
               else j.state = any (find_jobs.state) end
      -- Jobs in a state that is not terminal are few, and have an index of their own.
      and (find_jobs.state && array['completed', 'canceled', 'failed'] is not false or j.finished_at is null)
      and case when find_jobs.kind is null then true when cardinality(find_jobs.kind) = 1 then j.kind = find_jobs.kind[1]
               else j.kind = any (find_jobs.kind) end
      and case when v_rare is not null then j.search_text like '%' || v_rare || '%' and strpos(j.search_text, lower(q)) > 0
               else v_pattern is null or j.search_text like v_pattern end
      and (find_jobs.metadata is null or j.ended_metadata @> find_jobs.metadata
           or j.finished_at is null and j.metadata @> find_jobs.metadata)
      and (find_jobs.owner is null or j.owner_id = find_jobs.owner)
      and (find_jobs.since is null or j.created_at >= find_jobs.since)
      and (find_jobs.until is null or j.created_at < find_jobs.until)
      and (v_after_id is null or (j.created_at, j.job_id) < (v_after_at, v_after_id))
      -- Liveness is computed, and only a job that is active can be anything but on time.
      and (find_jobs.liveness is null or j.job_id = any (v_so)
           or 'on_time' = any (find_jobs.liveness) and (v_otherwise is null or j.job_id <> all (v_otherwise)))
    order by j.created_at desc, j.job_id desc
    limit find_jobs.size
  ) m
  where find_jobs.tenant is null or t.tenant_id = find_jobs.tenant
  order by m.created_at desc, m.job_id desc
  limit find_jobs.size;
end;
$$;
comment on function milepost_private.find_jobs(text[], text[], text, jsonb, uuid, text[], timestamptz, timestamptz, uuid, jsonb, int) is
'At most so many of the caller''s jobs that match, newest first, after the given one. Null filters are none.';
revoke execute on function milepost_private.find_jobs(text[], text[], text, jsonb, uuid, text[], timestamptz, timestamptz, uuid, jsonb, int)
  from public, anon, authenticated;
grant execute on function milepost_private.find_jobs(text[], text[], text, jsonb, uuid, text[], timestamptz, timestamptz, uuid, jsonb, int)
  to authenticated, service_role;
