"""What a question costs does not follow the history: counted in rows that are read, not in time."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from scratch_database import Database

from benchmarks.history import QUESTIONS, History

FEW, MANY, ACTIVE = 2_000, 24_000, 300
READ = """
select coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::int
from pg_stat_xact_all_tables where schemaname like 'milepost%'
"""


@pytest.fixture(scope="module")
def rows_read(new_database: Callable[[], Database]) -> Iterator[dict[str, tuple[int, int]]]:
    """For each question the rows that it reads with a short and with a long history."""
    with psycopg.connect(new_database().url, autocommit=True) as connection:
        history = History(connection)

        def measure() -> dict[str, int]:
            history.refresh()
            read = {
                name: rows(history, lambda q=question: history.ask(q))  # type: ignore[misc]
                for name, question in QUESTIONS.items()
                if "{" not in question
            }
            return read | {"sweep": rows(history, lambda: connection.execute("select milepost.sweep()"))}

        history.grow(1, ACTIVE, active=True)
        history.grow(1, FEW)
        history.settle()
        few = measure()
        history.grow(FEW + 1, MANY)
        history.settle()
        many = measure()
        yield {name: (few[name], many[name]) for name in few}


def rows(history: History, ask: Callable[[], object]) -> int:
    with history.connection.transaction(force_rollback=True):
        (before,) = history.connection.execute(READ.encode()).fetchone() or (0,)
        ask()
        (after,) = history.connection.execute(READ.encode()).fetchone() or (0,)
    assert isinstance(before, int) and isinstance(after, int)
    return after - before


def test_no_question_reads_more_because_the_history_is_twelve_times_longer(
    rows_read: dict[str, tuple[int, int]],
) -> None:
    # A page is 50 jobs with what belongs to each; a rare word may pass some rows by that an index could not tell apart.
    grew = {name: read for name, read in rows_read.items() if read[1] > 1.5 * read[0] + 200}
    assert grew == {}


def test_what_is_stuck_is_found_among_the_jobs_at_work(rows_read: dict[str, tuple[int, int]]) -> None:
    assert rows_read["stuck"][1] < 5 * ACTIVE
    # One of fifty is silent, and is reset.
    assert rows_read["sweep"][1] < 20 * ACTIVE
