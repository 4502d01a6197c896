-- Rules for every object of the database, those that are added later included. Each query finds what breaks the rule above it.

-- rule: every function has search_path = '' in its definition
select p.oid::regprocedure::text as name from pg_proc p
where p.pronamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and not coalesce('search_path=""' = any (p.proconfig), false);

-- rule: every function says what it does
select p.oid::regprocedure::text as name from pg_proc p
where p.pronamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and coalesce(length(obj_description(p.oid, 'pg_proc')), 0) < 10;

-- rule: no function may be executed by everybody or by anon
select p.oid::regprocedure::text as name from pg_proc p
where p.pronamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace)
  and (p.proacl is null or has_function_privilege('anon', p.oid, 'execute')
       or exists (select from aclexplode(p.proacl) a where a.grantee = 0));

-- rule: security definers are private
select p.oid::regprocedure::text as name from pg_proc p
where p.pronamespace = 'milepost'::regnamespace and p.prosecdef;

-- rule: the service may execute every function but triggers
select p.oid::regprocedure::text as name from pg_proc p
where p.pronamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and p.prorettype <> 'trigger'::regtype
  and not has_function_privilege('service_role', p.oid, 'execute');

-- rule: every table has row level security and a primary key
select c.oid::regclass::text as name from pg_class c
where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and c.relkind in ('r', 'p')
  and (not c.relrowsecurity or not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p'));

-- rule: every view runs with its reader's rights
select c.oid::regclass::text as name from pg_class c
where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and c.relkind = 'v' and not coalesce('security_invoker=true' = any (c.reloptions), false);

-- rule: every table, view and type says what it is
select c.oid::regclass::text as name from pg_class c
where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
  and obj_description(c.oid, 'pg_class') is null
union all
select t.oid::regtype::text from pg_type t join pg_class c on c.oid = t.typrelid
where t.typnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and c.relkind = 'c' and obj_description(t.oid, 'pg_type') is null;

-- rule: every column of a public table says what it is
select c.oid::regclass || '.' || a.attname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = 'milepost'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
  and col_description(c.oid, a.attnum) is null;

-- rule: every column of a public view says what it is, unless it is a public table's
select c.oid::regclass || '.' || a.attname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = 'milepost'::regnamespace and c.relkind = 'v' and a.attnum > 0 and not a.attisdropped
  and col_description(c.oid, a.attnum) is null and not exists (
    select from pg_class s join pg_attribute b on b.attrelid = s.oid
    where s.relnamespace = 'milepost'::regnamespace and s.oid <> c.oid and b.attname = a.attname
      and col_description(s.oid, b.attnum) is not null);

-- rule: policies ask once a query: auth and helpers stand in a sub-select
select p.polrelid::regclass || ': ' || p.polname as name from pg_policy p join pg_class c on c.oid = p.polrelid
where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace)
  and regexp_replace(lower(pg_get_expr(p.polqual, p.polrelid)), '\(\s*select .*?\)\s*(as \w+)?\)', '', 'g')
      ~ '(auth|milepost_private)\.\w+\(';

-- rule: policies are for signed-in users
select p.polrelid::regclass || ': ' || p.polname as name from pg_policy p join pg_class c on c.oid = p.polrelid
where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and p.polroles <> array['authenticated'::regrole::oid];

-- rule: everybody as a grantee gets nothing
select c.oid::regclass::text as name from pg_class c cross join lateral aclexplode(c.relacl) a
where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and a.grantee in (0, 'anon'::regrole);

-- rule: what triggers run is private
select t.tgrelid::regclass || ': ' || t.tgname as name from pg_trigger t join pg_class c on c.oid = t.tgrelid
where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and not t.tgisinternal
  and t.tgfoid not in (select p.oid from pg_proc p where p.pronamespace = 'milepost_private'::regnamespace);

-- rule: what changes with every checkpoint carries no index
select i.indexrelid::regclass::text as name from pg_index i
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
where i.indrelid in ('milepost.jobs'::regclass, 'milepost.lanes'::regclass, 'milepost_private.pulses'::regclass)
  and (a.attname like 'items\_%' or a.attname like '%\_seq' or a.attname in ('version', 'seq', 'seen', 'message',
       'bytes_processed', 'last_checkpoint_at', 'last_progress_at', 'active_at', 'active_s', 'held_back', 'settled'));

-- rule: nothing of Milepost's is in public
select c.oid::regclass::text as name from pg_class c where c.relnamespace = 'public'::regnamespace
union all
select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'public'::regnamespace;

-- rule: what users may read has a policy that says which rows
select c.oid::regclass::text as name from pg_class c
where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and c.relkind in ('r', 'p')
  and has_any_column_privilege('authenticated', c.oid, 'select')
  and not exists (select from pg_policy p where p.polrelid = c.oid and p.polcmd = 'r');

-- rule: users write to nothing and hand no right on
select c.oid::regclass::text as name from pg_class c
where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and (has_any_column_privilege('authenticated', c.oid, 'insert, update, references') or has_table_privilege('authenticated', c.oid, 'delete, truncate, trigger')
       or has_any_column_privilege('authenticated', c.oid, 'select with grant option'))
union all
select c.oid::regclass::text from pg_class c
where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and c.relkind = 'S'
  and (has_sequence_privilege('authenticated', c.oid, 'usage, update') or has_sequence_privilege('anon', c.oid, 'usage, select, update'));

-- rule: anon has no column, type or schema
select c.oid::regclass || '.' || a.attname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) and has_column_privilege('anon', c.oid, a.attnum, 'select, insert, update, references')
union all
select n.nspname::text from pg_namespace n
where n.nspname in ('milepost', 'milepost_private') and (has_schema_privilege('anon', n.oid, 'usage, create') or has_schema_privilege('authenticated', n.oid, 'create'));

-- rule: nothing that is made later is granted to anybody by default
select d.defaclrole::regrole || ': ' || coalesce(d.defaclnamespace::regnamespace::text, 'any schema') as name
from pg_default_acl d cross join lateral aclexplode(d.defaclacl) a
where (d.defaclnamespace = 0 or d.defaclnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace))
  and a.grantee in (0, 'anon'::regrole, 'authenticated'::regrole)
  -- Everybody may execute functions and use types unless it is revoked: what Postgres has of its own.
  and not (d.defaclnamespace = 0 and a.grantee = 0);

-- rule: the only policies of Milepost's elsewhere are for hearing
select p.polrelid::regclass || ': ' || p.polname as name from pg_policy p join pg_class c on c.oid = p.polrelid
where c.relnamespace not in ('milepost'::regnamespace, 'milepost_private'::regnamespace)
  and concat(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) like '%milepost%'
  and (p.polrelid <> 'realtime.messages'::regclass or p.polcmd <> 'r' or p.polroles <> array['authenticated'::regrole::oid]);
