"""Who was told to come later costs the database nothing for the second after."""

import pytest
from asking import KEY, assert_refused
from fake_postgrest import FakePostgrest, recorded, refusal
from werkzeug.test import Client

from functions import restraint

LATER = refusal(429, "too_many_requests", **{"Retry-After": "7"})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(restraint, "latest", restraint.Restraint(clock))
    return clock


def test_a_key_over_its_limit_is_refused_without_the_database_for_a_second(
    api: Client, fake: FakePostgrest, clock: Clock
) -> None:
    fake.replies["record_checkpoints"] = fake.replies["call_with_key"] = LATER
    for path in ("/v1/checkpoints", "/v1/checkpoints", "/v1/jobs"):
        response = api.post(path, json={"job": "a"}, headers=KEY)
        assert_refused(response, 429, "too_many_requests")
        assert response.headers["Retry-After"] == "7"
    assert len(fake.calls) == 1
    clock.now = 0.9
    assert_refused(api.post("/v1/checkpoints", json={"job": "a"}, headers=KEY), 429, "too_many_requests")
    # A refusal that was kept does not keep itself.
    clock.now = 1.1
    fake.replies["record_checkpoints"] = recorded
    assert api.post("/v1/checkpoints", json={"job": "a"}, headers=KEY).status_code == 200
    assert len(fake.calls) == 2


def test_nobody_else_is_held_back(api: Client, fake: FakePostgrest, clock: Clock) -> None:
    fake.replies["record_checkpoints"] = fake.replies["ping_job"] = LATER
    assert api.post("/v1/checkpoints", json={"job": "a"}, headers=KEY).status_code == 429
    assert api.get("/ping/mp_ping/a").status_code == 429
    fake.replies["record_checkpoints"] = recorded
    other = {"Authorization": "Bearer mp_other"}
    assert api.post("/v1/checkpoints", json={"job": "a"}, headers=other).status_code == 200
    assert api.post("/v1/checkpoints", json={"job": "a"}).status_code == 401
    assert api.get("/openapi.json", headers=KEY).status_code == 200


@pytest.mark.parametrize("code", ["too_many_waiting_jobs", "invalid_transition"])
def test_another_refusal_says_nothing_of_the_next_request(
    api: Client, fake: FakePostgrest, clock: Clock, code: str
) -> None:
    fake.replies["record_checkpoints"] = refusal(429, code)
    assert api.post("/v1/checkpoints", json={"job": "a"}, headers=KEY).status_code == 429
    fake.replies["record_checkpoints"] = recorded
    assert api.post("/v1/checkpoints", json={"job": "a"}, headers=KEY).status_code == 200
