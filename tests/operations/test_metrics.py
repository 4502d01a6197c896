"""/metrics: what Prometheus takes, counters that never fall, and deploy/ that names only what is there."""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from running_stack import RunningStack, Tenant

ROOT = Path(__file__).parents[2]
# Set up beside the environment's own programs, unless it is on the path.
PROMTOOL = next(
    (str(path) for path in [Path(sys.executable).parent / "promtool"] if path.exists()), "promtool"
)

Sample = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture
def api(stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api_url, timeout=30, trust_env=False) as client:
        yield client


def key(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def report(api: httpx.Client, tenant: Tenant, *checkpoints: dict[str, object]) -> None:
    answer = api.post("/v1/checkpoints", json=list(checkpoints), headers=key(tenant.worker_key))
    assert answer.status_code == 200, answer.text
    assert answer.json()["errors"] == []


def scraped(stack: RunningStack, tenant: Tenant) -> str:
    """As this tenant's newest key sees it: an answer is kept for a second, for each key by itself."""
    made = stack.sql("select milepost.create_key(%s, 'worker') as made", (tenant.tenant_id,))[0]["made"]
    url = f"{stack.api_url}/metrics"
    answer = httpx.get(url, headers=key(made["key"]), timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return answer.text


def samples(text: str) -> dict[Sample, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[name, frozenset(labels.items())]


def some_work(api: httpx.Client, tenant: Tenant) -> None:
    report(
        api,
        tenant,
        {"job": "a", "kind": "csv", "items_total": 10, "items_completed": 3, "bytes_processed": 1000},
        {"job": "b", "kind": 'we"ird\\kind', "items_completed": 2, "items_failed": 1},
    )
    report(api, tenant, {"job": "a", "items_completed": 10, "items_skipped": 1, "state": "completed"})


def test_promtool_finds_nothing_to_complain_of(
    stack: RunningStack, api: httpx.Client, tenant: Tenant
) -> None:
    some_work(api, tenant)
    text = scraped(stack, tenant)
    checked = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_it_counts_items_jobs_and_checkpoints(stack: RunningStack, api: httpx.Client, tenant: Tenant) -> None:
    some_work(api, tenant)
    text = scraped(stack, tenant)
    assert value(text, "milepost_items_processed_total", kind="csv", state="completed") == 10
    assert value(text, "milepost_items_processed_total", kind="csv", state="skipped") == 1
    assert value(text, "milepost_items_processed_total", kind='we"ird\\kind', state="failed") == 1
    assert value(text, "milepost_bytes_processed_total", kind="csv") == 1000
    assert value(text, "milepost_jobs_ended_total", kind="csv", state="completed") == 1
    assert value(text, "milepost_jobs", kind='we"ird\\kind', state="running") == 1
    assert value(text, "milepost_checkpoints_total") == 3
    assert value(text, "milepost_ingest_duration_seconds_count") == 2
    assert value(text, "milepost_ingest_duration_seconds_bucket", le="+Inf") == 2
    assert value(text, "milepost_job_duration_seconds_count", kind="csv") == 1


def test_no_label_names_a_job(stack: RunningStack, api: httpx.Client, tenant: Tenant) -> None:
    some_work(api, tenant)
    labels = {name for _, named in samples(scraped(stack, tenant)) for name, _ in named}
    assert labels == {"kind", "state", "le"}


def test_no_counter_ever_falls(stack: RunningStack, api: httpx.Client, tenant: Tenant) -> None:
    some_work(api, tenant)
    before = samples(scraped(stack, tenant))

    def assert_none_fell() -> None:
        now = samples(scraped(stack, tenant))
        counters = [s for s in before if re.search(r"_(total|count|sum|bucket)$", s[0])]
        assert len(counters) > 30
        assert {s: now[s] for s in counters} == pytest.approx({s: before[s] for s in counters})

    stack.sql("select milepost_private.roll_up_measurements(now())")
    assert_none_fell()
    # Onto totals that are there already.
    report(api, tenant, {"job": "again", "kind": "csv", "items_completed": 5, "state": "completed"})
    before = samples(scraped(stack, tenant))
    stack.sql("select milepost_private.roll_up_measurements(now())")
    assert_none_fell()
    stack.sql("delete from milepost.jobs where tenant_id = %s", (tenant.tenant_id,))
    assert_none_fell()


def test_what_an_attempt_does_again_counts_again(
    stack: RunningStack, api: httpx.Client, tenant: Tenant
) -> None:
    job = f"job-{uuid.uuid4()}"
    report(api, tenant, {"job": job, "kind": "csv", "items_completed": 5})
    api.post(f"/v1/jobs/{job}/retry", headers=key(tenant.operator_key)).raise_for_status()
    report(api, tenant, {"job": job, "attempt": 2, "items_completed": 4})
    text = scraped(stack, tenant)
    assert value(text, "milepost_items_processed_total", kind="csv", state="completed") == 9


def test_kinds_beyond_fifty_are_other_and_stay_so(
    stack: RunningStack, api: httpx.Client, tenant: Tenant
) -> None:
    for n in range(60):
        report(api, tenant, {"job": f"job-{n}", "kind": f"kind-{n:02}", "items_completed": 1})

    def kinds() -> dict[str, float]:
        return {
            dict(labels)["kind"]: count
            for (name, labels), count in samples(scraped(stack, tenant)).items()
            if name == "milepost_items_processed_total" and dict(labels)["state"] == "completed"
        }

    first = {f"kind-{n:02}": 1.0 for n in range(50)} | {"other": 10.0}
    assert kinds() == first
    report(api, tenant, *({"job": f"job-{n}", "items_completed": 100} for n in range(55, 60)))
    stack.sql("select milepost_private.roll_up_measurements(now())")
    assert kinds() == first | {"other": 505.0}


def test_a_tenant_sees_its_own_figures_only(stack: RunningStack, api: httpx.Client, tenant: Tenant) -> None:
    some_work(api, tenant)
    stranger = stack.tenant()
    text = scraped(stack, stranger)
    assert value(text, "milepost_checkpoints_total") == 0
    assert "csv" not in text
    by_user = api.get("/metrics", headers=key(tenant.teammate.jwt))
    assert value(by_user.text, "milepost_checkpoints_total") == 3


@pytest.mark.parametrize("path", ["/metrics", "/health/prometheus"])
def test_it_needs_a_key(api: httpx.Client, tenant: Tenant, path: str) -> None:
    assert api.get(path).json()["code"] == "key_required"
    assert api.get(path, headers=key("mp_nobodys")).json()["code"] == "invalid_key"
    assert api.get(path, headers=key(tenant.ping_key)).status_code == 403
    assert api.get(path, headers=key(tenant.operator_key)).status_code == 200


def test_promtool_accepts_the_alert_rules_and_the_configuration() -> None:
    for check, file in (("rules", "prometheus-alerts.yml"), ("config", "prometheus.yml")):
        options = ["--syntax-only"] if check == "config" else []
        checked = subprocess.run(
            [PROMTOOL, "check", check, *options, f"deploy/{file}"], cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_deploy_names_only_metrics_and_labels_that_are_there(
    stack: RunningStack, api: httpx.Client, tenant: Tenant
) -> None:
    some_work(api, tenant)
    report(api, tenant, {"job": "c", "kind": "csv"})
    waiting = {"job": "waits", "start": False}
    api.post("/v1/jobs", json=waiting, headers=key(tenant.worker_key)).raise_for_status()
    present = {name for name, _ in samples(scraped(stack, tenant))}
    for file in ("prometheus-alerts.yml", "grafana-dashboard.json"):
        named = set(re.findall(r"\bmilepost_\w+", (ROOT / "deploy" / file).read_text()))
        assert len(named) > 5
        assert named <= present, f"{file}: {named - present}"
    dashboard = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    labels = {
        label
        for e in expressions
        for found in re.findall(r"by \(([\w, ]+)\)", e)
        for label in found.split(", ")
    }
    assert labels <= {"kind", "state", "le"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
