"""Uploads over narrow, long and bad ways, in pretended time: bytes asked for against bytes needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import pytest
from tests.support.link import WAYS, Link, least_seconds

from labelferry_protocol import limits
from labelferry_protocol.window import Window

TICK_SECONDS = 0.25
"""As the depot's."""


@dataclass
class Brought:
    """What a transfer came to: bytes asked for, seconds, and for how long at most something had to wait for what was before it."""

    asked: int = 0
    seconds: float = 0.0
    queued: float = 0.0


def bring(
    size: int, bits: float, latency: float, *, loss: float = 0.0, cuts: Sequence[float] = (), seed: int = 0
) -> Brought:
    """Let a depot ask and a worker send until all is here, over a way that is cut, and there again at once, at some moments."""
    chance = Random(seed)
    down = Link[tuple[int, int]](bits / 8, latency, loss, chance)
    up = Link[tuple[int, int]](bits / 8, latency, loss, chance)
    window = Window(size, limits.chunk_bytes_for(size))
    brought, tick_at, cuts_left = Brought(), TICK_SECONDS, sorted(cuts)
    while not window.done:
        now = brought.seconds
        assert brought.asked < 10 * size, f"it does not end: after {now} s {window.received} bytes are here"
        for offset, length in window.ask(now):
            brought.asked += length
            down.send((offset, length), 100, now)
        now = brought.seconds = min(up.next_at, down.next_at, tick_at, *cuts_left)
        if now == tick_at:
            tick_at += TICK_SECONDS
        if now in cuts_left:
            cuts_left.remove(now)
            up.cut(now)
            down.cut(now)
            window.reconnected()
        for offset, length in down.come(now):
            up.send((offset, length), length + 100, now)
        for offset, length in up.come(now):
            window.take(offset, bytes(length), now)
        brought.queued = max(brought.queued, up.queued(now))
    return brought


@pytest.mark.parametrize("latency", [0.0, 0.02, 0.2])
@pytest.mark.parametrize("bits", WAYS)
def test_what_is_needed_is_asked_for_once_the_way_is_used_and_no_long_queue_stands_on_it(
    bits: float, latency: float
) -> None:
    size = WAYS[bits]
    brought = bring(size, bits, latency)
    assert size >= 0.9 * brought.asked
    assert brought.seconds <= 1.1 * least_seconds(bits, latency) + 12 * latency
    assert brought.queued <= 2.5


@pytest.mark.parametrize("bits", WAYS)
@pytest.mark.parametrize("seed", range(3))
def test_it_ends_over_a_way_that_is_cut_and_loses_and_little_is_asked_for_twice(bits: float, seed: int) -> None:
    size, chance = WAYS[bits], Random(seed)
    cuts = [chance.uniform(0.0, 8 * size / bits) for _ in range(2)]
    assert size >= 0.9 * bring(size, bits, 0.02, cuts=cuts).asked
    assert size >= 0.8 * bring(size, bits, 0.02, loss=0.05, cuts=cuts, seed=seed).asked
