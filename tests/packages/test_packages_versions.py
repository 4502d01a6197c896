"""One version everywhere, and a clear word where two parts do not fit."""

import asyncio
import json
import re
import tomllib
from collections.abc import Callable

import httpx
import pytest
from built import ROOT
from scratch_database import Database

import milepost
from functions.openapi import _document
from milepost import _version, _words
from milepost._client import USER_AGENT, Client
from milepost._transports import Api, Credential
from milepost._version import HEADER, VERSION, misfit


def test_every_part_says_the_project_s_version(new_database: Callable[[], Database]) -> None:
    said = {
        "pyproject.toml": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
        "milepost": milepost.__version__,
        "User-Agent": USER_AGENT.removeprefix("milepost-python/"),
        "openapi.json": json.loads(_document())["info"]["version"],
        "package.json": json.loads((ROOT / "package.json").read_text())["version"],
        "package-lock.json": json.loads((ROOT / "package-lock.json").read_text())["version"],
        "public/package.json": json.loads((ROOT / "public/package.json").read_text())["version"],
        "the database": new_database().one("select milepost.schema_version()"),
    }
    assert said == dict.fromkeys(said, VERSION)
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


@pytest.mark.parametrize(
    ("asks", "answers", "wrong"),
    [
        ("0.1.0", "0.1.0", None),
        ("0.1.0", "0.1.7", None),
        ("0.1.7", "0.1.0", None),
        ("0.2.0", "0.1.9", "older"),
        ("0.1.0", "0.2.0", "newer"),
        ("0.9.0", "1.0.0", "newer"),
        ("1.0.0", "0.9.0", "older"),
        ("1.2.0", "1.4.0", None),
        ("1.4.0", "1.2.9", "older"),
        ("1.10.0", "1.9.0", "older"),
        ("1.2.0", "2.0.0", "newer"),
        ("1.2.0", "nonsense", None),
        ("1.2.0", "", None),
    ],
)
def test_which_versions_fit(asks: str, answers: str, wrong: str | None) -> None:
    assert misfit(asks, answers) == wrong


@pytest.mark.parametrize(
    ("server", "says"),
    [
        ("0.2.1", "0.2.1, which is newer: some calls may be refused. Install the package that fits it: pip install 'milepost==0.2.*'."),
        ("0.1.4", "0.1.4, which is older: some calls may be refused. Install the package that fits it: pip install 'milepost==0.1.*', or upgrade the server."),
    ],
)  # fmt: skip
def test_the_sdk_warns_once_of_a_server_that_does_not_fit(
    server: str, says: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_words, "_warned", set())
    monkeypatch.setattr(_version, "VERSION", "0.2.0" if server < "0.2" else "0.1.0")
    client = Client("http://milepost.test", "mp_key", transport=answering(server))
    for _ in range(3):
        client.jobs()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith(says)


def test_watching_warns_as_the_sdk_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_words, "_warned", set())

    async def look() -> None:
        for version in (VERSION, "99.0.0", "99.0.0"):
            transport = answering(version)
            async with Api("http://milepost.test", Credential("mp_key"), transport) as api:
                await api.active_jobs()

    asyncio.run(look())
    (said,) = caplog.messages
    assert "the server is 99.0.0, which is newer" in said


@pytest.mark.parametrize("server", [VERSION, None, "not a version"])
def test_the_sdk_says_nothing_of_one_that_fits_or_is_silent(
    server: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_words, "_warned", set())
    Client("http://milepost.test", "mp_key", transport=answering(server)).jobs()
    assert caplog.messages == []


def answering(version: str | None) -> httpx.MockTransport:
    headers = {} if version is None else {HEADER: version}
    return httpx.MockTransport(
        lambda _: httpx.Response(200, json={"jobs": [], "next": None}, headers=headers)
    )
