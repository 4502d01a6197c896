"""A part that dies is started again, and the stack says so."""

import shutil
import signal
from pathlib import Path

import httpx
import psycopg
from dev_process import dev, eventually

from milepost.local import CHECKOUT
from milepost.local.stack import Access


def rest_answers(access: Access) -> bool:
    answer = httpx.get(f"{access.supabase_url}/rest/v1/", headers={"apikey": access.secret_key})
    assert answer.status_code in (200, 503), answer.text
    if answer.status_code == 503:
        assert answer.headers["retry-after"]
        assert set(answer.json()) == {"code", "message", "details", "hint"}
    return answer.status_code == 200


def database_answers(access: Access) -> bool:
    try:
        with psycopg.connect(access.database_url) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_functions_that_cannot_be_loaded_yet_are_reported_once_and_serve_when_they_can(
    tmp_path: Path,
) -> None:
    for part in ("milepost", "sql"):
        shutil.copytree(CHECKOUT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "node_modules").symlink_to(CHECKOUT / "node_modules")
    source = tmp_path / "functions/main.py"
    source.parent.mkdir()
    starts = tmp_path / "starts"
    source.write_text(f"open({str(starts)!r}, 'a').write('x'); raise SystemExit('unfinished')")
    with dev(checkout=tmp_path) as running:
        access = running.ready()
        answer = httpx.get(f"{access.api_url}/health")
        assert (answer.status_code, answer.json()["code"]) == (503, "functions_unavailable")
        eventually(lambda: len(starts.read_text()) >= 3, "it was tried three times")
        source.write_text("def api(request): return {'status': 'ok'}")
        eventually(
            lambda: httpx.get(f"{access.api_url}/health").status_code == 200, "the functions answer at last"
        )
        _, said = running.end(signal.SIGINT)
    assert said.count("The functions' process ended (exit code 1); starting it again.") == 1


def test_killed_parts_come_back_and_it_says_so() -> None:
    with dev() as running:
        access = running.ready()
        assert rest_answers(access)

        running.kill("postgrest")
        assert "PostgREST ended (SIGKILL); starting it again" in running.said("PostgREST ended")
        eventually(lambda: rest_answers(access), "PostgREST answers again")

        running.kill("functions_framework")
        assert "ended (SIGKILL); starting it again" in running.said("functions' process ended (")
        eventually(
            lambda: httpx.get(f"{access.api_url}/health").status_code not in (502, 503),
            "the functions answer again",
        )

        running.kill("bin/postgres")
        assert "Postgres ended (SIGKILL); starting it again" in running.said("Postgres ended (")
        eventually(lambda: database_answers(access), "Postgres answers again, at its old address")
        eventually(lambda: rest_answers(access), "PostgREST has found it again")
