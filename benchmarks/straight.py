"""The functions as they are deployed, with PostgREST itself where SUPABASE_URL points: no gateway between them."""

import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from functions import database
from functions.connections import Connections
from functions.main import api as api
from functions.settings import Settings


@cache
def connections() -> Connections:
    return Connections(Settings.supabase_url)


database.connections = connections
