-- Removes Milepost, and all that it knows of your jobs: both schemas, its schedule, its place in Realtime.
-- Safe to paste into the SQL editor, and to run again. What others have made stays; where something of theirs stands
-- on Milepost's tables it is named, and nothing is removed.
do $$
declare
  v_theirs text;
begin
  select string_agg(distinct d.what, ', ') into v_theirs
  from (
    select c.oid::regclass::text as what from pg_catalog.pg_depend e
    join pg_catalog.pg_rewrite r on e.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = e.objid
    join pg_catalog.pg_class c on c.oid = r.ev_class
    join pg_catalog.pg_class ours on e.refclassid = 'pg_catalog.pg_class'::regclass and ours.oid = e.refobjid
    where ours.relnamespace in (to_regnamespace('milepost'), to_regnamespace('milepost_private'))
      and c.relnamespace not in (to_regnamespace('milepost'), to_regnamespace('milepost_private'))
    union all
    select k.conrelid::regclass::text from pg_catalog.pg_constraint k
    join pg_catalog.pg_class ours on ours.oid = k.confrelid
    where ours.relnamespace in (to_regnamespace('milepost'), to_regnamespace('milepost_private'))
      and k.connamespace not in (to_regnamespace('milepost'), to_regnamespace('milepost_private'))) d;
  if v_theirs is not null then
    raise exception 'Nothing was removed: % stand on Milepost''s tables.', v_theirs
      using hint = 'Drop them first, or let them stand on something else.';
  end if;

  if to_regclass('cron.job') is not null then
    execute 'select cron.unschedule(jobid) from cron.job where jobname like ''milepost-%''';
  end if;
  if to_regclass('realtime.messages') is not null then
    execute 'drop policy if exists "members hear their milepost topics" on realtime.messages';
  end if;
  -- Takes their tables out of the publication as well.
  drop schema if exists milepost, milepost_private cascade;
end;
$$;
-- The extension pg_trgm stays, since others may search with it. Where nobody does: drop extension pg_trgm;
notify pgrst, 'reload schema';
