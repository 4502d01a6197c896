"""Any interleaving of what a loop says with sends that arrive, fail or lose their answer ends exact."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from test_sender import Bench

from milepost.errors import TransportError

counts = st.tuples(*[st.integers(0, 5)] * 5)
says = st.tuples(st.just("add"), st.sampled_from([None, "scan", "hash"]), counts, st.booleans())
tracks = st.tuples(st.just("track"), st.integers(1, 4))
items = st.tuples(
    st.just("item"), st.sampled_from("abc"), st.sampled_from(["processing", "completed", "failed"])
)
sends = st.tuples(st.just("send"), st.sampled_from(["arrives", "fails", "loses its answer"]))


@settings(max_examples=300, deadline=None)
@given(st.lists(says | tracks | items | sends, max_size=40))
def test_any_interleaving_ends_in_exact_counts(steps: list[Any]) -> None:
    bench = Bench()
    done: dict[str | None, list[int]] = {}
    items: dict[str, str] = {}
    cursors: list[tuple[int, dict[str | None, list[int]]]] = []
    for stage in ("scan", "hash"):
        bench.lane.say(stage)
    for number, (what, *said) in enumerate(steps):
        if what == "add":
            stage, added, with_cursor = said
            done[stage] = [a + b for a, b in zip(done.get(stage, [0] * 5), added, strict=True)]
            if with_cursor:
                cursors.append((number, {name: list(counts) for name, counts in done.items()}))
            bench.lane.add(stage, added, cursor=str(number) if with_cursor else None)
        elif what == "track":
            bench.lane.n += said[0]
            done[None] = [a + b for a, b in zip(done.get(None, [0] * 5), [said[0], 0, 0, 0, 0], strict=True)]
        elif what == "item":
            key, state = said
            items[key] = state
            bench.lane.put_item(None, key, state, f'{{"key":"{key}","state":"{state}"}}')
        else:
            bench.client.next = None if said[0] == "arrives" else TransportError()
            bench.client.late = said[0] == "loses its answer"
            bench.step(100)
    bench.lane.end("completed")
    bench.client.next = None
    bench.step(100)

    lane = bench.job().lanes["main"]
    fields = ("items_completed", "items_failed", "items_skipped", "items_canceled", "bytes_processed")
    assert [lane.values[field] for field in fields] == done.get(None, [0] * 5)
    for stage in ("scan", "hash"):
        if stage in done:
            assert [lane.stages[stage].values[field] for field in fields] == done[stage]
    assert {key: item["state"] for (_, key), item in bench.job().items.items()} == items
    assert bench.job().state == "completed"
    # A crash after this would resume exactly where the last cursor was given.
    if cursors:
        number, at_cursor = cursors[-1]
        assert lane.cursor == number
        assert [lane.at_cursor[field] for field in fields] == at_cursor.get(None, [0] * 5)
        for stage in ("scan", "hash"):
            if stage in at_cursor:
                assert [lane.stages[stage].at_cursor[field] for field in fields] == at_cursor[stage]
