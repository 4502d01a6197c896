"""The HTTP API as different people ask it, and a job whose every text would give something away."""

from typing import Any

import httpx
from running_stack import RunningStack, Tenant


class Asking:
    """Requests to the local stack; each says on whose behalf, None for nobody."""

    def __init__(self, stack: RunningStack) -> None:
        self.http = httpx.Client(base_url=stack.api_url, timeout=30, trust_env=False)

    def get(self, path: str, who: str | None = None, **headers: str) -> httpx.Response:
        return self.http.get(path, headers={**headers, **authorization(who)})

    def post(self, path: str, who: str | None = None, body: object = None) -> httpx.Response:
        return self.http.post(path, headers=authorization(who), json={} if body is None else body)

    def checkpoint(self, tenant: Tenant, **entry: Any) -> str:
        """A worker says something of a job; the job's id."""
        answer = self.post("/v1/checkpoints", tenant.worker_key, entry)
        assert answer.status_code == 200, answer.text
        assert answer.json()["errors"] == []
        job_id: str = answer.json()["results"][0]["job_id"]
        return job_id

    def paused(self, tenant: Tenant, job: str, **entry: Any) -> str:
        """A job that was paused and whose worker said so; the job's id."""
        self.checkpoint(tenant, job=job, **entry)
        assert self.post(f"/v1/jobs/{job}/pause", tenant.operator_key).status_code == 200
        return self.checkpoint(tenant, job=job, state="paused")

    def share(self, tenant: Tenant, job: str, **body: Any) -> dict[str, Any]:
        """A link that an operator made."""
        answer = self.post(f"/v1/jobs/{job}/shares", tenant.operator_key, body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


def authorization(who: str | None) -> dict[str, str]:
    return {} if who is None else {"Authorization": f"Bearer {who}"}


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body.get("code")) == (status, code), body
    assert {"code", "message", "details", "hint"} <= body.keys()
    return body
