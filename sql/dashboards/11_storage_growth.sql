-- How much does each day of history take on disk, and when will it be dropped? Sizes include indexes.
select right(p.relname, 8)::date as day, case when p.relname like 'events%' then 'events' else 'checkpoints' end as history,
       pg_size_pretty(pg_total_relation_size(p.oid)) as size, pg_total_relation_size(p.oid) as bytes,
       right(p.relname, 8)::date + (select coalesce(max(t.keep_days), 30) + 1 from milepost.tenants t) as dropped_on
from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhrelid
where i.inhparent in ('milepost.checkpoints'::regclass, 'milepost.events'::regclass) and p.relname ~ '_\d{8}$'
  and right(p.relname, 8)::date <= (now() at time zone 'utc')::date
order by day desc, history;
