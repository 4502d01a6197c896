"""A part that dies is started again, and the stack says so."""

import os
import signal

import httpx
import psycopg
from dev_process import Dev, dev, eventually

from milepost.local.stack import Access


def kill(running: Dev, words: str) -> int:
    """Kills the oldest process with these words in its command line."""
    pid = min(pid for pid, command in running.family().items() if words in command)
    os.kill(pid, signal.SIGKILL)
    return pid


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


def test_killed_parts_come_back_and_it_says_so() -> None:
    with dev() as running:
        access = running.ready()
        assert rest_answers(access)

        kill(running, "postgrest")
        assert "PostgREST ended (SIGKILL); starting it again" in running.said("PostgREST ended")
        eventually(lambda: rest_answers(access), "PostgREST answers again")

        kill(running, "functions_framework")
        assert "ended (SIGKILL); starting it again" in running.said("functions' process ended")
        eventually(
            lambda: httpx.get(f"{access.api_url}/health").status_code not in (502, 503),
            "the functions answer again",
        )

        kill(running, "bin/postgres")
        assert "Postgres ended (SIGKILL); starting it again" in running.said("Postgres ended")
        eventually(lambda: database_answers(access), "Postgres answers again, at its old address")
        eventually(lambda: rest_answers(access), "PostgREST has found it again")
