"""Many workers at once over HTTP, with the code of benchmarks/concurrency.py and smaller numbers."""

import pytest
from running_stack import RunningStack, Tenant

from benchmarks.concurrency import Worker, beside, deadlocks, group, keys, load, wrong_sums

PATIENCE_S = 60.0


@pytest.fixture
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


def limit(stack: RunningStack, tenant: Tenant, requests_per_s: int) -> None:
    stack.sql(
        "update milepost.tenants set requests_per_s = %s where tenant_id = %s",
        (requests_per_s, tenant.tenant_id),
    )


def test_many_workers_report_on_a_hundred_jobs_and_all_of_them_on_one_and_every_sum_is_exact(
    stack: RunningStack, tenant: Tenant
) -> None:
    limit(stack, tenant, 1_000_000)
    before = deadlocks(stack.sql)
    outcome = load(stack.api_url, tenant.worker_key, group("w", 8, keys("job", 110), 40, 6, always="hot"))
    assert dict(outcome.statuses) == {200: 48}
    assert len({job for job, _ in outcome.counts}) == 111
    assert {lane for job, lane in outcome.counts if job == "hot"} == {f"w{n}" for n in range(8)}
    assert wrong_sums(stack.sql, tenant.tenant_id, outcome) == []
    assert deadlocks(stack.sql) == before
    # A count that got lost would be seen.
    stack.sql("update milepost.lanes set items_completed = 99 where job_id in (select job_id from milepost.jobs "
              "where tenant_id = %s and key = 'hot') and worker = 'w3'", (tenant.tenant_id,))  # fmt: skip
    assert len(wrong_sums(stack.sql, tenant.tenant_id, outcome)) == 1


def test_a_tenant_over_its_limit_is_told_when_to_come_again_and_nobody_else_is(
    stack: RunningStack, tenant: Tenant
) -> None:
    noisy = stack.tenant()
    limit(stack, noisy, 1)
    noise = [Worker(f"n{n}", ["noise"], 1, 1000) for n in range(4)]
    calm, other = beside(
        stack.api_url, tenant.worker_key, group("w", 2, keys("calm", 5), 1, 20), noisy.worker_key, noise
    )
    assert dict(calm.statuses) == {200: 40}
    assert wrong_sums(stack.sql, tenant.tenant_id, calm) == []
    assert set(other.statuses) == {200, 429}
    assert all(1 <= int(seconds) <= 10 for seconds in other.retry_after)
    # What was let through is kept, what was refused left nothing.
    assert wrong_sums(stack.sql, noisy.tenant_id, other) == []
