"""What a question costs does not follow the history: counted in rows and scans, not in time; and no plan reads a history through."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.rows import args_row
from scratch_database import Database

from benchmarks.history import QUESTIONS, History, Question

FEW, MANY, ACTIVE = 2_000, 24_000, 300
BEFORE = 5
"""Asked so many times before, a statement of a function has the plan that it keeps."""
LONG = 1_000
"""A table of so many rows is history."""

# Of what a member may read, what no list of what is slow would name.
OTHERS: dict[str, Question] = {
    "keys": "select milepost.list_keys(t) from milepost_private.my_tenants() t",
    "members": "select milepost.list_members(t) from milepost_private.my_tenants() t",
    "tenants": "select milepost.list_tenants()",
    "shares": "select milepost.list_shares('run-7')",
    "audit": "select milepost.list_audit()",
    "audit of a job": "select milepost.list_audit('run-7')",
    "alerts": "select milepost.list_alerts()",
    "alert rules": "select milepost.list_alert_rules()",
    "alert channels": "select milepost.list_alert_channels()",
    "prometheus": "select milepost.get_metrics()",
    "version": "select milepost.schema_version()",
    "view of a job": "select to_jsonb(v) from milepost.job_progress v where v.job = 'run-7'",
    "search by liveness": "select milepost.search_jobs(liveness => array['lost', 'stalled'])",
    "search by two states": "select milepost.search_jobs(state => array['failed', 'running'])",
    "what needs somebody": "select milepost.search_jobs(sort => 'attention')",
}
READS = """
select s.schemaname || '.' || s.relname, coalesce(s.seq_tup_read, 0) + coalesce(s.idx_tup_fetch, 0), coalesce(s.seq_scan, 0),
       c.reltuples >= %s
from pg_stat_xact_all_tables s join pg_class c on c.oid = s.relid where s.schemaname like 'milepost%%'
"""


@dataclass
class Read:
    rows: int
    walked: set[str]
    """The long tables that were read from one end to the other."""


@dataclass
class Measured:
    history: History
    few: dict[str, Read]
    many: dict[str, Read]


@pytest.fixture(scope="module")
def measured(new_database: Callable[[], Database]) -> Iterator[Measured]:
    """What each question reads with a short and with a long history."""
    with psycopg.connect(new_database().url, autocommit=True) as connection:
        history = History(connection)

        def measure(asked_before: int) -> dict[str, Read]:
            history.refresh()
            questions = QUESTIONS | OTHERS
            for question in questions.values():
                for _ in range(asked_before):
                    history.ask(question)
            asked = {name: read(history, question) for name, question in questions.items()}
            return asked | {
                "sweep": read(history, lambda it: it.connection.execute("select milepost.sweep()"))
            }

        history.grow(1, ACTIVE, active=True)
        history.grow(1, FEW)
        history.settle()
        assert history.fifth_page
        few = measure(0)
        history.grow(FEW + 1, MANY)
        history.settle()
        yield Measured(history, few, measure(BEFORE))


def read(history: History, question: Question) -> Read:
    with history.connection.transaction(force_rollback=True):
        before = counters(history)
        history.ask(question)
        after = counters(history)
    told = {
        table: (
            rows - before.get(table, (0, 0, False))[0],
            scans - before.get(table, (0, 0, False))[1],
            is_long,
        )
        for table, (rows, scans, is_long) in after.items()
    }
    return Read(
        sum(rows for rows, _, _ in told.values()),
        {table for table, (_, scans, is_long) in told.items() if scans and is_long},
    )


def counters(history: History) -> dict[str, tuple[int, int, bool]]:
    with history.connection.cursor(row_factory=args_row(counter)) as cursor:
        return dict(cursor.execute(READS.encode(), (LONG,)).fetchall())


def counter(table: str, rows: int, scans: int, is_long: bool) -> tuple[str, tuple[int, int, bool]]:
    return table, (rows, scans, is_long)


def test_no_question_reads_more_because_the_history_is_twelve_times_longer(measured: Measured) -> None:
    # A page is 50 jobs with what belongs to each; a rare word may pass some rows by that an index could not tell apart.
    grew = {
        name: (few.rows, measured.many[name].rows)
        for name, few in measured.few.items()
        if measured.many[name].rows > 1.5 * few.rows + 200
    }
    assert grew == {}


def test_what_is_stuck_is_found_among_the_jobs_at_work(measured: Measured) -> None:
    assert measured.many["stuck"].rows < 5 * ACTIVE
    # One of fifty is silent, and is reset.
    assert measured.many["sweep"].rows < 20 * ACTIVE


def test_no_question_reads_the_history_through(measured: Measured) -> None:
    walked = {name: found.walked for name, found in measured.many.items() if found.walked}
    # These look at a tenant's last 5,000 events, and a day of this history has fewer.
    for name in ("metrics", "prometheus"):
        assert all("events_" in table for table in walked.pop(name, ()))
    assert walked == {}


@pytest.mark.parametrize(
    ("index", "name"),
    [
        ("milepost.jobs_active", "counts"),
        ("milepost_private.pulses_running", "stuck"),
        ("milepost.jobs_finished", "ended last"),
        ("milepost.jobs_by_text", "search, no such word"),
    ],
)
def test_without_its_index_a_question_is_seen_to_read_the_history_through(
    measured: Measured, index: str, name: str
) -> None:
    with measured.history.connection.transaction(force_rollback=True):
        measured.history.connection.execute(f"drop index {index}".encode())
        assert read(measured.history, QUESTIONS[name]).walked


def test_every_read_of_a_member_is_among_the_questions(measured: Measured) -> None:
    functions = measured.history.connection.execute(
        "select p.proname from pg_proc p where p.pronamespace = 'milepost'::regnamespace and p.provolatile in ('s', 'i')"
        " and has_function_privilege('authenticated', p.oid, 'execute')"
    ).fetchall()
    texts = " ".join(question for question in (QUESTIONS | OTHERS).values() if isinstance(question, str))
    asked = set(re.findall(r"milepost\.(\w+)\(", texts))
    assert {name for (name,) in functions} - asked == set()


@pytest.mark.parametrize(
    "text", ["run-4711", "Import 47", "nightly import 12", "run-9 nightly", "import", "run-", "0% x_"]
)
def test_a_search_finds_what_contains_the_text_whichever_of_its_words_is_looked_for(
    measured: Measured, text: str
) -> None:
    page = measured.history.ask(f"""select milepost.search_jobs(q => '{text}', "limit" => 200)""")
    assert isinstance(page, dict)
    containing = measured.history.connection.execute(
        "select j.key from milepost.jobs j where strpos(lower(j.key || ' ' || j.name || ' ' || j.kind || coalesce(' ' || j.error, '')),"
        " lower(%s)) > 0 order by j.created_at desc, j.job_id desc limit 200",
        (text,),
    ).fetchall()
    assert [job["job"] for job in page["jobs"]] == [key for (key,) in containing]
