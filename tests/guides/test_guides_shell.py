"""Guides whose snippets are for the shell."""

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import yaml
from pages import PAGES
from reader import Reader


def test_a_loop_of_the_shell_counts(reader: Reader) -> None:
    for number in range(3):
        reader.has(f"photos/{number}.jpg", "a photo")
    assert reader.runs_block("shell", "count").count("photos/") == 3
    job = reader.job("default")
    assert (job.job, job.state, job.items_completed, job.items_total) == ("thumbnails", "completed", 3, 3)
    assert job.unit == "photos"


def test_a_loop_of_the_shell_goes_on_while_the_server_is_away(reader: Reader) -> None:
    reader.has("photos/1.jpg", "a photo")
    # Refused at once, which curl does not try again.
    said = reader.runs_block("shell", "count", settings={"MILEPOST_URL": "http://127.0.0.1:9"})
    assert "photos/1.jpg" in said


def test_a_cron_job_pings(reader: Reader) -> None:
    reader.has("backup.sh", "echo 40 files", runs=True).rename(reader.folder / "backup.sh")
    reader.runs_block("shell", "ping")
    job = reader.job("nightly-backup")
    assert (job.state, job.message) == ("completed", "40 files")
    assert job.started_at is not None

    reader.has("backup.sh", "echo no space left; exit 3", runs=True).rename(reader.folder / "backup.sh")
    reader.runs_block("shell", "ping")
    latest = reader.client.jobs(kind="nightly-backup").jobs[0]
    assert (latest.state, latest.error) == ("failed", "no space left")


def test_the_crontab_s_line_pings_with_the_exit_status(reader: Reader) -> None:
    command = PAGES["shell"]["line"][1].split(maxsplit=5)[5]
    assert command.startswith("/usr/local/bin/backup.sh;")
    reader.has("backup", "exit 4", runs=True)
    reader.runs("sh", "-c", command.replace("/usr/local/bin/backup.sh", "backup"))
    job = reader.job("nightly-backup")
    assert (job.state, job.error) == ("failed", "exit status 4")


def test_an_operation_is_polled_until_it_is_done(reader: Reader) -> None:
    say = reader.client.checkpoints
    say([{"job": "nightly-import", "items_total": 4, "items_completed": 1}])
    code = PAGES["long-running-operations"]["poll"][1]
    with reader.begins("bash", "-euo", "pipefail", "-c", code) as polling:
        assert polling.stdout is not None
        assert polling.stdout.readline() == '"percent_complete": 25\n'
        say([{"job": "nightly-import", "items_completed": 4, "state": "completed"}])
        assert polling.wait(60) == 0


def test_the_polling_of_an_operation_that_failed_fails(reader: Reader) -> None:
    reader.client.create_job({"job": "nightly-import", "max_attempts": 1})
    reader.client.checkpoints([{"job": "nightly-import", "state": "failed", "reason": "no disk"}])
    code = PAGES["long-running-operations"]["poll"][1]
    reader.runs("bash", "-euo", "pipefail", "-c", code, status=1)


WORKFLOW = {
    "GITHUB_RUN_ID": "17", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "a/b",
}  # fmt: skip


def test_the_workflow_s_steps_run(reader: Reader) -> None:
    workflow = yaml.safe_load(PAGES["github-actions"]["workflow"][1])
    (job,) = workflow["jobs"].values()
    assert job["env"] == {
        "MILEPOST_URL": "${{ vars.MILEPOST_URL }}",
        "MILEPOST_KEY": "${{ secrets.MILEPOST_KEY }}",
    }
    # The package is installed already; the command line is the same.
    reader.has("pip", '#!/bin/sh\n[ "$*" = "install milepost[cli]" ]\n', runs=True)
    reader.has("import.sh", "#!/bin/sh\necho 1/2; echo 2/2\n", runs=True).rename(reader.folder / "import.sh")
    for step in job["steps"]:
        if "run" in step:  # as the runner does: bash -e
            reader.runs(
                "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"], settings=WORKFLOW
            )
    imported = reader.job("nightly-import")
    assert (imported.job, imported.state, imported.items_completed) == ("import-17-1", "completed", 2)
    assert imported.message == "https://github.example/a/b/actions/runs/17"


def test_the_workflow_s_step_fails_with_its_command(reader: Reader) -> None:
    (job,) = yaml.safe_load(PAGES["github-actions"]["workflow"][1])["jobs"].values()
    step = next(step["run"] for step in job["steps"] if "milepost run" in step.get("run", ""))
    reader.has("import.sh", "#!/bin/sh\nexit 5\n", runs=True).rename(reader.folder / "import.sh")
    reader.runs("bash", "-e", "-c", step, status=5, settings=WORKFLOW)
    assert reader.job("nightly-import").state == "failed"


def manifest(name: str) -> tuple[list[str], dict[str, object]]:
    """The command of a manifest's container, and the pod's spec."""
    job = yaml.safe_load(PAGES["kubernetes"][name][1])
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    pod = job["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > 10
    (container,) = pod["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "milepost"}}]
    return container["command"], job["spec"]


def test_a_pod_that_is_evicted_says_so_and_ends_with_the_program_s_status(reader: Reader) -> None:
    command, _ = manifest("job")
    reader.has("import.py", 'import time\nprint("1/2", flush=True)\nwhile True:\n    time.sleep(0.05)\n')
    # Kubernetes replaces $(NAME) itself.
    with reader.begins(*(part.replace("$(POD_NAME)", "import-x7") for part in command)) as pod:
        reader.sees(lambda: bool(reader.client.jobs(kind="import").jobs), "the job is there")
        reader.sees(lambda: reader.job("import").items_completed == 1, "what it printed is counted")
        pod.send_signal(signal.SIGTERM)
        assert pod.wait(60) == 143
    job = reader.job("import")
    assert (job.job, job.state, job.items_completed) == ("import-x7", "failed", 1)
    assert "SIGTERM" in (job.error or "")


def shard(index: str) -> dict[str, str]:
    """What Kubernetes puts into the environment of the pod of this index."""
    return {"JOB_NAME": "uid-1", "JOB_COMPLETION_INDEX": index, "SHARDS": "3"}


def test_the_pods_of_an_indexed_job_are_workers_of_one_job(reader: Reader, tmp_path: Path) -> None:
    command, spec = manifest("indexed")
    assert (command, spec["completionMode"], spec["completions"]) == (["python", "load.py"], "Indexed", 3)
    reader.has("load.py", PAGES["kubernetes"]["load"][1])
    # Shard 1 is held at its fifth part, the first time.
    reader.has(
        "parts.py",
        "import pathlib, time\n"
        "def load(part):\n"
        "    with open(f'loaded', 'a') as loaded: loaded.write(f'{part}\\n')\n"
        "    if part == 13 and not pathlib.Path('go').exists():\n"
        "        while True: time.sleep(0.05)\n",
    )
    with ExitStack() as running:
        pods = [
            running.enter_context(reader.begins(sys.executable, "load.py", settings=shard(str(index))))
            for index in range(3)
        ]
        assert [pods[index].wait(60) for index in (0, 2)] == [0, 0]
        reader.sees(lambda: reader.job("load-parts").items_completed == 24, "what was done is counted")
        assert reader.job("load-parts").state == "running"
        pods[1].send_signal(signal.SIGTERM)
        assert pods[1].wait(60) == 143
    (tmp_path / "go").touch()
    reader.runs(sys.executable, "load.py", settings=shard("1"))
    job = reader.job("load-parts")
    assert (job.state, job.items_completed, job.items_total) == ("completed", 30, 30)
    assert {lane.worker: lane.items_completed for lane in job.workers} == {
        "shard-0": 10, "shard-1": 10, "shard-2": 10,
    }  # fmt: skip
    loaded = [int(line) for line in (tmp_path / "loaded").read_text().split()]
    assert sorted(set(loaded)) == list(range(30))
    assert len(loaded) == 31, "only what was done after the cursor is done again"
