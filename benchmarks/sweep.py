"""What the sweep and the alerts' round cost in SQL: by how many jobs are active, and not by how many ended.

Each round is rolled back. Once nobody is stuck, once one of fifty running jobs has said nothing for an hour and is
reset.

    python -m benchmarks.sweep
"""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

import psycopg

from benchmarks.history import History, install
from milepost.local.postgres import SETTINGS, Postgres

CASES = ((1_000, 10_000), (10_000, 10_000), (10_000, 200_000))
"""Active and finished jobs."""
ROUNDS = 10

ALL_WELL = """
update milepost_private.pulses set active_at = now() where running;
update milepost.jobs set last_checkpoint_at = now() where finished_at is null;
vacuum analyze milepost_private.pulses;
vacuum analyze milepost.jobs;
"""
QUESTIONS = {
    "sweep": "select milepost.sweep()",
    "alerts": "select milepost_private.evaluate_alerts(now())",
}


def one_of_fifty_is_lost(history: History) -> None:
    all_is_well(history)
    history.refresh()


def all_is_well(history: History) -> None:
    for statement in ALL_WELL.split(";\n"):
        history.connection.execute(statement.encode())


def took(history: History, question: str) -> tuple[float, object]:
    """What it took in ms, and its answer."""
    with history.connection.transaction(force_rollback=True):
        began = time.perf_counter()
        row = history.connection.execute(question.encode()).fetchone()
        return 1000 * (time.perf_counter() - began), row and row[0]


def show(histories: list[History], state: str, prepare: Callable[[History], None]) -> None:
    for history in histories:
        prepare(history)
    for name, question in QUESTIONS.items():
        times: list[list[float]] = [[] for _ in histories]
        answers: list[object] = [None] * len(histories)
        for place in range(ROUNDS + 1):
            for number, history in enumerate(histories):
                ms, answers[number] = took(history, question)
                times[number] += [ms] if place else []
        figures = "".join(f"{statistics.median(each):>28.1f}" for each in times)
        print(f"{name + ', ' + state:<24}{figures}", flush=True)
        if name == "sweep":
            resets = [answer["reset"] for answer in answers if isinstance(answer, dict)]
            print(f"{'    jobs reset':<24}" + "".join(f"{reset:>28}" for reset in resets))


def main() -> None:
    SETTINGS["shared_buffers"] = "1GB"
    with Postgres() as postgres, ExitStack() as connections:
        histories = []
        for active, finished in CASES:
            url = postgres.create_database(f"sweep_{active}_{finished}")
            install(url)
            connection = connections.enter_context(psycopg.connect(url, autocommit=True))
            history = History(connection)
            history.grow(1, active, active=True)
            history.grow_ended(finished)
            history.settle()
            histories.append(history)
        heads = [f"{active:,} active, {finished:,} ended" for active, finished in CASES]
        print(
            f"{'median ms':<24}"
            + "".join(f"{head:>28}" for head in heads)
            + f"   load {os.getloadavg()[0]:.1f}"
        )
        show(histories, "all is well", all_is_well)
        show(histories, "one of 50 lost", one_of_fifty_is_lost)


if __name__ == "__main__":
    main()
