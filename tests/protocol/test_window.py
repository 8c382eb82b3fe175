"""A transfer's receiving side: every byte once and in order, whatever the way loses, doubles or delays."""

import random

from hypothesis import given
from hypothesis import strategies as st

from labelferry_protocol import limits
from labelferry_protocol.window import Window


@given(size=st.integers(0, 5000), chunk=st.integers(1, 700), width=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_all_bytes_arrive_in_order_over_a_way_that_loses_doubles_reorders_and_cuts(
    size: int, chunk: int, width: int, seed: int
) -> None:
    dice = random.Random(seed)
    data = dice.randbytes(size)
    window, written, now, under_way = Window(size, chunk, width=width), bytearray(), 0.0, []
    for _ in range(100_000):
        if window.done:
            break
        asked = window.ask(now)
        for offset, length in asked:
            copies = dice.choice([0, 1, 1, 1, 2])
            under_way += [(offset, data[offset : offset + length])] * copies
        if under_way and dice.random() < 0.8:
            offset, piece = under_way.pop(dice.randrange(len(under_way)))
            for ready in window.take(offset, piece):
                written += ready
        elif dice.random() < 0.05:
            window.reconnected()
            under_way.clear()
        else:
            now += window.patience
    assert window.done
    assert bytes(written) == data


def test_no_more_than_the_width_is_in_flight() -> None:
    window = Window(size=1000, chunk=10, width=4)
    assert [offset for offset, _ in window.ask(0.0)] == [0, 10, 20, 30]
    assert window.ask(0.0) == []
    assert window.take(10, b"x" * 10) == []
    assert window.ask(0.0) == [], "an early chunk waits in memory and keeps its place in the window"
    assert window.take(0, b"x" * 10) == [b"x" * 10] * 2
    assert [offset for offset, _ in window.ask(0.0)] == [40, 50]


def test_what_is_lost_is_asked_for_again_at_once_and_nothing_else_is() -> None:
    window = Window(size=100, chunk=10, width=3)
    waits = [window.waits]
    window.ask(0.0)
    assert [*waits, window.waits] == [False, True]
    window.take(0, b"x" * 10)
    assert window.ask(1.0) == [(30, 10)]
    window.lost(0.5)
    assert window.ask(1.0) == [(10, 10), (20, 10)]


def test_a_cut_transfer_goes_on_from_what_is_here() -> None:
    assert Window(size=100, chunk=60, received=40).ask(0.0) == [(40, 60)]


def test_chunks_that_nobody_asked_for_or_of_a_wrong_length_are_not_written() -> None:
    window = Window(size=100, chunk=50)
    window.ask(0.0)
    assert window.take(7, b"x" * 50) == []
    assert window.take(0, b"x" * 49) == []
    assert window.received == 0


def test_a_chunk_is_under_half_a_point_of_progress() -> None:
    for size in (1, 100, 999, 10_000, 10**6, 10**9):
        chunk = limits.chunk_bytes_for(size)
        assert 1 <= chunk <= limits.MAX_CHUNK_BYTES
        assert chunk / size <= 0.005 or chunk == 1
