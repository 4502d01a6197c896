-- schema_version: what this database has installed. The functions and `milepost doctor` compare it with their own version.
create or replace function milepost.schema_version()
returns text
language sql
immutable
set search_path = ''
as $$
  select '0.1.0';
$$;
comment on function milepost.schema_version() is
'The version of Milepost that this schema belongs to, as major.minor.patch; one number for schema, functions and packages.';
revoke execute on function milepost.schema_version() from public, anon, authenticated;
grant execute on function milepost.schema_version() to authenticated, service_role;
