from scratch_database import Database
def test_x(database: Database, tenant: str) -> None:
    a = database.record(tenant, {"job": "job", "items_total": 100, "items_completed": 50, "items_failed": 2, "items_skipped": 1}, seconds=0)
    print(a)
    print(database.shown(tenant))
