"""A database with the week of supabase/seed.sql, and the questions of sql/dashboards."""

from pathlib import Path

from scratch_database import Database, Row

from milepost.local import CHECKOUT

SEED = CHECKOUT / "supabase/seed.sql"
DASHBOARDS = CHECKOUT / "sql/dashboards"
TENANT = "5eed0000-0000-4000-8000-000000000001"


def questions() -> list[Path]:
    return sorted(DASHBOARDS.glob("*.sql"))


def answers(database: Database, name: str) -> list[Row]:
    """What the question of this name answers, as the SQL editor's user."""
    (question,) = DASHBOARDS.glob(f"*_{name}.sql")
    cursor = database.connection.execute(question.read_bytes())
    return cursor.fetchall()
