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


def test_a_request_locks_no_row_that_other_requests_need(database: Database, tenant: str) -> None:
    def locks() -> list[dict[str, object]]:
        return database.rows(
            "select t.xmax::text, o.xmax::text as load_xmax from milepost.tenants t "
            "join milepost_private.tenant_loads o using (tenant_id) where t.tenant_id = %s",
            tenant,
        )

    database.record(tenant, {"job": "locks", "items_completed": 1, "items_total": 99})
    before = locks()
    database.record(tenant, {"job": "locks", "items_completed": 2, "items_total": 99})
    assert locks() == before


def test_what_was_measured_of_a_tenant_that_is_gone_stops_no_sweep(database: Database) -> None:
    (made,) = database.rows("select milepost.create_tenant('leaver') ->> 'tenant_id' as tenant_id")
    database.record(made["tenant_id"], {"job": "left", "items_completed": 1})
    database.rows(
        "update milepost_private.measurements set measured_at = now() - interval '1 hour' returning 1"
    )
    database.rows("delete from milepost.tenants where tenant_id = %s returning 1", made["tenant_id"])
    database.rows("select milepost.sweep()")
    assert (
        database.rows("select 1 from milepost_private.measurements where tenant_id = %s", made["tenant_id"])
        == []
    )
