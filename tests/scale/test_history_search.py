"""Finding jobs by text, metadata, owner, kind, state and time."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from scratch_database import Database

Find = Callable[..., list[str]]


@pytest.fixture
def member(database: Database, tenant: str) -> str:
    user_id = str(uuid.uuid4())
    database.call("add_member", tenant_id=tenant, user_id=user_id, role="viewer")
    return user_id


@pytest.fixture
def find(database: Database, member: str) -> Find:
    """The keys of the jobs that the member finds."""

    def search(**filters: Any) -> list[str]:
        with database.acting("authenticated", member):
            page = database.call("search_jobs", **filters)
        return [job["job"] for job in page["jobs"]]

    return search


def test_text_is_found_in_key_name_kind_and_error_whatever_its_case(
    database: Database, tenant: str, find: Find
) -> None:
    database.record(tenant, {"job": "by-key-OSLO"})
    database.record(tenant, {"job": "a", "name": "Reindex of Oslo"})
    database.record(tenant, {"job": "b", "kind": "oslo_import"})
    database.record(tenant, {"job": "other"})
    for attempt in (1, 2, 3):
        database.record(
            tenant, {"job": "c", "attempt": attempt, "state": "failed", "reason": "no route to oslo.example"}
        )
    assert sorted(find(q="oSLo")) == ["a", "b", "by-key-OSLO", "c"]
    assert find(q="bergen") == []


@pytest.mark.parametrize("q", ["100%", "a_b", "c\\d", "it's"])
def test_signs_that_mean_something_in_a_pattern_are_text(
    database: Database, tenant: str, find: Find, q: str
) -> None:
    database.record(tenant, {"job": f"x {q} y"}, {"job": "x 100 a-b cd it y"})
    assert find(q=q) == [f"x {q} y"]


def test_metadata_is_found_by_what_it_contains_while_a_job_is_active_and_afterwards(
    database: Database, tenant: str, find: Find
) -> None:
    for job, team in (("active", "blue"), ("ended", "blue"), ("other", "red")):
        database.record(tenant, {"job": job, "metadata": {"team": team, "run": {"gpu": 4, "of": job}}})
    database.record(tenant, {"job": "ended", "state": "completed"})
    assert sorted(find(metadata={"team": "blue"})) == ["active", "ended"]
    assert find(metadata={"run": {"of": "ended"}}) == ["ended"]
    assert find(metadata={"team": "green"}) == []


def test_every_condition_has_to_hold(database: Database, tenant: str, find: Find) -> None:
    owner = str(uuid.uuid4())
    for job in ("first", "second"):
        database.rows(
            "select milepost.create_job(%s, %s)",
            Jsonb({"tenant_id": tenant}),
            Jsonb({"job": job, "kind": "k", "owner_id": owner, "metadata": {"n": job}}),
        )
    everything: dict[str, Any] = {
        "q": "first", "kind": ["k"], "state": ["running"], "owner": owner, "liveness": ["on_time"],
        "metadata": {"n": "first"}, "since": "2000-01-01", "until": "2100-01-01",
    }  # fmt: skip
    assert find(**everything) == ["first"]
    for name, other in (
        ("q", "second"), ("kind", ["l"]), ("state", ["failed", "paused"]), ("owner", str(uuid.uuid4())),
        ("liveness", ["lost"]), ("metadata", {"n": 1}), ("since", "2100-01-01"), ("until", "2000-01-01"),
    ):  # fmt: skip
        assert find(**everything | {name: other}) == [], name


def test_pages_of_a_search_lose_and_repeat_nothing(database: Database, tenant: str, member: str) -> None:
    database.record(tenant, *({"job": f"page {n}"} for n in range(7)), {"job": "other"})
    seen, after = [], None
    while True:
        with database.acting("authenticated", member):
            page = database.one(
                "select milepost.search_jobs(q => 'page', \"limit\" => 3, after => %s)", after
            )
        seen += [job["job"] for job in page["jobs"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(seen) == [f"page {n}" for n in range(7)]


def test_a_search_finds_nothing_of_others(database: Database, tenant: str, find: Find) -> None:
    database.record(database.tenant("other"), {"job": "secret", "metadata": {"secret": 1}})
    assert find(q="secret") == [] and find(metadata={"secret": 1}) == [] and find() == []
    with database.acting("authenticated", str(uuid.uuid4())):
        assert database.call("search_jobs", q="secret") == {"jobs": [], "next": None}


def test_somebody_of_two_tenants_sees_both_in_one_order(
    database: Database, tenant: str, member: str, find: Find
) -> None:
    second = database.tenant("second")
    database.call("add_member", tenant_id=second, user_id=member, role="viewer")
    for number, owner in enumerate((tenant, second, tenant, second)):
        database.record(owner, {"job": f"job {number}"}, seconds=number)
    assert find() == ["job 3", "job 2", "job 1", "job 0"]


def test_a_checkpoint_with_changing_metadata_and_messages_writes_no_index(
    database: Database, tenant: str
) -> None:
    def said(number: int) -> dict[str, Any]:
        return {"job": "job", "items_completed": number, "message": f"{number}", "metadata": {"loss": number}}

    def updates() -> dict[str, int]:
        return database.row(
            "select n_tup_upd as made, n_tup_hot_upd as hot, n_tup_newpage_upd as page_was_full "
            "from pg_stat_xact_all_tables where relid = 'milepost.jobs'::regclass"
        )

    database.record(tenant, said(0))
    with database.undone():
        before = updates()
        for number in range(1, 21):
            database.record(tenant, said(number))
        made, hot, page_was_full = (updates()[name] - before[name] for name in before)
    assert made >= 20 and hot + page_was_full == made
