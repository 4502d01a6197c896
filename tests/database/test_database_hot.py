"""What a checkpoint changes carries no index, and its rows leave room: updates stay on their page."""

import pytest
from scratch_database import Database

JOBS, REQUESTS = 5, 60


def updates(database: Database) -> dict[str, tuple[int, int]]:
    database.rows("select pg_stat_force_next_flush()")
    rows = database.rows(
        "select relname, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables "
        "where schemaname like 'milepost%%' and relname in ('jobs', 'lanes', 'pulses')"
    )
    return {row["relname"]: (row["n_tup_upd"], row["n_tup_hot_upd"]) for row in rows}


@pytest.mark.parametrize("said", [{}, {"message": "on it", "cursor": {"offset": 1}}], ids=["counts", "words"])
def test_nearly_all_updates_of_running_jobs_are_hot(
    database: Database, tenant: str, said: dict[str, object]
) -> None:
    def report(done: int) -> None:
        counts = {"items_total": 1000, "items_completed": done, "bytes_processed": 10 * done}
        database.record(
            tenant, *({"job": f"job-{n}", "seq": done, **counts, **said} for n in range(JOBS)), seconds=done
        )

    report(0)
    before = updates(database)
    for done in range(1, REQUESTS):
        report(done)
    for table, (updated, hot) in updates(database).items():
        updated, hot = updated - before[table][0], hot - before[table][1]
        assert updated >= JOBS * (REQUESTS - 1), table
        assert hot >= 0.95 * updated, (table, updated, hot)
