"""The stand-in against what was recorded from the real server, frame by frame and byte by byte.

scenarios/<name>.<version>.jsonl hold the steps: what is said, done in SQL or by HTTP, and what must be heard.
Marks in «» stand for what differs from run to run: tokens, ids, times. A numbered mark is the same value
wherever it occurs.
"""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from realtime_project import SECRET, U1, U2, Client, Project, in_a_loop, project

from milepost.local.postgres import Postgres

SCENARIOS = sorted(Path(__file__).with_name("scenarios").glob("*.jsonl"))
USERS = {"u1": U1, "u2": U2}
PATTERNS = {
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "phx_ref": r"[\w-]{16}",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+",
    "n": r"\d+",
}
MARK = re.compile("«(.+?)»")
# What the server says unasked has no fixed place among its answers.
UNASKED = {"broadcast", "presence_diff", "postgres_changes"}

Frame = str | dict[str, str]


class Play:
    """One run of a scenario."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._clients: dict[str, Client] = {}
        self._refusal: tuple[int, str] | None = None
        self._known: dict[str, str] = {}

    async def run(self, steps: list[list[Any]]) -> None:
        expected: dict[str, list[Frame]] = defaultdict(list)
        for verb, *rest in steps:
            if verb == "hear":
                expected[rest[0]].append(rest[1])
                continue
            await self._hear(expected)
            await getattr(self, "_" + verb.replace(" ", "_"))(*rest)
        await self._hear(expected)
        for client in self._clients.values():
            await client.nothing_more()

    async def _hear(self, expected: dict[str, list[Frame]]) -> None:
        for name, frames in expected.items():
            heard = [_as_written(await self._clients[name].hear()) for _ in frames]
            for unasked in (False, True):
                wanted = [frame for frame in frames if _is_unasked(frame) is unasked]
                found = [frame for frame in heard if _is_unasked(frame) is unasked]
                assert len(wanted) == len(found), f"{name} heard {heard}, expected {frames}"
                for one, other in zip(wanted, found, strict=True):
                    self._compare(one, other)
        expected.clear()

    def _compare(self, wanted: Frame, found: Frame) -> None:
        if isinstance(wanted, str) or isinstance(found, str):
            assert isinstance(wanted, str) and isinstance(found, str), f"expected {wanted}, found {found}"
            self._compare_text(wanted, found)
        else:
            assert (wanted["head"], wanted.get("bytes")) == (found["head"], found.get("bytes"))
            self._compare_text(wanted["text"], found["text"])

    def _compare_text(self, wanted: str, found: str) -> None:
        names: list[str] = []

        def pattern(mark: re.Match[str]) -> str:
            name = mark[1]
            known = USERS.get(name) or self._known.get(name)
            if known:
                return re.escape(known)
            kind, _, number = name.partition(" ")
            if not number:
                return PATTERNS[kind]
            group = f"g{number}"
            if name in names:
                return f"(?P={group})"
            names.append(name)
            return f"(?P<{group}>{PATTERNS[kind]})"

        parts = MARK.split(wanted)
        regex = "".join(
            pattern(match) if i % 2 and (match := MARK.fullmatch(f"«{part}»")) else re.escape(part)
            for i, part in enumerate(parts)
        )
        match = re.fullmatch(regex, found)
        assert match, f"expected {wanted}\nfound    {found}"
        self._known |= {name: match[f"g{name.partition(' ')[2]}"] for name in names}

    def _fill(self, text: str) -> str:
        """The text with values in place of marks."""

        def value(mark: re.Match[str]) -> str:
            kind, *words = mark[1].split()
            if kind == "token":
                return self._token(words)
            if mark[1] == "a minute ago":
                return str(int(self._project.clock() - 60) * 1000)
            return USERS[kind]

        return MARK.sub(value, text)

    def _token(self, words: list[str]) -> str:
        claims: dict[str, Any] = {"exp": int(self._project.clock()) + 3600}
        secret = SECRET
        for word in words:
            if word in USERS:
                claims["sub"] = USERS[word]
            elif word == "no-exp":
                del claims["exp"]
            elif word == "forged":
                secret = SECRET[::-1]
            elif re.fullmatch(r"-?\d+", word):
                claims["exp"] = int(self._project.clock()) + int(word)
            elif word != "no-role":
                claims["role"] = word
        return jwt.encode(claims, secret)

    async def _note(self, text: str) -> None:
        """For the reader only."""

    async def _connect(self, name: str, query: str) -> None:
        url = f"{self._project.url}/websocket?{self._fill(query)}"
        try:
            socket = await self._project.http.ws_connect(url)
        except aiohttp.WSServerHandshakeError as error:
            async with self._project.http.get(url) as response:
                self._refusal = error.status, await response.text()
        else:
            self._clients[name] = Client(socket, 2 if "vsn=2" in query else 1)

    async def _refused(self, name: str, status: int, body: str) -> None:
        assert self._refusal == (status, body), name

    async def _say(self, name: str, frame: Frame) -> None:
        if isinstance(frame, str):
            await self._clients[name].say(self._fill(frame))
        else:
            text = self._fill(frame["text"]).encode()
            whole = bytes.fromhex(frame["head"]) + text + bytes.fromhex(frame.get("bytes", ""))
            await self._clients[name].say(whole)

    async def _sql(self, query: str, parameters: list[Any]) -> None:
        self._project.sql(self._fill(query), [self._fill(parameter) for parameter in parameters] or None)
        await self._project.settle()

    async def _rolled_back(self, query: str) -> None:
        with self._project.postgres.connect() as connection, connection.transaction(force_rollback=True):
            connection.execute(self._fill(query).encode())
        await self._project.settle()

    async def _http(self, path: str, body: object, headers: dict[str, str], status: int, answer: str) -> None:
        url, text = self._project.url + self._fill(path), self._fill(json.dumps(body, ensure_ascii=False))
        filled = {name: self._fill(value) for name, value in headers.items()}
        async with self._project.http.post(url, json=json.loads(text), headers=filled) as response:
            assert (response.status, await response.text()) == (status, answer)

    async def _advance(self, seconds: float) -> None:
        await self._project.clock.advance(seconds)

    async def _leave(self, name: str) -> None:
        await self._clients.pop(name).close()

    async def _closed(self, name: str, code: int) -> None:
        assert await self._clients.pop(name).closed() == code


def _as_written(frame: str | bytes) -> Frame:
    """A frame in the form the scenarios have it in."""
    if isinstance(frame, str):
        return frame
    head, body = frame[:5], frame[5:]
    written = {"head": head.hex()}
    if head[4] == 0:
        fields = sum(head[1:4])
        written["bytes"] = body[fields:].hex()
        body = body[:fields]
    return written | {"text": body.decode()}


def _is_unasked(frame: Frame) -> bool:
    if not isinstance(frame, str):
        return True
    parsed = json.loads(MARK.sub("0", frame))
    return (parsed[3] if isinstance(parsed, list) else parsed["event"]) in UNASKED


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_it_says_what_the_real_server_said(scenario: Path, cluster: Postgres) -> None:
    steps = [json.loads(line) for line in scenario.read_text().splitlines()]

    @in_a_loop
    async def play() -> None:
        async with project(cluster) as running:
            await Play(running).run(steps)

    play()


def test_every_scenario_is_there_in_both_versions() -> None:
    names = {path.stem.rpartition(".")[0] for path in SCENARIOS}
    assert len(SCENARIOS) == 2 * len(names) == 34
