"""What Vercel is told, as far as it shows without a build; `make check-vercel` builds."""

import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from functions.events import LIFETIME_S

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def vercel() -> dict[str, Any]:
    told: dict[str, Any] = json.loads((ROOT / "vercel.json").read_text())
    return told


def pins(path: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==([^ ;]+)", (ROOT / path).read_text(), re.MULTILINE))


def test_no_file_of_the_page_is_hidden_by_the_functions(vercel: dict[str, Any]) -> None:
    names = ["/", *("/" + str(path.relative_to(ROOT / "public")) for path in (ROOT / "public").rglob("*"))]
    hidden = [
        name for name in names for rewrite in vercel["rewrites"] if re.fullmatch(rewrite["source"], name)
    ]
    assert hidden == []


def test_a_stream_ends_by_itself_before_vercel_ends_it(vercel: dict[str, Any]) -> None:
    assert vercel["functions"]["api/index.py"]["maxDuration"] >= LIFETIME_S + 30


def test_the_packages_that_vercel_installs_are_those_of_the_lock() -> None:
    locked, installed = pins("requirements.lock"), pins("api/requirements.txt")
    assert {"httpx", "pydantic", "werkzeug", "pyjwt", "cryptography", "prometheus-client"} <= installed.keys()
    assert installed.items() <= locked.items(), "run scripts/lock"
    assert not {"flask", "gunicorn", "functions-framework", "aiohttp", "psycopg", "rich"} & installed.keys()


def test_what_is_left_out_of_the_function_is_there_to_be_left_out(vercel: dict[str, Any]) -> None:
    braces, _, behind = vercel["functions"]["api/index.py"]["excludeFiles"].partition("}")
    assert behind == "{,/**}"
    for pattern in braces.removeprefix("{").split(","):
        assert any(fnmatch(str(path.relative_to(ROOT)), pattern) for path in [*ROOT.iterdir(), *(ROOT / "milepost").iterdir()])  # fmt: skip
    assert not {"api", "functions", "milepost"} & set(braces.removeprefix("{").split(","))
