"""The addresses that users of other progress monitors know lead to the same functions."""

import pytest
from asking import KEY, TENANT, USER, assert_refused, token
from fake_postgrest import FakePostgrest, Reply, refusal
from werkzeug.test import Client

from functions.main import ROUTES

JOB_ID = "6b1c2d3e-4f50-4162-8738-495a6b7c8d9e"


@pytest.mark.parametrize(
    ("alias", "own"),
    [
        ("/health/tables", "/health/jobs"),
        ("/health/tables/user_profiles", "/health/jobs/user_profiles"),
        ("/health/tables/eu/user_profiles", "/health/jobs/eu/user_profiles"),
        ("/health/prometheus", "/metrics"),
        ("/progress/events", "/v1/events"),
    ],
)
def test_an_alias_leads_to_the_same_function(alias: str, own: str) -> None:
    routes = ROUTES.bind("api")
    assert routes.match(alias, method="GET") == routes.match(own, method="GET")


def test_the_health_of_tables_is_that_of_jobs(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = Reply({"overall_status": "Warning"})
    assert api.get("/health/tables", headers=KEY).get_json() == {"overall_status": "Warning"}


def test_a_websocket_is_answered_where_it_is_and_how_to_join(api: Client, fake: FakePostgrest) -> None:
    response = api.get("/progress/stream", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    details = assert_refused(response, 426, "upgrade_required")["details"]
    realtime_url = fake.url.replace("http://", "ws://") + "/realtime/v1"
    assert (response.headers["Upgrade"], response.headers["Connection"]) == ("websocket", "Upgrade")
    assert details["realtime_url"] == realtime_url
    assert details["websocket_url"] == (
        f"{realtime_url}/websocket?apikey=sb_publishable_of_the_project&vsn=1.0.0"
    )
    assert details["topics"] == ["tenant:<tenant_id>", "job:<job_id>", "user:<user_id>"]
    assert (details["join"]["topic"], details["join"]["event"]) == ("realtime:tenant:<tenant_id>", "phx_join")
    assert details["join"]["payload"]["config"]["private"] is True
    assert b"sb_secret" not in response.data
    assert fake.calls == []


def test_who_sends_a_key_is_told_its_topics(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = fake.replies["list_tenants"] = Reply([{"tenant_id": TENANT}])
    by_key = api.get("/progress/stream", headers=KEY).get_json()["details"]
    by_user = api.get("/progress/stream", headers={"Authorization": f"Bearer {token()}"}).get_json()[
        "details"
    ]
    assert by_key["topics"] == [f"tenant:{TENANT}"]
    assert by_user["topics"] == [f"tenant:{TENANT}", f"user:{USER}"]
    assert by_user["join"]["topic"] == f"realtime:tenant:{TENANT}"


def test_who_names_a_job_is_told_its_topic(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = Reply({"tenant_id": TENANT, "job_id": JOB_ID})
    details = api.get("/progress/stream?job=nightly", headers=KEY).get_json()["details"]
    assert details["topics"] == [f"job:{JOB_ID}"]


def test_a_topic_is_told_to_nobody_who_may_not_see_the_job(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = refusal(404, "job_not_found")
    assert_refused(api.get("/progress/stream?job=others", headers=KEY), 404, "job_not_found")
    forged = {"Authorization": "Bearer a.forged.token"}
    assert_refused(api.get("/progress/stream", headers=forged), 401, "invalid_token")
