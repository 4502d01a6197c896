-- purge_history: drop the partitions of checkpoints and events that are older than 30 days.
create or replace function milepost_private.drop_partitions(before date)
returns int
language plpgsql
volatile
security definer                -- only the owner may drop a partition
set search_path = ''
as $$
declare
  v_name    text;
  v_dropped int := 0;
begin
  for v_name in
    select c.relname from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent in ('milepost.checkpoints'::regclass, 'milepost.events'::regclass)
      and c.relname ~ '_[0-9]{8}$' and right(c.relname, 8) < to_char(before, 'YYYYMMDD')
    order by 1
  loop
    execute format('drop table milepost_private.%I', v_name);
    v_dropped := v_dropped + 1;
  end loop;
  return v_dropped;
end;
$$;
comment on function milepost_private.drop_partitions(date) is 'Drops the daily partitions of days before the given one; returns how many.';
revoke execute on function milepost_private.drop_partitions(date) from public, anon, authenticated;
grant execute on function milepost_private.drop_partitions(date) to service_role;

create or replace function milepost.purge_history()
returns jsonb
language sql
volatile
set search_path = ''
as $$
  select jsonb_build_object('partitions_dropped', milepost_private.drop_partitions((now() at time zone 'utc')::date - 30));
$$;
comment on function milepost.purge_history() is 'Drops history older than 30 days by partition.';
revoke execute on function milepost.purge_history() from public, anon, authenticated;
grant execute on function milepost.purge_history() to service_role;
