"""Downloads over narrow, long and bad ways, in pretended time: bytes asked for against bytes needed, and how soon a cut is noticed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import pytest
from tests.support.link import WAYS, Link, least_seconds

from labelferry.fetch import QUIET_SECONDS, Fetch
from labelferry_protocol import limits
from labelferry_protocol.depot import BundleOpened, Chunk, OpenBundle, RequestChunk
from labelferry_protocol.errors import Code
from labelferry_protocol.events import BundleFacts
from labelferry_protocol.message import Message
from labelferry_protocol.requests import DownloadOpened, Refused
from labelferry_protocol.window import LEAST_STEP_BYTES

JOB = "a" * 32
DIGEST = hashlib.sha256(b"").hexdigest()
Said = tuple[str, Message, int]
"""A message of a pretended depot, with its `ref` and the number of its bytes."""


@dataclass
class Fetched:
    """What a download came to: bytes asked for, showings of the token, seconds, and for how long at most nothing was heard."""

    asked: int = 0
    shown: int = 0
    seconds: float = 0.0
    silent: float = 0.0
    connections: int = 1


@dataclass
class Way:
    """A client's connection to a depot that answers in order, and knows nothing of an earlier one. Cut, it is there again at once, and nobody is told."""

    bits: float
    latency: float
    loss: float
    chance: Random
    _opened: bool = False
    _up: Link[tuple[str, Message]] = field(init=False)
    _down: Link[Said] = field(init=False)

    def __post_init__(self) -> None:
        self._up = Link(self.bits / 8, self.latency, self.loss, self.chance)
        self._down = Link(self.bits / 8, self.latency, self.loss, self.chance)

    def say(self, ref: str, message: Message, now: float) -> None:
        self._up.send((ref, message), 250, now)

    def hear(self, size: int, now: float) -> list[Said]:
        """Let the depot answer what has come to it; return what has come from it."""
        for ref, message in self._up.come(now):
            if isinstance(message, OpenBundle):
                self._opened = True
                chunk = limits.chunk_bytes_for(size)
                self._down.send((ref, BundleOpened(size=size, sha256=DIGEST, chunk_bytes=chunk), 0), 150, now)
            elif isinstance(message, RequestChunk) and self._opened:
                chunk_said = (ref, Chunk(job_id=JOB, offset=message.offset), message.length)
                self._down.send(chunk_said, message.length + 100, now)
            elif isinstance(message, RequestChunk):
                self._down.send((ref, Refused(code=Code.REGISTER, message="open first"), 0), 150, now)
        return self._down.come(now)

    def cut(self, now: float) -> None:
        self._opened = False
        self._up.cut(now)
        self._down.cut(now)

    @property
    def next_at(self) -> float:
        return min(self._up.next_at, self._down.next_at)


def fetch(
    size: int, bits: float, latency: float, *, loss: float = 0.0, cuts: Sequence[float] = (), seed: int = 0
) -> Fetched:
    """Download over a way that is cut at some moments."""
    facts = BundleFacts(size=size, sha256=DIGEST)
    fetching = Fetch(DownloadOpened(transfer_id="b" * 32, job_id=JOB, bundle=facts, token=b"token"), 0, 0.0)
    way, fetched, cuts_left = Way(bits, latency, loss, Random(seed)), Fetched(), sorted(cuts)
    while not fetching.done:
        now = fetched.seconds
        assert fetched.asked < 10 * size, f"it does not end: after {now} s {fetching.received} bytes are here"
        if fetching.stalled(now):
            way.cut(now)
            fetching.stumbled(now)
            fetched.connections += 1
        for message in fetching.turn(now):
            fetched.asked += message.length if isinstance(message, RequestChunk) else 0
            fetched.shown += isinstance(message, OpenBundle)
            way.say(fetching.ref, message, now)
        now = fetched.seconds = max(now, min(way.next_at, fetching.deadline(), *cuts_left))
        if now in cuts_left:
            cuts_left.remove(now)
            way.cut(now)
        for ref, message, length in way.hear(size, now):
            fetched.silent = max(fetched.silent, now - fetching.heard_at)
            fetching.heard(message, bytes(length), now, ref)
        while fetching.take() is not None:
            pass
    return fetched


@pytest.mark.parametrize("latency", [0.0, 0.02, 0.2])
@pytest.mark.parametrize("bits", WAYS)
def test_what_is_needed_is_asked_for_once_on_one_connection_and_the_way_is_used(bits: float, latency: float) -> None:
    size = WAYS[bits]
    fetched = fetch(size, bits, latency)
    assert size >= 0.9 * fetched.asked
    assert fetched.connections == 1
    assert fetched.shown <= 20
    assert fetched.seconds <= 1.1 * least_seconds(bits, latency) + 12 * latency


def test_a_bundle_whose_chunks_are_too_large_for_its_way_comes_in_smaller_ones_after_two_tries() -> None:
    fetched = fetch(90_000_000, 64e3, 0.02)
    assert fetched.asked <= 1.01 * 90_000_000
    assert fetched.connections == 3


@pytest.mark.parametrize("bits", WAYS)
@pytest.mark.parametrize("seed", range(3))
def test_over_a_way_that_is_cut_and_loses_it_ends_and_little_is_asked_for_twice(bits: float, seed: int) -> None:
    size, chance = WAYS[bits], Random(seed)
    cuts = [chance.uniform(0.0, 8 * size / bits) for _ in range(2)]
    assert size >= 0.9 * fetch(size, bits, 0.02, cuts=cuts).asked
    assert size >= 0.8 * fetch(size, bits, 0.02, loss=0.05, cuts=cuts, seed=seed).asked


@pytest.mark.parametrize("bits", WAYS)
def test_that_a_connection_was_cut_under_it_is_noticed_a_chunk_and_a_fifth_of_a_second_later(bits: float) -> None:
    fetched = fetch(WAYS[bits], bits, 0.02, cuts=[4 * WAYS[bits] / bits])
    chunk = min(limits.chunk_bytes_for(WAYS[bits]), max(LEAST_STEP_BYTES, bits / 32))
    assert fetched.silent <= QUIET_SECONDS + 3 * 8 * (chunk + 500) / bits + 4 * 0.02
    assert fetched.connections == 1
