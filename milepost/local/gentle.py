"""Makes statements of sql/schema gentle to a database at work: what is there already is not made again.

`drop policy` and `create policy`, `create or replace view` and their like take a lock that stops every
reader or writer of the table until the transaction ends, also where they change nothing. Each such
statement of a file becomes a block that first looks, without that lock, whether it has anything to do.
"""

import re
from functools import partial

# The first lock stops neither readers nor writers, only autovacuum and another installation, so waiting
# for it hurts nobody. What comes after gives up within half a second: all who come later queue behind it,
# and after a whole one Postgres begins to look for deadlocks and might stop a worker's request.
BEFORE = """\
set lock_timeout = '10s';
do $$
declare
  v_table oid;
begin
  for v_table in
    select c.oid from pg_catalog.pg_class c
    where c.relnamespace in (to_regnamespace('milepost'), to_regnamespace('milepost_private'))
      and c.relkind in ('r', 'p') and not c.relispartition
    order by c.oid
  loop
    execute format('lock table only %s in share update exclusive mode', v_table::regclass);
  end loop;
end $$;
set lock_timeout = '500ms';
"""
AFTER = """
reset lock_timeout;
"""

_NAME = r'(?P<name>"[^"]+"|\w+)'
_TABLE = r"(?P<schema>\w+)\.(?P<table>\w+)"
_REST = r"(?P<rest>.*?);$"


def _statement(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE | re.DOTALL)


INDEX = _statement(rf"^create (?P<unique>unique )?index if not exists (?P<name>\w+) on {_TABLE}\b{_REST}")

_SECURITY = (
    _statement(rf"^alter table {_TABLE} enable row level security;$"),
    """\
do $guard$
begin
  if not (select relrowsecurity from pg_catalog.pg_class where oid = '{schema}.{table}'::regclass) then
    alter table {schema}.{table} enable row level security;
  end if;
end $guard$;""",
)

_COLUMN = (
    _statement(rf"^alter table {_TABLE} add column if not exists (?P<name>\w+) {_REST}"),
    """\
do $guard$
begin
  if not exists (select from pg_catalog.pg_attribute
                 where attrelid = '{schema}.{table}'::regclass and attname = '{name}'
                   and not attisdropped) then
    alter table {schema}.{table} add column {name} {rest};
  end if;
end $guard$;""",
)

_INDEX = (
    INDEX,
    """\
do $guard$
begin
  if to_regclass('{schema}.{name}') is null then
    create {unique}index {name} on {schema}.{table}{rest};
  end if;
end $guard$;""",
)

# The three below are made for a temporary table or as a temporary view first. If that comes out as what is
# there, all is done.

_POLICY = (
    _statement(
        rf"^drop policy if exists {_NAME} on {_TABLE};\n"
        rf"create policy (?P=name) on (?P=schema)\.(?P=table) {_REST}"
    ),
    """\
do $guard$
declare
  v_wanted constant text := $wanted${rest}$wanted$;
begin
  if exists (select from pg_catalog.pg_policy
             where polrelid = '{schema}.{table}'::regclass and polname = '{bare}') then
    create temporary table {table} (like {schema}.{table});
    execute 'create policy {quoted} on pg_temp.{table} ' || v_wanted;
    if (select count(distinct row(polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
                                  pg_get_expr(polwithcheck, polrelid))) = 1
        from pg_catalog.pg_policy
        where polrelid in ('{schema}.{table}'::regclass, 'pg_temp.{table}'::regclass)
          and polname = '{bare}') then
      drop table pg_temp.{table};
      return;
    end if;
    drop table pg_temp.{table};
    drop policy {name} on {schema}.{table};
  end if;
  execute 'create policy {quoted} on {schema}.{table} ' || v_wanted;
end $guard$;""",
)

_TRIGGER = (
    _statement(rf"^create or replace trigger (?P<name>\w+) (?P<when>[^;]*?) on {_TABLE}\s+{_REST}"),
    """\
do $guard$
declare
  v_wanted constant text := $wanted${rest}$wanted$;
begin
  if exists (select from pg_catalog.pg_trigger
             where tgrelid = '{schema}.{table}'::regclass and tgname = '{name}') then
    create temporary table {table} (like {schema}.{table});
    execute 'create trigger {name} {when} on pg_temp.{table} ' || v_wanted;
    if (select count(distinct row(tgenabled, regexp_replace(pg_get_triggerdef(oid), ' ON \\S+ ', ' '))) = 1
        from pg_catalog.pg_trigger
        where tgrelid in ('{schema}.{table}'::regclass, 'pg_temp.{table}'::regclass)
          and tgname = '{name}') then
      drop table pg_temp.{table};
      return;
    end if;
    drop table pg_temp.{table};
  end if;
  execute 'create or replace trigger {name} {when} on {schema}.{table} ' || v_wanted;
end $guard$;""",
)

_VIEW = (
    _statement(rf"^create or replace view {_TABLE}\s+{_REST}"),
    """\
do $guard$
declare
  v_wanted constant text := $wanted${rest}$wanted$;
begin
  if to_regclass('{schema}.{table}') is not null then
    execute 'create temporary view {table} ' || v_wanted;
    if (select count(distinct row(reloptions, pg_get_viewdef(oid))) = 1
        from pg_catalog.pg_class
        where oid in ('{schema}.{table}'::regclass, 'pg_temp.{table}'::regclass)) then
      drop view pg_temp.{table};
      return;
    end if;
    drop view pg_temp.{table};
  end if;
  execute 'create or replace view {schema}.{table} ' || v_wanted;
end $guard$;""",
)

_GUARDS = (_SECURITY, _COLUMN, _INDEX, _POLICY, _TRIGGER, _VIEW)


def gently(statements: str) -> str:
    """The statements, those that lock what is there already each in a block that looks first."""
    for pattern, guard in _GUARDS:
        statements = pattern.sub(partial(_filled, guard), statements)
    return statements


def _filled(guard: str, match: re.Match[str]) -> str:
    said = {name: value or "" for name, value in match.groupdict().items()}
    bare = said.get("name", "").strip('"').replace("'", "''")
    return guard.format(bare=bare, quoted=f'"{bare}"', **said)
