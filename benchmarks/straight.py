"""The functions as they are deployed, with PostgREST itself where SUPABASE_URL points: no gateway between them."""

import sys
from functools import cache
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from functions import database
from functions.main import api as api
from functions.settings import Settings


@cache
def address(rpc: str) -> httpx.URL:
    return httpx.URL(f"{Settings.supabase_url}/rpc/{rpc}")


database.address = address
