-- installation: what `milepost doctor` asks of the database: facts only, judged by who asks.
-- Security definer, since pg_cron's tables and the publication's are nobody else's to read.
create or replace function milepost_private.installation()
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_cron jsonb;
begin
  if to_regclass('cron.job') is not null and to_regclass('cron.job_run_details') is not null then
    begin
      execute $sql$
        select coalesce(jsonb_agg(jsonb_build_object('job', j.jobname, 'schedule', j.schedule, 'active', j.active,
                 'last_status', d.status, 'last_message', d.return_message, 'last_run_at', d.start_time) order by j.jobname), '[]')
        from cron.job j
        left join lateral (
          select r.status, r.return_message, r.start_time from cron.job_run_details r
          where r.jobid = j.jobid order by r.runid desc limit 1) d on true
        where j.jobname like 'milepost-%'
      $sql$ into v_cron;
    exception when insufficient_privilege then
      v_cron := null;
    end;
  end if;

  return jsonb_build_object(
    'now', clock_timestamp(),
    'postgres', current_setting('server_version_num')::int / 10000,
    'schema_version', milepost.schema_version(),
    'extensions', (select coalesce(jsonb_object_agg(e.extname, e.extversion), '{}') from pg_catalog.pg_extension e
                   where e.extname in ('pg_trgm', 'pg_cron')),
    'cron', v_cron,
    'days_ahead', (select count(*) from pg_catalog.pg_inherits i
                   join pg_catalog.pg_class c on c.oid = i.inhrelid
                   where i.inhparent = 'milepost.events'::regclass
                     and c.relname > 'events_' || to_char(now() at time zone 'utc', 'YYYYMMDD') and c.relname ~ '\d{8}$'),
    'without_rls', (select coalesce(jsonb_agg(c.oid::regclass::text order by 1), '[]') from pg_catalog.pg_class c
                    where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace)
                      and c.relkind in ('r', 'p') and not c.relrowsecurity),
    'open_to_anon', (
      select coalesce(jsonb_agg(o.what order by o.what), '[]') from (
        select p.oid::regprocedure::text as what from pg_catalog.pg_proc p
        where p.pronamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace)
          and has_function_privilege('anon', p.oid, 'execute')
          and has_schema_privilege('anon', p.pronamespace, 'usage')
        union all
        select c.oid::regclass::text from pg_catalog.pg_class c
        where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace)
          and c.relkind in ('r', 'p', 'v') and has_table_privilege('anon', c.oid, 'select, insert, update, delete')
          and has_schema_privilege('anon', c.relnamespace, 'usage')) o),
    'closed_to_service', (select coalesce(jsonb_agg(p.oid::regprocedure::text order by 1), '[]') from pg_catalog.pg_proc p
                          where p.pronamespace = 'milepost'::regnamespace and p.prorettype <> 'trigger'::regtype
                            and not has_function_privilege('service_role', p.oid, 'execute')),
    'closed_to_users', (select coalesce(jsonb_agg(c.oid::regclass::text order by 1), '[]') from pg_catalog.pg_class c
                        where c.oid in ('milepost.jobs'::regclass, 'milepost.job_progress'::regclass)
                          and not has_table_privilege('authenticated', c.oid, 'select')),
    'realtime_policy', exists (select from pg_catalog.pg_policy p where p.polrelid = to_regclass('realtime.messages')
                                 and p.polname = 'members hear their milepost topics'),
    'realtime_rls', (select c.relrowsecurity from pg_catalog.pg_class c where c.oid = to_regclass('realtime.messages')),
    'browsers_may_send', exists (select from pg_catalog.pg_policy p where p.polrelid = to_regclass('realtime.messages')
                                   and p.polcmd in ('a', '*')),
    'published', (select coalesce(jsonb_agg(c.relname order by c.relname), '[]') from pg_catalog.pg_publication_rel r
                  join pg_catalog.pg_publication p on p.oid = r.prpubid
                  join pg_catalog.pg_class c on c.oid = r.prrelid
                  where p.pubname = 'supabase_realtime' and c.relnamespace = 'milepost'::regnamespace));
end;
$$;
comment on function milepost_private.installation() is
'Facts about this installation: extensions, schedule and its last runs, partitions ahead, privileges, Realtime. Nothing of any tenant.';
revoke execute on function milepost_private.installation() from public, anon, authenticated;
grant execute on function milepost_private.installation() to service_role;

create or replace function milepost.installation()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return milepost_private.installation();
end;
$$;
comment on function milepost.installation() is 'Facts about this installation, for `milepost doctor`; for the service only.';
revoke execute on function milepost.installation() from public, anon, authenticated;
grant execute on function milepost.installation() to service_role;
