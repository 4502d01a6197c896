"""stream_events: events in an order in which nothing appears behind a reader's back."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from running_stack import RunningStack, Tenant


class Writer:
    """A transaction that writes checkpoints as PostgREST does, and commits when it is told to."""

    def __init__(self, stack: RunningStack, tenant: Tenant) -> None:
        self._tenant_id = tenant.tenant_id
        self.connection = psycopg.connect(stack.database_url)
        self.connection.execute("set role service_role")

    def record(self, job: str) -> None:
        body = {"caller": {"tenant_id": self._tenant_id}, "checkpoints": [{"job": job}]}
        self.connection.execute("select milepost.record_checkpoints(%s)", (Jsonb(body),))

    def commit(self) -> None:
        self.connection.commit()

    def roll_back(self) -> None:
        self.connection.rollback()


@pytest.fixture
def writers(stack: RunningStack, tenant: Tenant) -> Iterator[list[Writer]]:
    opened = [Writer(stack, tenant) for _ in range(2)]
    yield opened
    for writer in opened:
        writer.connection.close()


class Reader:
    """Reads on as the functions do, and keeps what it got."""

    def __init__(self, stack: RunningStack, tenant: Tenant) -> None:
        self._stack, self._tenant_ids = stack, [tenant.tenant_id]
        self.after: int = self._read(None)["after"]
        self.got: list[dict[str, Any]] = []

    def _read(self, after: int | None, limit: int = 1000) -> dict[str, Any]:
        with psycopg.connect(self._stack.database_url) as connection:
            connection.execute("set role service_role")
            row = connection.execute(
                "select milepost.stream_events(%s::uuid[], %s, %s)::text", (self._tenant_ids, after, limit)
            ).fetchone()
        assert row is not None
        page: dict[str, Any] = json.loads(row[0])
        return page

    def read(self, limit: int = 1000) -> list[str]:
        """Reads a page; the jobs that it is about."""
        page = self._read(self.after, limit)
        self.after = page["after"]
        self.got += page["events"]
        return [event["data"].get("job") for event in page["events"]]


def test_an_event_that_commits_first_waits_for_those_that_were_numbered_before_it(
    stack: RunningStack, tenant: Tenant, writers: list[Writer]
) -> None:
    reader = Reader(stack, tenant)
    early, late = writers
    early.record("early")
    late.record("late")
    late.commit()
    assert reader.read() == []
    early.commit()
    jobs = reader.read()
    assert jobs.index("early") < jobs.index("late")
    numbers = [event["id"] for event in reader.got]
    assert numbers == sorted(set(numbers))
    assert reader.read() == []


def test_a_writer_that_gives_up_leaves_nothing_to_wait_for(
    stack: RunningStack, tenant: Tenant, writers: list[Writer]
) -> None:
    reader = Reader(stack, tenant)
    early, late = writers
    early.record("early")
    late.record("late")
    late.commit()
    early.roll_back()
    assert set(reader.read()) == {"late"}


def test_a_place_never_goes_back_so_that_nothing_is_read_twice(
    stack: RunningStack, tenant: Tenant, writers: list[Writer]
) -> None:
    reader = Reader(stack, tenant)
    slow, quick = writers
    # The slow writer has looked which id was the last one, and takes its lock only after others went on.
    last = stack.sql("select pg_sequence_last_value('milepost.events_event_id_seq') as id")[0]["id"] or 0
    quick.record("quick")
    quick.commit()
    assert set(reader.read()) == {"quick"}
    place = reader.after
    slow.connection.execute(
        "select pg_advisory_xact_lock_shared(milepost_private.stream_lock_base() + %s)", (last,)
    )
    assert reader.read() == []
    assert reader.after == place
    slow.record("slow")
    slow.commit()
    assert set(reader.read()) == {"slow"}


def test_pages_meet_without_a_gap(stack: RunningStack, tenant: Tenant, writers: list[Writer]) -> None:
    reader = Reader(stack, tenant)
    for number in range(5):
        writers[0].record(f"job-{number}")
    writers[0].commit()
    while reader.read(limit=2):
        pass
    stored = stack.sql(
        "select event_id from milepost.events where tenant_id = %s order by 1", (tenant.tenant_id,)
    )
    assert [event["id"] for event in reader.got] == [row["event_id"] for row in stored]


def test_who_is_far_behind_catches_up_in_parts(stack: RunningStack, tenant: Tenant, writers: list[Writer]) -> None:
    reader = Reader(stack, tenant)
    # As if other tenants had written meanwhile.
    stack.sql(
        "select setval('milepost.events_event_id_seq', "
        "coalesce(pg_sequence_last_value('milepost.events_event_id_seq'), 0) + 120000)"
    )
    writers[0].record("job")
    writers[0].commit()
    begins = reader.after
    assert reader.read() == []
    assert reader.after == begins + 50_000
    reader.read()
    assert set(reader.read()) == {"job"}


def test_only_the_service_may_read_so(stack: RunningStack, tenant: Tenant) -> None:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("set role authenticated")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select milepost.stream_events(%s::uuid[])", ([tenant.tenant_id],))
