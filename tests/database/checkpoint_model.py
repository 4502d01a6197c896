"""What checkpoints come to by the contract, in plain Python: no order of arrival, no increments, no SQL.

A job's checkpoints of one attempt go in as a set; out come its lanes, stages, items and counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Checkpoint = dict[str, Any]

BIGGEST = 2**63 - 1
COUNTS = ("items_completed", "items_failed", "items_skipped", "items_canceled", "bytes_processed")
ITEM_COUNTS = COUNTS[:4]
SETTLED = ("completed", "failed", "skipped", "canceled")
# What a lane says of the whole job besides counts; the greatest seq that named it wins.
FACTS = ("message", "rate_limited_until", "processing_deadline_ms", "metadata", "name", "unit", "kind")
NULL_IS_SAID = ("message", "rate_limited_until", "processing_deadline_ms")


def no_counts() -> dict[str, int]:
    return dict.fromkeys(COUNTS, 0)


@dataclass
class Part:
    """What one lane says, of the job or of one of its stages."""

    counts: dict[str, int] = field(default_factory=no_counts)
    at_cursor: dict[str, int] = field(default_factory=no_counts)
    items_total: int | None = None
    worker_items_total: int | None = None
    state: str | None = None
    weight: float | None = None
    reported: bool = False
    cursor: Any = None


@dataclass
class Picture:
    """A job as its checkpoints leave it. Items by (stage or '', key); parts of stages by (stage, lane)."""

    lanes: dict[str, Part] = field(default_factory=dict)
    stage_lanes: dict[tuple[str, str], Part] = field(default_factory=dict)
    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def stage_names(self) -> set[str]:
        return {stage for stage, _ in self.stage_lanes} | {stage for stage, _ in self.items if stage}

    def reported(self) -> bool:
        return any(part.reported for part in self.lanes.values())

    def stage_counts(self, stage: str) -> dict[str, int]:
        parts = [part for (name, _), part in self.stage_lanes.items() if name == stage]
        counts = added(part.counts for part in parts)
        if not any(part.reported for part in parts):
            counts |= self._counted_from_items(stage)
        return counts

    def stage_total(self, stage: str) -> int | None:
        return greatest(part.items_total for (name, _), part in self.stage_lanes.items() if name == stage)

    def stage_weight(self, stage: str) -> float:
        weights = [part.weight for (name, _), part in self.stage_lanes.items() if name == stage]
        return max((weight for weight in weights if weight is not None), default=1)

    def counts(self) -> dict[str, int]:
        counts = added(part.counts for part in self.lanes.values())
        of_stages = added(self.stage_counts(stage) for stage in self.stage_names())
        if not self.reported():
            counts |= (
                {n: of_stages[n] for n in ITEM_COUNTS} if self.stage_names() else self._counted_from_items("")
            )
        if not counts["bytes_processed"]:
            counts["bytes_processed"] = of_stages["bytes_processed"]
        return counts

    def total(self) -> int | None:
        said = greatest(part.items_total for part in self.lanes.values())
        if said is not None:
            return said
        shares = [
            part.worker_items_total for part in self.lanes.values() if part.worker_items_total is not None
        ]
        return min(sum(shares), BIGGEST) if shares else None

    def _counted_from_items(self, stage: str) -> dict[str, int]:
        states = [word["state"] for (of, _), word in self.items.items() if of == stage]
        return {f"items_{state}": states.count(state) for state in SETTLED}


def added(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    counts = no_counts()
    for part in parts:
        counts = {name: min(counts[name] + part[name], BIGGEST) for name in COUNTS}
    return counts


def greatest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def last(said: list[tuple[int, dict[str, Any]]], name: str, *, null_counts: bool = False) -> tuple[bool, Any]:
    """Whether anybody named the field, and what the greatest seq said of it."""
    words = [
        (seq, words[name])
        for seq, words in said
        if name in words and (null_counts or words[name] is not None)
    ]
    return (True, max(words, key=lambda word: word[0])[1]) if words else (False, None)


def counted(before: dict[str, int], said: list[tuple[int, dict[str, Any]]]) -> dict[str, int]:
    """completed and bytes: the greatest; the rest: what the greatest seq said."""
    counts = dict(before)
    for name in ("items_completed", "bytes_processed"):
        counts[name] = max([counts[name], *(words[name] for _, words in said if words.get(name) is not None)])
    for name in ("items_failed", "items_skipped", "items_canceled"):
        named, value = last(said, name)
        counts[name] = value if named else counts[name]
    return counts


def stages_of(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    stages = checkpoint.get("stage") or []
    return stages if isinstance(stages, list) else [stages]


def picture(checkpoints: Iterable[Checkpoint], before: Picture | None = None) -> Picture:
    """What one attempt's checkpoints come to, on top of what the attempt began with."""
    before = before or Picture()
    said = list({(c["worker"], c["seq"]): c for c in checkpoints}.values())
    whole = Picture(
        dict(before.lanes),
        dict(before.stage_lanes),
        {k: dict(v) for k, v in before.items.items()},
        dict(before.facts),
    )
    for worker in {c["worker"] for c in said}:
        own = [(c["seq"], c) for c in said if c["worker"] == worker]
        marks = [(seq, c["cursor"]) for seq, c in own if "cursor" in c]
        mark, cursor = max(marks, key=lambda m: m[0]) if marks else (None, None)
        whole.lanes[worker] = _part(before.lanes.get(worker), own, mark, cursor)
        whole.lanes[worker].state = last(own, "state")[1] or "running"
        for stage in {s["name"] for _, c in own for s in stages_of(c)} | {
            name for name, lane in before.stage_lanes if lane == worker
        }:
            words = [(seq, s) for seq, c in own for s in stages_of(c) if s["name"] == stage]
            whole.stage_lanes[stage, worker] = _part(
                before.stage_lanes.get((stage, worker)), words, mark, cursor
            )
        for name in FACTS:
            named, value = last(own, name, null_counts=name in NULL_IS_SAID)
            if named:
                whole.facts[name] = value
    for c in sorted(said, key=lambda c: c["seq"]):
        only = stages_of(c)[0]["name"] if len(stages_of(c)) == 1 else ""
        for item in c.get("items") or []:
            word = {"percent": None, "error": None, "payload": None, **item, "worker": c["worker"]}
            word["percent"] = 100 if word["state"] == "completed" else word["percent"]
            whole.items[item.get("stage") or only, item["key"]] = word
    return whole


def _part(
    before: Part | None, said: list[tuple[int, dict[str, Any]]], mark: int | None, cursor: object
) -> Part:
    before = before or Part()
    part = Part(counted(before.counts, said), before.at_cursor, before.items_total, before.worker_items_total)
    for name in ("items_total", "worker_items_total"):
        named, value = last(said, name, null_counts=True)
        setattr(part, name, value if named else getattr(before, name))
    part.state = last(said, "state")[1]
    named, weight = last(said, "weight")
    part.weight = weight if named else before.weight
    part.reported = before.reported or any(w.get(name) is not None for _, w in said for name in ITEM_COUNTS)
    part.cursor = before.cursor
    if mark is not None:
        part.cursor = cursor
        committed = counted(before.counts, [(seq, words) for seq, words in said if seq <= mark])
        part.at_cursor = committed if cursor is not None else no_counts()
    return part


def next_attempt(before: Picture) -> Picture:
    """What a new attempt begins with: lanes at their counts at the last cursor, nothing in processing."""

    def back(part: Part) -> Part:
        return Part(
            dict(part.at_cursor),
            dict(part.at_cursor),
            part.items_total,
            part.worker_items_total,
            "running",
            part.weight,
            part.reported,
            part.cursor,
        )

    items = {
        name: word | ({"state": "pending", "percent": None} if word["state"] == "processing" else {})
        for name, word in before.items.items()
    }
    return Picture(
        {name: back(part) for name, part in before.lanes.items()},
        {name: back(part) for name, part in before.stage_lanes.items()},
        items,
        dict(before.facts),
    )
