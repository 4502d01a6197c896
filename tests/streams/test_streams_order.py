"""stream_events: events in an order in which nothing appears behind a reader's back."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from running_stack import RunningStack, Tenant


class Writer:
    """A transaction that writes checkpoints of its job as PostgREST does, and commits when it is told to."""

    def __init__(self, stack: RunningStack, tenant: Tenant, job: str) -> None:
        self._tenant_id, self._job = tenant.tenant_id, job
        self._stages = itertools.count()
        # It waits for nobody: in a test that stands still, that would be for ever.
        self.connection = psycopg.connect(stack.database_url, options="-c lock_timeout=5s")
        self.connection.execute("set role service_role")
        self.record()
        self.commit()

    def record(self) -> None:
        """A checkpoint that begins a stage, which is an event at any time."""
        checkpoint = {"job": self._job, "stage": {"name": f"stage {next(self._stages)}"}}
        body = {"caller": {"tenant_id": self._tenant_id}, "checkpoints": [checkpoint]}
        self.connection.execute("select milepost.record_checkpoints(%s)", (Jsonb(body),))

    def commit(self) -> None:
        self.connection.commit()

    def roll_back(self) -> None:
        self.connection.rollback()


@pytest.fixture
def writers(stack: RunningStack, tenant: Tenant) -> Iterator[list[Writer]]:
    opened = [Writer(stack, tenant, job) for job in ("one", "other")]
    yield opened
    for writer in opened:
        writer.connection.close()


class Reader:
    """Reads on as the functions do, and keeps what it got."""

    def __init__(self, stack: RunningStack, tenant: Tenant) -> None:
        self._stack, self._tenant_ids = stack, [tenant.tenant_id]
        jobs = stack.sql(
            "select job_id::text, key from milepost.jobs where tenant_id = %s", (tenant.tenant_id,)
        )
        self._keys = {job["job_id"]: job["key"] for job in jobs}
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
        """Reads a page; returns the jobs that it is about, in order."""
        page = self._read(self.after, limit)
        self.after = page["after"]
        self.got += page["events"]
        return list(dict.fromkeys(self._keys[event["job_id"]] for event in page["events"]))


def test_an_event_that_commits_first_waits_for_those_that_were_numbered_before_it(
    stack: RunningStack, tenant: Tenant, writers: list[Writer]
) -> None:
    reader = Reader(stack, tenant)
    early, late = writers
    early.record()
    late.record()
    late.commit()
    assert reader.read() == []
    early.commit()
    assert reader.read() == ["one", "other"]
    numbers = [event["id"] for event in reader.got]
    assert numbers == sorted(set(numbers))
    assert reader.read() == []


def test_a_writer_that_gives_up_leaves_nothing_to_wait_for(
    stack: RunningStack, tenant: Tenant, writers: list[Writer]
) -> None:
    reader = Reader(stack, tenant)
    early, late = writers
    early.record()
    late.record()
    late.commit()
    early.roll_back()
    assert reader.read() == ["other"]


def test_a_place_never_goes_back_so_that_nothing_is_read_twice(
    stack: RunningStack, tenant: Tenant, writers: list[Writer]
) -> None:
    reader = Reader(stack, tenant)
    slow, quick = writers
    # The slow writer has looked which id was the last one, and takes its lock only after others went on.
    last = stack.sql("select pg_sequence_last_value('milepost.events_event_id_seq') as id")[0]["id"] or 0
    quick.record()
    quick.commit()
    assert reader.read() == ["other"]
    place = reader.after
    slow.connection.execute(
        "select pg_advisory_xact_lock_shared(milepost_private.stream_lock_base() + %s)", (last,)
    )
    assert reader.read() == []
    assert reader.after == place
    slow.record()
    slow.commit()
    assert reader.read() == ["one"]


def test_pages_meet_without_a_gap(stack: RunningStack, tenant: Tenant, writers: list[Writer]) -> None:
    (job,) = stack.sql(
        "select version from milepost.jobs where tenant_id = %s and key = 'one'", (tenant.tenant_id,)
    )
    reader, begins = Reader(stack, tenant), job["version"]
    for _ in range(5):
        writers[0].record()
    writers[0].commit()
    while reader.read(limit=2):
        pass
    assert len(reader.got) >= 5
    assert [event["version"] for event in reader.got] == list(range(begins + 1, begins + len(reader.got) + 1))


def test_who_is_far_behind_catches_up_in_parts(
    stack: RunningStack, tenant: Tenant, writers: list[Writer]
) -> None:
    reader = Reader(stack, tenant)
    # As if other tenants had written meanwhile.
    stack.sql(
        "select setval('milepost.events_event_id_seq', "
        "coalesce(pg_sequence_last_value('milepost.events_event_id_seq'), 0) + 120000)"
    )
    writers[0].record()
    writers[0].commit()
    begins = reader.after
    assert reader.read() == []
    assert reader.after == begins + 50_000
    reader.read()
    assert reader.read() == ["one"]


def test_only_the_service_may_read_so(stack: RunningStack, tenant: Tenant) -> None:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("set role authenticated")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select milepost.stream_events(%s::uuid[])", ([tenant.tenant_id],))
