-- All that a database has besides what Postgres brings, as text: what installing may not change, and uninstalling has to restore.
with spaces as (
  select n.* from pg_catalog.pg_namespace n
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
)
select 'schema' as what, s.nspname::text as place, s.nspname::text as name, concat_ws(' | ', s.nspowner::regrole, s.nspacl::text, obj_description(s.oid, 'pg_namespace')) as definition
from spaces s
union all
select 'relation', s.nspname, c.oid::regclass::text, concat_ws(' | ', c.relkind, c.relowner::regrole, c.reloptions::text, c.relrowsecurity, c.relforcerowsecurity,
       c.relreplident, c.relacl::text, obj_description(c.oid, 'pg_class'), case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end, case when c.relkind in ('i', 'I') then pg_get_indexdef(c.oid) end)
from pg_catalog.pg_class c join spaces s on s.oid = c.relnamespace
union all
select 'column', s.nspname, c.oid::regclass || '.' || a.attname, concat_ws(' | ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attacl::text, pg_get_expr(d.adbin, d.adrelid))
from pg_catalog.pg_class c join spaces s on s.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
union all
select 'constraint', s.nspname, k.conrelid::regclass || ': ' || k.conname, pg_get_constraintdef(k.oid)
from pg_catalog.pg_constraint k join spaces s on s.oid = k.connamespace
union all
select 'trigger', s.nspname, t.tgrelid::regclass || ': ' || t.tgname, concat_ws(' | ', pg_get_triggerdef(t.oid), t.tgenabled)
from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid join spaces s on s.oid = c.relnamespace
union all
select 'policy', s.nspname, p.polrelid::regclass || ': ' || p.polname, concat_ws(' | ', p.polcmd, p.polpermissive, p.polroles::regrole[]::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid join spaces s on s.oid = c.relnamespace
union all
select 'function', s.nspname, p.oid::regprocedure::text, concat_ws(' | ', p.prosrc, p.prosecdef, p.proconfig::text, p.proowner::regrole, p.proacl::text, obj_description(p.oid, 'pg_proc'))
from pg_catalog.pg_proc p join spaces s on s.oid = p.pronamespace
union all
select 'type', s.nspname, t.oid::regtype::text, concat_ws(' | ', t.typtype, t.typowner::regrole, t.typacl::text)
from pg_catalog.pg_type t join spaces s on s.oid = t.typnamespace
union all
select 'operator', s.nspname, o.oid::regoperator::text, '' from pg_catalog.pg_operator o join spaces s on s.oid = o.oprnamespace
union all
select 'default privileges', coalesce(s.nspname, ''), concat_ws(' ', d.defaclrole::regrole, d.defaclobjtype), d.defaclacl::text
from pg_catalog.pg_default_acl d left join spaces s on s.oid = d.defaclnamespace
union all
select 'extension', s.nspname, e.extname, e.extversion from pg_catalog.pg_extension e join spaces s on s.oid = e.extnamespace
union all
select 'published', s.nspname, p.pubname || ': ' || x.prrelid::regclass, concat_ws(' | ', x.prqual::text, x.prattrs::text)
from pg_catalog.pg_publication_rel x join pg_catalog.pg_publication p on p.oid = x.prpubid
join pg_catalog.pg_class c on c.oid = x.prrelid join spaces s on s.oid = c.relnamespace
union all
select 'publication', '', p.pubname, concat_ws(' | ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot) from pg_catalog.pg_publication p
union all
select 'setting', '', coalesce(r.setrole::regrole::text, '') || ' in ' || coalesce(d.datname, 'all'), r.setconfig::text
from pg_catalog.pg_db_role_setting r left join pg_catalog.pg_database d on d.oid = r.setdatabase
where r.setdatabase = 0 or d.datname = current_database()
union all
select 'role', '', r.rolname, concat_ws(' | ', r.rolsuper, r.rolinherit, r.rolcanlogin, r.rolbypassrls,
       (select string_agg(m.roleid::regrole::text, ',' order by m.roleid::regrole::text) from pg_catalog.pg_auth_members m where m.member = r.oid))
from pg_catalog.pg_roles r where r.rolname !~ '^pg_'
union all
select 'event trigger', '', t.evtname, t.evtenabled::text from pg_catalog.pg_event_trigger t;
