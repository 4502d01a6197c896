"""What one tenant or key may take: requests a second, and jobs that wait."""

from collections.abc import Callable

import pytest
from scratch_database import Database, Refused, at


@pytest.fixture
def database(new_database: Callable[[], Database]) -> Database:
    return new_database()


def counted(
    database: Database, tenant: str, seconds: float, key: str | None = None, per_s: int | None = None
) -> None:
    database.rows(
        "select milepost_private.count_request(%s, %s, %s, %s)", tenant, key, per_s, at(seconds)
    )  # fmt: skip


def allow(database: Database, tenant: str, requests_per_s: int) -> None:
    database.rows(
        "update milepost.tenants set requests_per_s = %s where tenant_id = %s", requests_per_s, tenant
    )


def taken(database: Database, tenant: str, seconds: float, most: int = 1000) -> int:
    """How many requests at this moment are let through before one is refused."""
    for count in range(most):
        try:
            counted(database, tenant, seconds)
        except Refused as refused:
            assert (refused.status, refused.code) == (429, "too_many_requests")
            return count
    return most


def test_ten_seconds_of_requests_may_come_at_once_and_no_more(database: Database) -> None:
    tenant = database.tenant()
    allow(database, tenant, 3)
    assert taken(database, tenant, 0) == 30
    # At the end of a period of ten seconds nothing has come back, in the middle of the next one half of it.
    assert taken(database, tenant, 9.9) == 0
    assert taken(database, tenant, 15) == 15
    assert taken(database, tenant, 60) == 30


def test_who_stays_within_the_limit_is_never_refused(database: Database) -> None:
    tenant = database.tenant()
    allow(database, tenant, 3)
    for number in range(300):
        counted(database, tenant, number / 2.9)


def test_a_refusal_says_when_to_come_again_and_then_it_is_taken(database: Database) -> None:
    tenant = database.tenant()
    allow(database, tenant, 2)
    assert taken(database, tenant, 4) == 20
    with pytest.raises(Refused) as refused:
        counted(database, tenant, 4)
    assert "2 requests a second of this tenant" in refused.value.message
    assert refused.value.headers == {"Retry-After": "6"}
    counted(database, tenant, 4 + 6 + 1)


def test_one_tenant_s_noise_is_not_another_s(database: Database) -> None:
    noisy, quiet = database.tenant(), database.tenant()
    allow(database, noisy, 1)
    assert taken(database, noisy, 0) == 10
    counted(database, quiet, 0)


def test_a_key_may_have_less_than_its_tenant(database: Database) -> None:
    tenant = database.tenant()
    key, other = database.key(tenant, "worker").key_id, database.key(tenant, "worker").key_id
    for _ in range(10):
        counted(database, tenant, 0, key, 1)
    with pytest.raises(Refused, match="of this key"):
        counted(database, tenant, 0, key, 1)
    counted(database, tenant, 0, other)


def test_no_two_connections_wait_for_each_other_to_count(database: Database) -> None:
    tenant = database.tenant()
    others = [Database(database.url) for _ in range(2)]
    # Neighbours in the order of their processes have rows of their own.
    pids = [other.one("select pg_backend_pid()") % 16 for other in others]
    assert len(set(pids)) == 2
    first, second = others
    with first.undone():
        counted(first, tenant, 0)
        second.rows("set lock_timeout = '10ms'")
        counted(second, tenant, 0)
    for other in others:
        other.close()


def test_every_request_by_key_is_counted_whatever_it_asks(database: Database) -> None:
    tenant = database.tenant()
    allow(database, tenant, 1)
    key = database.key(tenant, "operator")
    caller = {"key_hash": key.key_hash}
    asked: list[Callable[[], object]] = [
        lambda: database.record(tenant, {"job": "job"}, key=key),
        lambda: database.call("claim_job", caller=caller),
        lambda: database.call("create_job", caller=caller, job={"job": "job"}),
        lambda: database.call("call_with_key", key_hash=key.key_hash, rpc="list_tenants"),
    ]
    for ask in asked:
        database.rows("truncate milepost_private.request_counts")
        with pytest.raises(Refused, match="too_many_requests"):
            for _ in range(21):  # twice what is let through at once, since a period may end meanwhile
                with database.acting("service_role"):
                    ask()


def test_the_more_jobs_are_at_work_the_less_often_each_is_asked_to_report(database: Database) -> None:
    tenant = database.tenant()
    allow(database, tenant, 10)
    (first,) = database.record(tenant, {"job": "job-1"})["results"]
    assert first["next_checkpoint_ms"] == 1000
    for number in range(2, 21):
        database.record(tenant, {"job": f"job-{number}"})
    (last,) = database.record(tenant, {"job": "job-1"})["results"]
    # Twenty jobs, each every four seconds: half of ten requests a second.
    assert last["next_checkpoint_ms"] == 4000


def test_a_full_queue_takes_no_more_and_goes_on_by_priority(database: Database) -> None:
    tenant = database.tenant()
    database.rows("update milepost.tenants set waiting_jobs_most = 3 where tenant_id = %s", tenant)
    caller = {"tenant_id": tenant}

    def create(key: str, **job: object) -> object:
        return database.call("create_job", caller=caller, job={"job": key, "start": False, **job})

    for number, priority in enumerate((1, 3, 2)):
        create(f"job-{number}", priority=priority)
    with pytest.raises(Refused) as refused:
        create("one too many", priority=9)
    assert (refused.value.status, refused.value.code) == (429, "too_many_waiting_jobs")
    assert refused.value.headers == {"Retry-After": "60"}
    # What is there already, and what does not wait, is no burden on the queue.
    create("job-1")
    create("starts at once", start=True)
    database.record(tenant, {"job": "by checkpoint"})
    claimed = [database.call("claim_job", caller=caller)["job"] for _ in range(2)]
    assert claimed == ["job-1", "job-2"]
    create("one too many", priority=9)
    assert database.call("claim_job", caller=caller)["job"] == "one too many"
