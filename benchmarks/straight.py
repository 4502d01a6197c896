"""The functions as they are deployed, with PostgREST itself where SUPABASE_URL points: no gateway between them."""

import sys
from functools import cache
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from functions import database
from functions.main import api as api


@cache
def address(rpc: str) -> httpx.URL:
    return httpx.URL(f"{database._setting('SUPABASE_URL')}/rpc/{rpc}")


database.address = address
