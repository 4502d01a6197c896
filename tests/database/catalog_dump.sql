-- Everything that the catalog knows of Milepost, as text: two databases with the same rows are the same database.
-- Object ids, and the daily partitions with their days, are left out; the order of grants does not matter.
with schemas as (
  select n.* from pg_catalog.pg_namespace n where n.nspname in ('milepost', 'milepost_private')
), relations as (
  select c.*, format('%I.%I', s.nspname, c.relname) as name, s.nspname
  from pg_catalog.pg_class c join schemas s on s.oid = c.relnamespace
  where c.relname !~ '_[0-9]{8}(_|$)' and c.relkind in ('r', 'p', 'v', 'm', 'S', 'i', 'I', 'c')
)
select 'schema' as what, s.nspname::text as name, concat_ws(' | ', s.nspowner::regrole, (select string_agg(x::text, ',' order by x::text) from unnest(s.nspacl) x), obj_description(s.oid, 'pg_namespace')) as definition
from schemas s
union all
select 'relation', r.name, concat_ws(' | ', r.relkind, r.relpersistence, r.relowner::regrole, r.reloptions::text, r.relrowsecurity, r.relforcerowsecurity,
       r.relreplident, (select string_agg(x::text, ',' order by x::text) from unnest(r.relacl) x), obj_description(r.oid, 'pg_class'), pg_get_partkeydef(r.oid),
       case when r.relispartition then pg_get_expr(r.relpartbound, r.oid) end)
from relations r
union all
select 'column', r.name || '.' || a.attname, concat_ws(' | ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
       a.attcollation::regcollation, (select string_agg(x::text, ',' order by x::text) from unnest(a.attacl) x), a.attstorage, a.attoptions::text, pg_get_expr(d.adbin, d.adrelid), col_description(r.oid, a.attnum))
from relations r join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
where r.relkind in ('r', 'p', 'v', 'm', 'c')
union all
select 'constraint', r.name || ': ' || k.conname, concat_ws(' | ', pg_get_constraintdef(k.oid), k.convalidated, obj_description(k.oid, 'pg_constraint'))
from relations r join pg_catalog.pg_constraint k on k.conrelid = r.oid
union all
select 'index', r.name, concat_ws(' | ', pg_get_indexdef(r.oid), i.indisvalid, obj_description(r.oid, 'pg_class'))
from relations r join pg_catalog.pg_index i on i.indexrelid = r.oid
union all
select 'view', r.name, pg_get_viewdef(r.oid) from relations r where r.relkind in ('v', 'm')
union all
select 'sequence', r.name, concat_ws(' | ', q.seqtypid::regtype, q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle)
from relations r join pg_catalog.pg_sequence q on q.seqrelid = r.oid
union all
select 'trigger', r.name || ': ' || t.tgname, concat_ws(' | ', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger'))
from relations r join pg_catalog.pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal
union all
select 'policy', p.polrelid::regclass || ': ' || p.polname, concat_ws(' | ', p.polcmd, p.polpermissive, p.polroles::regrole[]::text,
       pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), obj_description(p.oid, 'pg_policy'))
from pg_catalog.pg_policy p
where p.polrelid in (select r.oid from relations r) or p.polrelid = 'realtime.messages'::regclass
union all
select 'function', p.oid::regprocedure::text, concat_ws(' | ', pg_get_functiondef(p.oid), p.proowner::regrole, (select string_agg(x::text, ',' order by x::text) from unnest(p.proacl) x), obj_description(p.oid, 'pg_proc'))
from pg_catalog.pg_proc p join schemas s on s.oid = p.pronamespace
union all
select 'type', t.oid::regtype::text, concat_ws(' | ', t.typtype, t.typowner::regrole, (select string_agg(x::text, ',' order by x::text) from unnest(t.typacl) x), obj_description(t.oid, 'pg_type'))
from pg_catalog.pg_type t join schemas s on s.oid = t.typnamespace
where t.typtype in ('c', 'd', 'e') and t.typname !~ '_[0-9]{8}$'
union all
select 'default privileges', concat_ws(' ', d.defaclrole::regrole, d.defaclobjtype, s.nspname), (select string_agg(x::text, ',' order by x::text) from unnest(d.defaclacl) x)
from pg_catalog.pg_default_acl d join schemas s on s.oid = d.defaclnamespace
union all
select 'published', p.pubname || ': ' || r.name, concat_ws(' | ', x.prqual::text, x.prattrs::text)
from pg_catalog.pg_publication_rel x join pg_catalog.pg_publication p on p.oid = x.prpubid join relations r on r.oid = x.prrelid
union all
-- What is data but belongs to the schema.
select 'state machine', format('%s -> %s', t.prior_state, t.new_state), t.verb from milepost_private.transitions t
order by 1, 2, 3;
