"""Unmodified Supabase clients work against the local stack."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from postgrest import CountMethod
from postgrest.exceptions import APIError
from running_stack import RunningStack

from supabase import Client, ClientOptions, create_client


@pytest.fixture(scope="module")
def table(stack: RunningStack) -> Iterator[str]:
    stack.sql("create table public.words (id int primary key, name text)")
    stack.sql("grant select, insert, update, delete on public.words to service_role")
    stack.sql("""
        create function public.words_names(above int) returns setof text language sql stable
        as $$ select name from public.words where id > above order by id $$
    """)
    stack.sql("notify pgrst, 'reload schema'")
    url = f"{stack.supabase_url}/rest/v1/rpc/words_names?above=0"
    end = time.monotonic() + 10
    while httpx.get(url, headers={"apikey": stack.secret_key}).status_code == 404:
        assert time.monotonic() < end, "PostgREST has not seen the table"
    yield "words"
    stack.sql("drop function public.words_names")
    stack.sql("drop table public.words")


EXPECTED = {
    "inserted": [{"id": 1, "name": "one"}],
    "upserted": [{"id": 1, "name": "uno"}, {"id": 2, "name": "two"}],
    "selected": {"name": "two"},
    "counted": 2,
    "called": ["uno", "two"],
}


@pytest.fixture
def client(stack: RunningStack) -> Iterator[Callable[[str], Client]]:
    """Makes supabase-py's client for a key."""
    with httpx.Client() as connection:
        options = ClientOptions(httpx_client=connection)
        yield lambda key: create_client(stack.supabase_url, key, options)


# supabase-py passes its own deprecated parameter to its own library.
@pytest.mark.filterwarnings("ignore:The 'timeout' parameter is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'verify' parameter is deprecated:DeprecationWarning")
def test_supabase_py_inserts_upserts_selects_counts_and_calls(
    stack: RunningStack, client: Callable[[str], Client], table: str
) -> None:
    supabase = client(stack.secret_key)
    rows = supabase.table(table)
    upserted = [{"id": 1, "name": "uno"}, {"id": 2, "name": "two"}]
    said = {
        "inserted": rows.insert({"id": 1, "name": "one"}).execute().data,
        "upserted": rows.upsert(upserted).execute().data,
        "selected": rows.select("name").eq("id", 2).single().execute().data,
        "counted": rows.select("*", count=CountMethod.exact).execute().count,
        "called": supabase.rpc(f"{table}_names", {"above": 0}).execute().data,
    }
    rows.delete().gt("id", 0).execute()
    assert said == EXPECTED
    with pytest.raises(APIError) as refused:
        client(stack.publishable_key).table(table).select("*").execute()
    assert refused.value.code == "42501"


def test_supabase_js_does_the_same_and_broadcasts(stack: RunningStack, table: str) -> None:
    script = Path(__file__).with_name("clients.mjs")
    ran = subprocess.run(
        ["node", script, stack.supabase_url, stack.secret_key, table],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said.pop("heard") == "all"
    assert said.pop("refused") in ("42P01", "PGRST205")
    assert said == EXPECTED
