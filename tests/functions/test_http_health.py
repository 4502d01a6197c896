"""/health is polled by many: an answer serves its caller for a second, and nobody else."""

import threading
from typing import Any

import pytest
from asking import KEY, assert_refused, token
from fake_postgrest import Call, FakePostgrest, Reply, refusal
from werkzeug.test import Client

from functions import health, metrics
from functions.health import Cache

POLLED = {
    "/health/jobs": "get_jobs_health",
    "/health/loading-progress": "get_loading_progress",
    "/health/metrics": "get_system_metrics",
    "/health/jobs/a": "get_job_health",
}


def figures(fake: FakePostgrest) -> list[str]:
    """What was asked beside who calls, which is asked each time."""
    asked = [call.body.get("rpc", call.rpc) for call in fake.calls]
    return [rpc for rpc in asked if rpc != "list_tenants"]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The cache's clock, which only the test moves."""
    now = [1000.0]
    monkeypatch.setattr(health, "answers", Cache(clock=lambda: now[0]))
    return now


@pytest.mark.parametrize(("path", "rpc"), POLLED.items())
def test_a_hundred_polls_within_a_second_are_one_query(
    api: Client, fake: FakePostgrest, now: list[float], path: str, rpc: str
) -> None:
    fake.replies["call_with_key"] = Reply({"active_jobs": 1})
    for _ in range(100):
        now[0] += 0.0099
        assert api.get(path, headers=KEY).get_json()["active_jobs"] == 1
    assert figures(fake) == [rpc]
    now[0] += 0.02
    api.get(path, headers=KEY)
    assert figures(fake) == [rpc, rpc]


@pytest.mark.parametrize("path", POLLED)
def test_a_key_that_was_revoked_gets_nothing_of_what_is_kept(
    api: Client, fake: FakePostgrest, now: list[float], path: str
) -> None:
    fake.replies["call_with_key"] = Reply({"active_jobs": 1})
    assert api.get(path, headers=KEY).status_code == 200
    fake.replies["call_with_key"] = refusal(401, "invalid_key")
    assert_refused(api.get(path, headers=KEY), 401, "invalid_key")


def test_a_member_who_was_removed_gets_nothing_of_what_is_kept(
    api: Client, fake: FakePostgrest, now: list[float]
) -> None:
    user = {"Authorization": f"Bearer {token()}"}
    for tenants, jobs in (([{"tenant_id": "a"}], 7), ([], 0)):
        fake.replies["list_tenants"] = Reply(tenants)
        fake.replies["get_jobs_health"] = Reply({"total_jobs": jobs})
        assert api.get("/health/jobs", headers=user).get_json()["total_jobs"] == jobs


def test_metrics_for_people_and_for_prometheus_are_one_query_each(
    api: Client, fake: FakePostgrest, now: list[float]
) -> None:
    said: dict[str, Any] = {
        "kinds": [], "active": [], "checkpoints": 7, "ingest_ms": 0, "ingest_buckets": None,
        "ingest_bounds_ms": [], "job_bounds_s": [],
        "system": {field: None for _, _, field, _ in metrics.GAUGES}
        | {"last_sweep_at": None},
    }  # fmt: skip
    fake.replies["call_with_key"] = Reply(said)
    for path in ("/metrics", "/health/prometheus"):
        text = api.get(path, headers=KEY).text
        assert "milepost_checkpoints_total 7.0" in text
        assert "milepost_queue_depth" not in text, "what is unknown is no 0"
    assert figures(fake) == ["get_metrics"]


def test_nobody_gets_anothers_answer(api: Client, fake: FakePostgrest, now: list[float]) -> None:
    fake.replies["call_with_key"] = lambda call: Reply({"for": call.body["key_hash"]})
    fake.replies["get_jobs_health"] = lambda call: Reply({"for": call.headers["authorization"]})
    fake.replies["list_tenants"] = Reply([])
    given = [
        api.get("/health/jobs", headers={"Authorization": f"Bearer {who}"}).get_json()["for"]
        for who in ("mp_one", "mp_two", token(), token(exp=4102444800))
    ]
    assert len(set(given)) == 4
    assert len(figures(fake)) == 4


def test_a_refusal_is_not_kept(api: Client, fake: FakePostgrest, now: list[float]) -> None:
    fake.replies["call_with_key"] = refusal(503, "PGRST001")
    assert api.get("/health/jobs", headers=KEY).status_code == 503
    fake.replies["call_with_key"] = Reply({"overall_status": "Healthy"})
    assert api.get("/health/jobs", headers=KEY).status_code == 200


def test_who_asks_meanwhile_waits_for_the_same_answer(
    api: Client, fake: FakePostgrest, now: list[float]
) -> None:
    asked, let_go = threading.Event(), threading.Event()

    def reply(call: Call) -> Reply:
        if call.body["rpc"] == "list_tenants":
            return Reply([])
        asked.set()
        assert let_go.wait(30)
        return Reply({"overall_status": "Healthy"})

    fake.replies["call_with_key"] = reply
    statuses: list[int] = []

    def poll() -> None:
        statuses.append(api.get("/health/jobs", headers=KEY).status_code)

    first, second = threading.Thread(target=poll), threading.Thread(target=poll)
    first.start()
    assert asked.wait(30)
    second.start()
    let_go.set()
    first.join()
    second.join()
    assert statuses == [200, 200]
    assert len(figures(fake)) == 1


def test_the_cache_is_bounded() -> None:
    cache, asked = Cache(size=3, clock=lambda: 0.0), []

    def ask(n: int) -> bytes:
        asked.append(n)
        return str(n).encode()

    for n in (1, 2, 3, 4, 4, 1):
        assert cache.get(n, lambda n=n: ask(n)) == str(n).encode()  # type: ignore[misc]
    assert asked == [1, 2, 3, 4, 1]


def test_the_instance_tells_its_memory_and_time(api: Client, fake: FakePostgrest, now: list[float]) -> None:
    fake.replies["call_with_key"] = Reply({"active_jobs": 1})
    instance = api.get("/health/metrics", headers=KEY).get_json()["instance"]
    assert instance["memory_bytes"] > 1_000_000
    assert instance["cpu_s"] > 0
    assert instance["threads"] >= 1
    assert instance["uptime_s"] > 0
