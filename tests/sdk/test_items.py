"""Items wait in a bounded memory."""

from milepost._items import Items


def put(items: Items, key: str, state: str) -> None:
    items.put(None, key, state, f'{{"key":"{key}","state":"{state}"}}')


def keys(items: Items) -> list[str]:
    return [item["key"] for item in items.take(1000, 1_000_000)]


def test_the_last_word_on_an_item_supersedes_the_others() -> None:
    items = Items()
    put(items, "a", "processing")
    put(items, "a", "completed")
    assert [item["state"] for item in items.take(10, 1000)] == ["completed"]
    assert (len(items), items.dropped) == (0, 0)


def test_the_oldest_unsettled_one_gives_way_first_and_then_the_oldest() -> None:
    items = Items(max_items=3)
    for key, state in [("a", "completed"), ("b", "processing"), ("c", "processing"), ("d", "failed")]:
        put(items, key, state)
    assert items.dropped == 1
    put(items, "e", "completed")
    put(items, "f", "completed")
    assert keys(items) == ["d", "e", "f"]
    assert items.dropped == 3


def test_its_bytes_are_bounded_too() -> None:
    items = Items(max_bytes=10_000)
    for number in range(1000):
        put(items, str(number), "completed")
    assert len(items) < 50
    assert len(items) + items.dropped == 1000
    assert len(keys(items)) < 50
    assert items._bytes == 0


def test_a_hundred_thousand_items_and_as_many_words_stay_bounded() -> None:
    items = Items()
    for number in range(100_000):
        put(items, f"file-{number}", "completed")
    assert len(items) == 50_000
    assert items.dropped == 50_000
