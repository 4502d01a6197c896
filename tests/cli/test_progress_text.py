"""What is read from a program's output, whatever it prints and in whatever pieces."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.cli.progress_text import BAR, COUNT, PERCENT, Progress, ProgressText

BARS = "\r  0%|          | 0/1000 [00:00<?, ?it/s]\r 37%|###   | 370/1000 [00:10<00:17, 36.9it/s]\r"

# Pieces that look like progress, so that random text comes near the interesting cases.
_PIECES = st.sampled_from(
    [
        b"37%",
        b"|##|",
        b" 370/1000 ",
        b"[00:10<",
        b"1,234 of 5,678",
        b"\r",
        b"\n",
        b"\x08",
        b"\x1b[A",
        b"\x1b[2K",
        b"42.5 %",
        b"1.2/3.4 MB",
        b"9" * 30,
        "█".encode(),
        b"5it [00:01, ",
    ]
)
OUTPUT = st.lists(st.binary(max_size=20) | _PIECES, max_size=40).map(b"".join)


def read(*pieces: bytes | str) -> ProgressText:
    text = ProgressText()
    for piece in pieces:
        text.feed(piece.encode() if isinstance(piece, str) else piece)
    return text


def facts(text: ProgressText) -> object:
    return text.progress, text.rank, text.message, list(text.tail)


@given(OUTPUT, st.lists(st.integers(0, 200), max_size=10))
def test_nothing_raises_and_where_the_pieces_are_cut_does_not_matter(output: bytes, cuts: list[int]) -> None:
    whole = read(output)
    places = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    pieces = [output[a:b] for a, b in itertools.pairwise(places)]
    assert facts(read(*pieces)) == facts(whole)
    whole.settle()
    whole.end()


@given(OUTPUT)
def test_what_is_read_never_falls_within_its_kind_and_never_passes_its_total(output: bytes) -> None:
    text, last, rank = ProgressText(), 0, 0
    for at in range(0, len(output), 7):
        text.feed(output[at : at + 7])
        if text.progress is None:
            continue
        completed, total, _ = text.progress
        assert total is None or 0 <= completed <= total
        if text.rank == rank:
            assert completed >= last
        last, rank = completed, text.rank


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        ("42%", (42, 100, "%")),
        ("Progress: 42.5 % done", (42, 100, "%")),
        ("tests/test_a.py ......            [ 42%]", (42, 100, "%")),
        ("17/40", (17, 40, None)),
        ("[17/40] Building CXX object a.o", (17, 40, None)),
        ("Step 17/40: compile", (17, 40, None)),
        ("\x1b[32m17/40\x1b[0m", (17, 40, None)),
        ("1,234 of 5,678 rows", (1234, 5678, None)),
        ("Receiving objects:  42% (420/1000), 1.20 MiB | 3.4 MiB/s", (420, 1000, None)),
        ("  1,234,567  42%    1.20MB/s    0:00:10 (xfr#3, to-chk=17/90)", (42, 100, "%")),
        ("   ━━━━━━━━ 1.2/3.4 MB 5.6 MB/s", (35, 100, "%")),
        (" 37%|###   | 370/1000 [00:10<00:17, 36.9it/s]", (370, 1000, None)),
        ("load:  37%|###   | 370/1000 [00:10<00:17, 36.9rows/s]", (370, 1000, "rows")),
        ("load:  33%|█▋   | 1/3 [00:10<00:20, 10.2s/file]", (1, 3, "file")),
        (" 35%|##| 1.20M/3.40M [00:10<00:17, 120kB/s]", (1_200_000, 3_400_000, "B")),
        ("370it [00:10, 36.9it/s]", (370, None, None)),
        ("train:  37%|###| 370/1000 [00:10<00:17, acc=93.1%, 3/4]", (370, 1000, None)),
    ],
)  # fmt: skip
def test_it_reads(line: str, progress: tuple[int, int | None, str | None]) -> None:
    assert read(line + "\n").progress == Progress(*progress)


@pytest.mark.parametrize(
    "line",
    [
        "2026/11/22 07:10:05 begins",
        "11/22 07:10 begins",
        "/usr/1/2",
        "HTTP/1.1 200",
        "5/4 is too much",
        "142%",
        "http://x/a%20b 30%d",
        "listening on 127.0.0.1:80/90",
        "speed -3/4",
        "1/0",
    ],
)
def test_it_does_not_take_for_progress(line: str) -> None:
    assert read(line + "\n").progress is None


def test_a_bar_counts_before_a_count_and_a_count_before_a_percentage() -> None:
    text = read("93%\n")
    assert (text.rank, text.progress) == (PERCENT, (93, 100, "%"))
    text.feed(b"3/10\n95%\n")
    assert (text.rank, text.progress) == (COUNT, (3, 10, None))
    text.feed(BARS.encode() + b"4/10\n")
    assert (text.rank, text.progress) == (BAR, (370, 1000, None))


def test_a_counter_after_a_full_one_is_added_to_it() -> None:
    text = read("Counting: 10% (1/10)\rCounting: 100% (10/10)\rCounting: 100% (10/10), done.\n")
    assert text.progress == (10, 10, None)
    text.feed(b"Receiving: 25% (5/20)\r")
    assert text.progress == (15, 30, None)


def test_another_counter_within_an_unfinished_one_is_left_out() -> None:
    text = read("Epoch 1/10\n370/1000 - loss 0.3\n1000/1000 - loss 0.2\nEpoch 2/10\n1/1000\n")
    assert text.progress == (2, 10, None)


def test_a_bar_below_another_is_left_out() -> None:
    inner = "\n\r 37%|###   | 370/1000 [00:10<00:17, 36.9it/s]\x1b[A"
    text = read(
        "\r 10%|#  | 1/10 [00:01<00:09, 1.0it/s]",
        inner,
        "\r 20%|#  | 2/10 [00:02<00:08, 1.0it/s]",
        inner,
        "\r",
    )
    assert text.progress == (2, 10, None)


def test_a_total_that_changes_is_followed_and_a_count_that_falls_is_not() -> None:
    assert read("a 3/10\na 4/12\na 2/12\n").progress == (4, 12, None)


def test_a_line_without_an_end_is_read_once_it_rests() -> None:
    text = read("\r 37%|###   | 370/1000 [00:10<00:17, 36.9it/s]")
    assert text.progress is None
    text.settle()
    assert text.progress == (370, 1000, None)


def test_a_number_that_may_go_on_waits_for_its_end() -> None:
    text = read("1/4")
    text.settle()
    assert text.progress is None
    text.feed(b"0\n")
    assert text.progress == (1, 40, None)


def test_the_message_is_the_last_line_and_of_a_bar_its_description() -> None:
    text = read("\x1b[1mloading\x1b[0m a.csv\n\n---\n")
    assert text.message == "loading a.csv"
    text.feed(b"\r" + BARS.encode())
    assert text.message == "loading a.csv"
    text.feed(b"\rrows:  37%|###   | 370/1000 [00:10<00:17, 36.9it/s]\r")
    assert text.message == "rows"


def test_the_tail_is_bounded_and_without_bars() -> None:
    text = read("".join(f"line {n}\n" for n in range(100)), BARS)
    assert (len(text.tail), text.tail[-1]) == (20, "line 99")


def test_a_line_without_end_needs_no_memory() -> None:
    text = ProgressText()
    for _ in range(100):
        text.feed(b"." * 10_000)
    text.feed(b" 42%\n")
    assert text.progress == (42, 100, "%")
    assert len(text.message or "") <= 500
