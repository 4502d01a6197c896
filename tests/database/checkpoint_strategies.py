"""Checkpoints as workers might send them, and the ways in which a network might deliver them."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

Checkpoint = dict[str, Any]

STAGES = ("load", "check")
# Small numbers meet each other; the great ones meet the limits of bigint.
counts = st.one_of(
    st.none(), st.integers(0, 9), st.integers(0, 9), st.sampled_from([10**6, 2**62, 2**63 - 1])
)
totals = st.one_of(st.none(), st.integers(0, 60))
COUNTED = {
    "items_completed": counts,
    "items_failed": counts,
    "items_skipped": counts,
    "items_canceled": counts,
    "bytes_processed": counts,
    "items_total": totals,
}
STAGED = COUNTED | {
    "state": st.sampled_from(["pending", "running", "completed", "failed", "skipped", "canceled"])
}


def _stages(extra: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    report = st.fixed_dictionaries({"name": st.sampled_from(STAGES)}, optional=STAGED | extra)
    return st.one_of(report, st.lists(report, max_size=2, unique_by=lambda stage: stage["name"]))


def _items(worker: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    item = st.fixed_dictionaries(
        # An item is one lane's; the same key may be in several stages.
        {
            "key": st.sampled_from([f"{worker}{n}" for n in range(3)]),
            "state": st.sampled_from(["pending", "processing", "completed", "failed", "skipped", "canceled"]),
        },
        optional={
            "stage": st.sampled_from(STAGES),
            "percent": st.integers(0, 100),
            "error": st.sampled_from(["no such file", None]),
        },
    )
    return st.lists(item, max_size=3)


def _fields(worker: str, *, facts: bool) -> dict[str, st.SearchStrategy[Any]]:
    optional: dict[str, st.SearchStrategy[Any]] = COUNTED | {
        "worker_items_total": totals,
        "state": st.sampled_from(["running", "paused", "completing", "completed", "canceled"]),
        "cursor": st.one_of(st.none(), st.integers(0, 99)),
        "stage": _stages({}),
        "items": _items(worker),
    }
    if facts:
        # Between lanes the later receipt of these wins, so one lane says them.
        optional |= {
            "message": st.sampled_from([None, "one", "two"]),
            "rate_limited_until": st.sampled_from([None, "2026-11-22T13:00:00+00:00"]),
            "processing_deadline_ms": st.sampled_from([None, 1000, 2000]),
            "metadata": st.sampled_from([{"owner": "etl"}, {"owner": "ml"}]),
            "name": st.sampled_from(["Nightly", "Daily"]),
            "unit": st.sampled_from(["rows", "files"]),
            "kind": st.sampled_from(["csv", "video"]),
            "stage": _stages({"weight": st.sampled_from([1, 3, 5])}),
        }
    return optional


@st.composite
def runs(draw: st.DrawFn) -> list[Checkpoint]:
    """What one to three lanes say in one attempt, each under numbers of its own."""
    said = []
    # Each run is about a few fields only, so that they meet in every way; over the runs, all of them do.
    named = draw(st.sets(st.sampled_from(sorted(_fields("", facts=True))), min_size=1, max_size=8))
    for worker in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        fields = {
            name: values for name, values in _fields(worker, facts=worker == "a").items() if name in named
        }
        seqs = draw(st.lists(st.one_of(st.integers(0, 12), st.just(2**63 - 1)), unique=True, max_size=5))
        for seq in seqs:
            words = draw(st.fixed_dictionaries({}, optional=fields))
            said.append({"job": "job", "worker": worker, "seq": seq, "attempt": 1} | words)
    return said


@st.composite
def deliveries(draw: st.DrawFn, checkpoints: Sequence[Checkpoint]) -> list[list[Checkpoint]]:
    """Every checkpoint at least once, in any order, some repeated, in requests of any size."""
    if not checkpoints:
        return []
    sent = list(
        draw(st.permutations([*checkpoints, *draw(st.lists(st.sampled_from(checkpoints), max_size=4))]))
    )
    cuts = sorted(draw(st.sets(st.integers(1, len(sent)), max_size=len(sent))) | {len(sent)})
    return [sent[start:end] for start, end in zip([0, *cuts], cuts, strict=False) if sent[start:end]]
