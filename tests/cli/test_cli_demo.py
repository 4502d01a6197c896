"""The demo's job, on a small tree, against the real stack."""

import json
from pathlib import Path

import pytest
from running_stack import RunningStack, Tenant

from milepost._client import Client
from milepost.demo import Place, installations, run


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for number in range(250):
        folder = tmp_path / f"folder-{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.txt").write_text("x" * number)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    return tmp_path


def test_it_checksums_every_file_in_several_processes(
    stack: RunningStack, tenant: Tenant, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Client(stack.api_url, tenant.worker_key)
    assert run(client, Place(stack.api_url, tenant.worker_key, "page"), [files], json=False) == 0
    shown = capsys.readouterr().out
    (job,) = [job for job in client.jobs(kind="demo_checksums").jobs]
    job = client.job(job.job_id)
    stages = {stage.name: stage for stage in job.stages}
    assert (job.state, list(stages)) == ("completed", ["scan", "hash", "verify"])
    assert [stage.items_total for stage in stages.values()] == [251] * 3
    assert stages["scan"].items_completed == 251
    assert (stages["hash"].items_completed, stages["hash"].items_failed) == (250, 1)
    assert (stages["verify"].items_completed, stages["verify"].items_skipped) == (250, 1)
    assert stages["hash"].bytes_processed == stages["verify"].bytes_processed == sum(range(250))
    assert {lane.worker for lane in job.workers} == {"scanner", "worker-1", "worker-2", "worker-3"}
    (item,) = client.items(job.job_id).items
    assert (item.key, item.state, item.stage) == (str(files / "nowhere"), "failed", "hash")
    assert "The page: page" in shown
    assert '"job": "my-first-job"' in shown
    assert client.job("my-first-job").items_completed == 1
    client.close()


def test_as_json_it_prints_the_finished_job_only(
    stack: RunningStack, tenant: Tenant, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Client(stack.api_url, tenant.worker_key)
    assert run(client, Place(stack.api_url, tenant.worker_key, "page"), [files], json=True) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "completed"
    client.close()


def test_it_finds_installations_that_do_not_overlap() -> None:
    roots = installations()
    assert roots
    for root in roots:
        assert root.is_dir()
        assert not any(root != other and root.is_relative_to(other) for other in roots)
