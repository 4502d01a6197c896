"""The whole stack on one machine, without Docker and without an account: for development and tests.

A real Postgres 17 and a real PostgREST (both from npm packages), the functions, the page, and a stand-in for
Supabase Realtime, behind one port with Supabase's own paths. It runs from a checkout, after `make setup`.
"""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


class LocalStackError(Exception):
    """The local stack cannot start or cannot go on; the text says what was found and what to do."""
