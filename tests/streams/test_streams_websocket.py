"""Who looks for a WebSocket at /progress/stream and does as the answer says hears the events."""

import json
from typing import Any

import httpx
import pytest
from running_stack import RunningStack, Tenant
from talking import Api
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

PATIENCE_S = 20.0


def message(socket: Connection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(socket.recv(timeout=PATIENCE_S))
    return frame


def test_a_websocket_client_is_told_where_to_go(stack: RunningStack) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(stack.api_url.replace("http", "ws", 1) + "/progress/stream"),
    ):
        pass
    assert refused.value.response.status_code == 426
    assert json.loads(refused.value.response.body)["code"] == "upgrade_required"


def test_what_the_answer_says_joins_and_hears(stack: RunningStack, tenant: Tenant, worker: Api) -> None:
    worker.post({"job": "import", "items_total": 10})
    token = tenant.teammate.jwt
    answer = httpx.get(
        f"{stack.api_url}/progress/stream?job=import", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 426
    told = answer.json()["details"]
    assert told["realtime_url"] == stack.realtime_url
    told["join"]["payload"]["access_token"] = token
    with connect(told["websocket_url"]) as socket:
        socket.send(json.dumps(told["join"]))
        while (frame := message(socket))["payload"].get("message") != "Replication connection established":
            assert frame["payload"].get("status") != "error", frame
        worker.post({"job": "import", "items_completed": 4})
        while (frame := message(socket))["event"] != "broadcast":
            pass
    event = frame["payload"]["payload"]
    assert (event["type"], event["data"]["items_completed"]) == ("job.progress", 4)
