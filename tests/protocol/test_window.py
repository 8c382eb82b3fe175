"""A transfer's receiving side: every byte once and in order, whatever the way loses, doubles or delays."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_protocol import limits
from labelferry_protocol.window import LEAST_STEP_BYTES, Window


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
            for ready in window.take(offset, piece, now):
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
    assert window.take(10, b"x" * 10, 0.0) == []
    assert window.ask(0.0) == [], "an early chunk waits in memory and keeps its place in the window"
    assert window.take(0, b"x" * 10, 0.0) == [b"x" * 10] * 2
    assert [offset for offset, _ in window.ask(0.0)] == [40, 50]


def test_what_is_lost_is_asked_for_again_at_once_and_nothing_else_is() -> None:
    window = Window(size=100, chunk=10, width=3)
    waits = [window.waits]
    window.ask(0.0)
    assert [*waits, window.waits] == [False, True]
    window.take(0, b"x" * 10, 0.0)
    assert window.ask(1.0) == [(30, 10)]
    window.lost(0.5)
    assert window.ask(1.0) == [(10, 10), (20, 10)]


def test_what_is_on_its_way_is_not_asked_for_again_while_something_comes() -> None:
    window = Window(size=60, chunk=10, width=6)
    window.ask(0.0)
    for number in range(5):
        now = 1.9 * (number + 1)
        assert window.take(10 * number, b"x" * 10, now) == [b"x" * 10]
        assert window.ask(now) == []


def test_what_was_passed_by_an_answer_to_a_later_request_is_asked_again_a_little_later() -> None:
    window = Window(size=60, chunk=10, width=6)
    window.ask(0.0)
    window.take(20, b"x" * 10, 1.0)
    window.take(10, b"x" * 10, 1.1)
    assert window.ask(1.19) == []
    assert window.ask(1.2) == [(0, 10)]
    assert window.ask(9.0) != [], "and again when nothing comes of that"


def test_in_silence_what_is_wanted_next_is_asked_for_ever_more_rarely_and_at_the_end_all_of_it() -> None:
    window = Window(size=60, chunk=10, width=3)
    window.ask(0.0)
    asked = [(tenth / 10, offset) for tenth in range(1, 300) for offset, _ in window.ask(tenth / 10)]
    assert asked == [(2.0, 0), (6.0, 0), (14.0, 0)]
    window.take(0, b"x" * 10, 29.9)
    assert window.ask(29.9) == [(30, 10)]
    window.take(30, b"x" * 10, 30.0)
    assert window.ask(30.2) == [(10, 10), (20, 10)], "an answer to what was asked after them tells that they are lost"
    window.take(10, b"x" * 10, 30.3)
    window.take(20, b"x" * 10, 30.3)
    assert window.ask(30.3) == [(40, 10), (50, 10)]
    assert window.ask(32.4) == [(40, 10), (50, 10)]


def test_an_answer_to_what_was_asked_twice_passes_nobody_and_measures_nothing() -> None:
    window = Window(size=10**6, chunk=10**5)
    window.ask(0.0)
    assert window.ask(2.0) == [(0, LEAST_STEP_BYTES)]
    window.take(0, b"x" * LEAST_STEP_BYTES, 2.001)
    assert window.step == LEAST_STEP_BYTES
    assert [offset for offset, _ in window.ask(2.5)] == [4 * LEAST_STEP_BYTES], "those asked at first may come yet"


def test_the_steps_are_an_eighth_of_two_seconds_of_the_way_and_follow_it() -> None:
    window, now = Window(size=10**9, chunk=10**6), 0.0
    for rate in (10_000, 1_000_000, 100_000_000, 100_000):
        for _ in range(30):
            for offset, length in window.ask(now):
                now += length / rate
                window.take(offset, bytes(length), now)
        assert window.step == pytest.approx(min(10**6, max(LEAST_STEP_BYTES, rate // 4)), rel=0.5), rate


def test_a_cut_transfer_goes_on_from_what_is_here() -> None:
    assert Window(size=100, chunk=60, received=40).ask(0.0) == [(40, 60)]


def test_chunks_that_nobody_asked_for_or_of_a_wrong_length_are_not_written() -> None:
    window = Window(size=100, chunk=50)
    window.ask(0.0)
    assert window.take(7, b"x" * 50, 0.0) == []
    assert window.take(0, b"x" * 49, 0.0) == []
    assert window.received == 0


def test_a_chunk_is_under_half_a_point_of_progress() -> None:
    for size in (1, 100, 999, 10_000, 10**6, 10**9):
        chunk = limits.chunk_bytes_for(size)
        assert 1 <= chunk <= limits.MAX_CHUNK_BYTES
        assert chunk / size <= 0.005 or chunk == 1
