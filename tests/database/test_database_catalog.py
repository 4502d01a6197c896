"""Rules for every object of the database, those that are added later included."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from scratch_database import Database

LINTS = Path(__file__).with_name("lints.sql").read_text()
# Each rule in words, and the query that finds what breaks it.
RULES = dict(
    rule.strip().split("\n", 1)
    for rule in Path(__file__).with_name("catalog_rules.sql").read_text().split("-- rule: ")[1:]
)


def found(database: Database, query: str) -> list[str]:
    return [row["name"] for row in database.rows(query)]


# What runs with its owner's rights and may be called by users, through functions of the schema that PostgREST exposes. Each asks
# who calls before anything else: one that is added here has to be read for that.
DEFINERS = """
my_tenants managed_tenants may_control actor is_service check_admin find_jobs
create_key list_keys revoke_key add_member remove_member set_retention
control set_priority add_share shares_of end_share
keep_alert_rule keep_alert_channel drop_alert_channel keep_mute
"""


def test_the_definers_that_users_may_call_are_those_that_were_read(database: Database) -> None:
    definers = (
        "select p.proname as name from pg_proc p where p.prosecdef and has_function_privilege('authenticated', p.oid, 'execute') "
        "and p.pronamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) order by 1"
    )
    assert found(database, definers) == sorted(DEFINERS.split())
    with database.undone():
        database.rows(
            "create function milepost_private.fault() returns int language sql security definer as 'select 1'"
        )
        assert "fault" in found(database, definers)


def test_the_schema_that_is_exposed_is_milepost_and_not_what_it_stands_on() -> None:
    config = tomllib.loads((Path(__file__).parents[2] / "supabase/config.toml").read_text())
    assert "milepost" in config["api"]["schemas"]
    assert "milepost_private" not in config["api"]["schemas"] + config["api"]["extra_search_path"]


@pytest.mark.parametrize("rule", RULES)
def test_the_catalog_keeps_the_rule(database: Database, rule: str) -> None:
    assert found(database, RULES[rule]) == []


def test_the_advisors_lints_find_nothing(database: Database) -> None:
    assert database.rows(LINTS) == []


DEFAULTS = "nothing that is made later is granted to anybody by default"
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
        "create table milepost.fault (a int, t regproc, job_id uuid references milepost.jobs); "
        "grant select on milepost.fault to anon",
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
    (
        "create table milepost.fault (a int primary key); "
        "alter table milepost.fault enable row level security",
        ["0008"],
    ),
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
    (
        "create index fault on milepost.jobs (items_completed)",
        ["what changes with every checkpoint carries no index"],
    ),
    (
        "create materialized view milepost.fault as select 1 as a; "
        "grant select on milepost.fault to authenticated",
        ["0016"],
    ),
    (
        "create table public.fault (); create extension citext schema public",
        ["nothing of Milepost's is in public", "0014"],
    ),
    (
        "create table milepost_private.fault (a int primary key); "
        "alter table milepost_private.fault enable row level security; "
        "grant select on milepost_private.fault to authenticated",
        ["what users may read has a policy that says which rows"],
    ),
    (
        "grant update (message) on milepost.jobs to authenticated",
        ["users write to nothing and hand no right on"],
    ),
    (
        "create sequence milepost.fault; grant usage on sequence milepost.fault to anon",
        ["users write to nothing and hand no right on"],
    ),
    ("grant select (key) on milepost.jobs to anon", ["anon has no column, type or schema"]),
    ("alter default privileges in schema milepost grant select on tables to authenticated", [DEFAULTS]),
    ("alter default privileges grant execute on functions to anon", [DEFAULTS]),
    ("alter default privileges in schema milepost_private grant execute on functions to public", [DEFAULTS]),
    (
        "create policy fault on realtime.messages for insert to authenticated with check (milepost_private.may_listen(topic))",
        ["the only policies of Milepost's elsewhere are for hearing"],
    ),
    (
        "create trigger fault before insert on milepost.jobs "
        "for each row execute function suppress_redundant_updates_trigger()",
        ["what triggers run is private"],
    ),
]


@pytest.mark.parametrize(("fault", "rules"), FAULTS, ids=[fault[:60] for fault, _ in FAULTS])
def test_a_fault_of_each_kind_is_found(database: Database, fault: str, rules: list[str]) -> None:
    with database.undone():
        database.rows(fault)
        lints: list[dict[str, Any]] = database.rows(LINTS)
        for rule in rules:
            if rule in RULES:
                assert found(database, RULES[rule]), rule
            else:
                assert any(lint["lint"].startswith(rule) for lint in lints), rule


def test_each_rule_and_lint_has_a_fault_that_it_finds() -> None:
    proven = {rule for _, rules in FAULTS for rule in rules}
    assert set(RULES) <= proven
    lints = {
        "0001",
        "0003",
        "0004",
        "0006",
        "0007",
        "0008",
        "0009",
        "0010",
        "0011",
        "0013",
        "0014",
        "0016",
        "0018",
        "0028",
        "0029",
    }
    assert {rule for rule in proven if rule not in RULES} == lints
    assert all(f"'{lint} " in LINTS for lint in lints)
