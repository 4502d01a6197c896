"""Rules for every object of the database, those that are added later included."""

from pathlib import Path
from typing import Any

import pytest
from scratch_database import Database

LINTS = Path(__file__).with_name("lints.sql").read_text()
OURS = "('milepost'::regnamespace, 'milepost_private'::regnamespace)"

# Rules by name: each query finds what breaks it.
RULES = {
    "every function has search_path = '' in its definition": f"""
        select p.oid::regprocedure::text as name from pg_proc p
        where p.pronamespace in {OURS} and not coalesce('search_path=""' = any (p.proconfig), false)""",
    "every function says what it does": f"""
        select p.oid::regprocedure::text as name from pg_proc p
        where p.pronamespace in {OURS} and coalesce(length(obj_description(p.oid, 'pg_proc')), 0) < 10""",
    "no function may be executed by everybody or by anon": f"""
        select p.oid::regprocedure::text as name from pg_proc p
        where p.pronamespace in {OURS}
          and (p.proacl is null or has_function_privilege('anon', p.oid, 'execute')
               or exists (select from aclexplode(p.proacl) a where a.grantee = 0))""",
    "security definers are private": """
        select p.oid::regprocedure::text as name from pg_proc p
        where p.pronamespace = 'milepost'::regnamespace and p.prosecdef""",
    "the service may execute every function but triggers": f"""
        select p.oid::regprocedure::text as name from pg_proc p
        where p.pronamespace in {OURS} and p.prorettype <> 'trigger'::regtype
          and not has_function_privilege('service_role', p.oid, 'execute')""",
    "every table has row level security and a primary key": f"""
        select c.oid::regclass::text as name from pg_class c
        where c.relnamespace in {OURS} and c.relkind in ('r', 'p')
          and (not c.relrowsecurity or not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p'))""",
    "every view runs with its reader's rights": f"""
        select c.oid::regclass::text as name from pg_class c
        where c.relnamespace in {OURS} and c.relkind = 'v' and not coalesce('security_invoker=true' = any (c.reloptions), false)""",
    "every table, view and type says what it is": f"""
        select c.oid::regclass::text as name from pg_class c
        where c.relnamespace in {OURS} and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
          and obj_description(c.oid, 'pg_class') is null
        union all
        select t.oid::regtype::text from pg_type t join pg_class c on c.oid = t.typrelid
        where t.typnamespace in {OURS} and c.relkind = 'c' and obj_description(t.oid, 'pg_type') is null""",
    "every column of a public table says what it is": """
        select c.oid::regclass || '.' || a.attname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'milepost'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
          and col_description(c.oid, a.attnum) is null""",
    "every column of a public view says what it is, unless it is a public table's": """
        select c.oid::regclass || '.' || a.attname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'milepost'::regnamespace and c.relkind = 'v' and a.attnum > 0 and not a.attisdropped
          and col_description(c.oid, a.attnum) is null and not exists (
            select from pg_class s join pg_attribute b on b.attrelid = s.oid
            where s.relnamespace = 'milepost'::regnamespace and s.oid <> c.oid and b.attname = a.attname
              and col_description(s.oid, b.attnum) is not null)""",
    "policies ask once a query: auth and helpers stand in a sub-select": f"""
        select p.polrelid::regclass || ': ' || p.polname as name from pg_policy p join pg_class c on c.oid = p.polrelid
        where c.relnamespace in {OURS}
          and regexp_replace(lower(pg_get_expr(p.polqual, p.polrelid)), '\\(\\s*select .*?\\)\\s*(as \\w+)?\\)', '', 'g')
              ~ '(auth|milepost_private)\\.\\w+\\('""",
    "policies are for signed-in users": f"""
        select p.polrelid::regclass || ': ' || p.polname as name from pg_policy p join pg_class c on c.oid = p.polrelid
        where c.relnamespace in {OURS} and p.polroles <> array['authenticated'::regrole::oid]""",
    "everybody as a grantee gets nothing": f"""
        select c.oid::regclass::text as name from pg_class c cross join lateral aclexplode(c.relacl) a
        where c.relnamespace in {OURS} and a.grantee in (0, 'anon'::regrole)""",
    "triggers live in the private schema and are named in the order in which they run": f"""
        select t.tgrelid::regclass || ': ' || t.tgname as name from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where c.relnamespace in {OURS} and not t.tgisinternal
          and (t.tgname !~ '^_[0-9]{{3}}_' or t.tgfoid not in (
            select p.oid from pg_proc p where p.pronamespace = 'milepost_private'::regnamespace))""",
    "what changes with every checkpoint carries no index": f"""
        select i.indexrelid::regclass::text as name from pg_index i
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
        where i.indrelid in ('milepost.jobs'::regclass, 'milepost.lanes'::regclass, 'milepost_private.pulses'::regclass)
          and (a.attname like 'items\\_%' or a.attname like '%\\_seq' or a.attname in ('version', 'seq', 'seen', 'message',
               'bytes_processed', 'last_checkpoint_at', 'last_progress_at', 'active_at', 'active_s', 'held_back', 'settled'))""",
    "nothing of Milepost's is in public": """
        select c.oid::regclass::text as name from pg_class c where c.relnamespace = 'public'::regnamespace
        union all
        select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'public'::regnamespace""",
}


def found(database: Database, query: str) -> list[str]:
    return [row["name"] for row in database.rows(query)]


@pytest.mark.parametrize("rule", RULES)
def test_the_catalog_keeps_the_rule(database: Database, rule: str) -> None:
    assert found(database, RULES[rule]) == []


def test_the_advisors_lints_find_nothing(database: Database) -> None:
    assert database.rows(LINTS) == []


# What breaks each rule and lint once, so that an empty answer means something.
FAULTS: list[tuple[str, list[str]]] = [
    (
        "create function milepost.fault() returns int language sql security definer as 'select 1'",
        [
            "every function has search_path = '' in its definition",
            "every function says what it does",
            "no function may be executed by everybody or by anon",
            "security definers are private",
            "0011",
            "0028",
            "0029",
        ],
    ),
    (
        "create function milepost.fault() returns int language sql as 'select 1'; "
        "revoke execute on function milepost.fault() from public",
        ["the service may execute every function but triggers"],
    ),
    (
        "create table milepost.fault (a int, t regproc, job_id uuid references milepost.jobs); grant select on milepost.fault to anon",
        [
            "every table has row level security and a primary key",
            "every table, view and type says what it is",
            "every column of a public table says what it is",
            "everybody as a grantee gets nothing",
            "0001",
            "0004",
            "0013",
            "0018",
        ],
    ),
    ("create table milepost.fault (a int primary key); alter table milepost.fault enable row level security", ["0008"]),
    (
        "create view milepost.fault as select job_id, 1 as number from milepost.jobs",
        [
            "every view runs with its reader's rights",
            "every table, view and type says what it is",
            "every column of a public view says what it is, unless it is a public table's",
            "0010",
        ],
    ),
    ("create type milepost_private.fault as (a int)", ["every table, view and type says what it is"]),
    (
        "create policy fault on milepost.jobs for select to authenticated using (owner_id = auth.uid())",
        ["policies ask once a query: auth and helpers stand in a sub-select", "0003", "0006"],
    ),
    ("create policy fault on milepost.jobs for all using (true)", ["policies are for signed-in users"]),
    ("alter table milepost.jobs disable row level security", ["0007", "0013"]),
    ("create index fault on milepost.members (user_id, tenant_id)", ["0009"]),
    ("create index fault on milepost.jobs (items_completed)", ["what changes with every checkpoint carries no index"]),
    (
        "create materialized view milepost.fault as select 1 as a; grant select on milepost.fault to authenticated",
        ["0016"],
    ),
    ("create table public.fault (); create extension citext schema public", ["nothing of Milepost's is in public", "0014"]),
    (
        "create trigger fault before insert on milepost.jobs for each row execute function suppress_redundant_updates_trigger()",
        ["triggers live in the private schema and are named in the order in which they run"],
    ),
]


@pytest.mark.parametrize(("fault", "rules"), FAULTS, ids=[fault[:60] for fault, _ in FAULTS])
def test_a_fault_of_each_kind_is_found(database: Database, fault: str, rules: list[str]) -> None:
    with database.undone():
        database.rows(fault)
        lints: list[dict[str, Any]] = database.rows(LINTS)
        for rule in rules:
            if rule in RULES:
                assert any("fault" in name or "milepost.jobs" in name for name in found(database, RULES[rule])), rule
            else:
                assert any(lint["lint"].startswith(rule) for lint in lints), rule


def test_each_rule_and_lint_has_a_fault_that_it_finds() -> None:
    proven = {rule for _, rules in FAULTS for rule in rules}
    assert set(RULES) <= proven
    lints = {"0001", "0003", "0004", "0006", "0007", "0008", "0009", "0010", "0011", "0013", "0014", "0016", "0018", "0028", "0029"}
    assert {rule for rule in proven if rule not in RULES} == lints
    assert all(f"'{lint} " in LINTS for lint in lints)
