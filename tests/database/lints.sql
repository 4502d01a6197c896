-- What Supabase's database advisor (splinter) finds fault with, as one query over the catalog: the lints that can apply to
-- Milepost, under splinter's numbers, in our own words. No row is what is wanted.
-- splinter looks at schemas that the API exposes; here both of Milepost's count, so that what moves from one to the other is
-- clean already. `exposed` marks the lints that are about the exposed one only.
with schemas as (
  select n.oid, n.nspname, n.nspname = 'milepost' as exposed
  from pg_catalog.pg_namespace n where n.nspname in ('milepost', 'milepost_private')
), relations as (
  select c.oid, c.relkind, c.relrowsecurity, c.reloptions, c.relispartition, s.exposed, format('%I.%I', s.nspname, c.relname) as name
  from pg_catalog.pg_class c join schemas s on s.oid = c.relnamespace
), policies as (
  select p.polrelid, p.polname, p.polcmd, p.polroles, p.polpermissive, r.name as relation, r.relrowsecurity,
         concat_ws(' ', pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) as expression
  from pg_catalog.pg_policy p join relations r on r.oid = p.polrelid
), functions as (
  select p.oid, p.prosecdef, p.proconfig, p.prorettype, s.exposed, p.oid::regprocedure::text as name
  from pg_catalog.pg_proc p join schemas s on s.oid = p.pronamespace
), indexes as (
  select i.indrelid, i.indexrelid, r.name as relation, r.relispartition, i.indkey::int2[] as columns, i.indisunique,
         -- Everything that makes it what it is, but its name.
         regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX .* ON ', '') as definition
  from pg_catalog.pg_index i join relations r on r.oid = i.indrelid
), findings (lint, name, detail) as (
  -- 0001: deleting a referred row searches the referring table.
  select '0001 foreign key without an index', r.name, k.conname::text
  from pg_catalog.pg_constraint k join relations r on r.oid = k.conrelid
  where k.contype = 'f' and not r.relispartition and not exists (
    select from indexes i
    where i.indrelid = k.conrelid
      and (select array_agg(x order by x) from unnest(i.columns[0:cardinality(k.conkey) - 1]) x)
          = (select array_agg(x order by x) from unnest(k.conkey) x))
  union all
  -- 0003: auth.uid() and its like are to be asked once a query, not once a row.
  select '0003 policy asks once a row', p.relation, p.polname
  from policies p
  where regexp_replace(lower(p.expression), '\(\s*select\s+[^()]*(\([^()]*\))?[^()]*\)', '', 'g')
        ~ '(auth\.(uid|jwt|role|email)|current_setting|milepost_private\.[a-z_]+)\s*\('
  union all
  select '0004 table without a primary key', r.name, ''
  from relations r
  where r.relkind in ('r', 'p') and not exists (select from pg_catalog.pg_constraint k where k.conrelid = r.oid and k.contype = 'p')
  union all
  select '0006 several permissive policies for one role and command', min(p.relation), string_agg(p.polname, ', ')
  from policies p
  cross join lateral unnest(p.polroles) as a (role)
  cross join lateral unnest(case p.polcmd when '*' then '{r,a,w,d}' else array[p.polcmd::text] end) as c (command)
  where p.polpermissive
  group by p.polrelid, a.role, c.command having count(*) > 1
  union all
  select '0007 policy without row level security', p.relation, p.polname from policies p where not p.relrowsecurity
  union all
  -- 0008: on purpose where only the service reads. In the exposed schema it would be a table that nobody can use.
  select '0008 row level security without a policy', r.name, ''
  from relations r
  where r.relkind in ('r', 'p') and r.exposed and r.relrowsecurity and not exists (select from policies p where p.polrelid = r.oid)
  union all
  select '0009 two indexes alike', min(i.relation), string_agg(i.indexrelid::regclass::text, ', ')
  from indexes i group by i.indrelid, i.definition having count(*) > 1
  union all
  select '0010 view with its owner''s rights', r.name, ''
  from relations r
  where r.relkind = 'v' and not coalesce(r.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
  union all
  select '0011 function with a search_path of its caller''s', f.name, ''
  from functions f where not coalesce(exists (select from unnest(f.proconfig) c where c like 'search\_path=%'), false)
  union all
  select '0013 table without row level security', r.name, ''
  from relations r where r.relkind in ('r', 'p') and not r.relrowsecurity
  union all
  select '0014 extension in a schema of Milepost''s or in public', e.extname::text, n.nspname::text
  from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
  where n.nspname in ('public', 'milepost', 'milepost_private')
  union all
  select '0016 materialized view that users may read', r.name, ''
  from relations r
  where r.relkind = 'm' and r.exposed and (pg_catalog.has_table_privilege('anon', r.oid, 'select')
                                           or pg_catalog.has_table_privilege('authenticated', r.oid, 'select'))
  union all
  -- 0018: types that pg_upgrade cannot carry over.
  select '0018 column of a reg type', r.name, a.attname::text
  from pg_catalog.pg_attribute a join relations r on r.oid = a.attrelid
  where a.attnum > 0 and not a.attisdropped and a.atttypid in (
    'regcollation'::regtype, 'regconfig'::regtype, 'regdictionary'::regtype, 'regnamespace'::regtype, 'regoper'::regtype,
    'regoperator'::regtype, 'regproc'::regtype, 'regprocedure'::regtype)
  union all
  select '0028 anonymous may call a security definer', f.name, ''
  from functions f where f.prosecdef and f.exposed and pg_catalog.has_function_privilege('anon', f.oid, 'execute')
  union all
  select '0029 users may call a security definer of the API', f.name, ''
  from functions f where f.prosecdef and f.exposed and pg_catalog.has_function_privilege('authenticated', f.oid, 'execute')
)
select lint, name, detail from findings order by lint, name, detail;
