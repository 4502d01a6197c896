"""Posting checkpoints, and reading server-sent events as any client of them does."""

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import httpx
from running_stack import RunningStack

from milepost.local.stack import Access


class Said(NamedTuple):
    """One block of a stream of events."""

    id: str | None
    name: str
    body: Any
    comment: str | None
    retry: str | None


def blocks(text: Iterator[str]) -> Iterator[Said]:
    """The blocks of a stream, from its lines."""
    fields: dict[str, str] = {}
    for line in text:
        if line:
            name, _, value = line.partition(":")
            fields[name or "comment"] = value.removeprefix(" ")
            continue
        data = json.loads(fields["data"]) if "data" in fields else None
        yield Said(
            fields.get("id"), fields.get("event", "message"), data, fields.get("comment"), fields.get("retry")
        )
        fields = {}


def lines(response: httpx.Response) -> Iterator[str]:
    """Lines as they come, by line feeds only."""
    rest = ""
    for chunk in response.iter_text():
        *whole, rest = (rest + chunk).split("\n")
        yield from whole


class Api:
    """The HTTP API as the holder of a key or token calls it."""

    def __init__(self, stack: RunningStack | Access, key: str) -> None:
        self.http = httpx.Client(
            base_url=stack.api_url, headers={"Authorization": f"Bearer {key}"}, timeout=30
        )

    def close(self) -> None:
        self.http.close()

    def post(self, *checkpoints: dict[str, Any]) -> None:
        answer = self.http.post("/v1/checkpoints", json=checkpoints)
        assert answer.status_code == 200, answer.text
        assert answer.json()["errors"] == []

    def job(self, job: str) -> dict[str, Any]:
        answer = self.http.get(f"/v1/jobs/{job}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def events(
        self, job: str | None = None, last_id: str | None = None, path: str = "/v1/events"
    ) -> Generator[Said, None, None]:
        """One connection to GET /v1/events; closing the iterator closes it."""
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        query = {} if job is None else {"job": job}
        with self.http.stream("GET", path, params=query, headers=headers) as response:
            if response.status_code != 200:
                response.read()
                raise httpx.HTTPStatusError(response.text, request=response.request, response=response)
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            yield from blocks(lines(response))

    def hear(self, count: int, job: str | None = None, last_id: str | None = None) -> list[Said]:
        """The first so many blocks that carry something."""
        heard = []
        with closing(self.events(job, last_id)) as events:
            for said in events:
                if said.body is not None:
                    heard.append(said)
                    if len(heard) == count:
                        break
        return heard
