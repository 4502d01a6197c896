"""Rules for every object of the database, those that are added later included."""

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
                assert any(
                    "fault" in name or "milepost.jobs" in name for name in found(database, RULES[rule])
                ), rule
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
