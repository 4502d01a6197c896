"""However the stack ends, nothing of it is left."""

import signal
from pathlib import Path

import pytest
from dev_process import alive, dev, eventually, open_to_others


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly_and_leaves_nothing(number: signal.Signals) -> None:
    with dev() as running:
        folder = Path(running.ready().env_file).parent
        family = running.family()
        assert any("postgres " in command for command in family.values())
        code, said = running.end(number)
    assert (code, said) == (0, "")
    # It has waited for all of them: no patience is needed here.
    assert alive(family) == set()
    assert not folder.exists()


def test_a_killed_parent_takes_everything_with_it(tmp_path: Path) -> None:
    with dev(env={"TMPDIR": str(open_to_others(tmp_path))}) as running:
        running.ready()
        family = running.family()
        assert [folder.name for folder in tmp_path.glob("milepost-*")]
        running.end(signal.SIGKILL)
    eventually(lambda: not alive(family), "all processes are gone")
    eventually(lambda: not any(tmp_path.iterdir()), "the folder is gone")


def test_a_parent_killed_while_starting_takes_everything_with_it(tmp_path: Path) -> None:
    with dev(env={"TMPDIR": str(open_to_others(tmp_path))}) as running:
        eventually(
            lambda: any(
                "initdb" in command or "postgres " in command for command in running.family().values()
            ),
            "Postgres is being started",
        )
        family = running.family()
        running.end(signal.SIGKILL)
    eventually(lambda: not alive(family), "all processes are gone")
    eventually(lambda: not any(tmp_path.iterdir()), "the folder is gone")


def test_a_signal_while_starting_ends_it_cleanly() -> None:
    with dev() as running:
        eventually(
            lambda: any(
                "initdb" in command or "postgres " in command for command in running.family().values()
            ),
            "Postgres is being started",
        )
        family = running.family()
        code, said = running.end(signal.SIGINT)
    assert (code, said) == (0, "")
    assert alive(family) == set()
