"""A bundle's way from a depot that loses, doubles, refuses and falls silent. Pure: time is a number."""

import hashlib
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry.fetch import (
    LEAST_CHUNK_BYTES,
    MOST_PIECES,
    MOST_STALL_SECONDS,
    QUIET_SECONDS,
    STALL_SECONDS,
    Fetch,
    Pace,
    words_of,
)
from labelferry_protocol.depot import BundleOpened, Chunk, CloseBundle, OpenBundle, RequestChunk
from labelferry_protocol.errors import Code
from labelferry_protocol.events import BundleFacts
from labelferry_protocol.requests import DownloadOpened, Refused

JOB = "a" * 32
DATA = bytes(range(251)) * 8
DIGEST = hashlib.sha256(DATA).hexdigest()


def opened(token: bytes = b"token", size: int = len(DATA)) -> DownloadOpened:
    return DownloadOpened(transfer_id="b" * 32, job_id=JOB, bundle=BundleFacts(size=size, sha256=DIGEST), token=token)


def welcome(chunk: int = 100) -> BundleOpened:
    return BundleOpened(size=len(DATA), sha256=DIGEST, chunk_bytes=chunk)


def serve(fetch: Fetch, now: float) -> bytes:
    """Be a depot that answers everything once; return what became writable."""
    for message in fetch.turn(now):
        if isinstance(message, OpenBundle):
            fetch.heard(welcome(), b"", now)
        elif isinstance(message, RequestChunk):
            piece = DATA[message.offset : message.offset + message.length]
            fetch.heard(Chunk(job_id=JOB, offset=message.offset), piece, now)
    return taken(fetch)


def taken(fetch: Fetch) -> bytes:
    data = b""
    while (piece := fetch.take()) is not None:
        data += piece
    return data


def test_the_token_is_shown_until_the_depot_answers_then_chunks_are_asked_for() -> None:
    fetch = Fetch(opened(), 0, 0.0)
    assert fetch.turn(0.0) == [OpenBundle(token=b"token")]
    assert fetch.turn(0.5) == []
    assert fetch.turn(1.0) == [OpenBundle(token=b"token")]
    fetch.heard(welcome(), b"", 1.1)
    asks = fetch.turn(1.1)
    assert asks[0] == RequestChunk(job_id=JOB, offset=0, length=100)
    assert len(asks) == 8


def test_a_bundle_comes_whole_and_the_fetch_is_done() -> None:
    fetch = Fetch(opened(), 0, 0.0)
    data, now = b"", 0.0
    while not fetch.done:
        data += serve(fetch, now)
        now += 0.01
    assert data == DATA
    assert fetch.turn(now) == []
    assert fetch.goodbye() == [CloseBundle(job_id=JOB)]
    assert fetch.deadline() == float("inf")


@given(st.integers(0, len(DATA)), st.integers(0, 2**32))
def test_from_any_cut_on_over_a_bad_road_the_rest_comes_once_and_in_order(cut: int, seed: int) -> None:
    chance = Random(seed)
    fetch = Fetch(opened(), cut, 0.0)
    data, now = b"", 0.0
    under_way: list[tuple[Chunk, bytes]] = []
    while not fetch.done:
        now += 0.5
        assert now < 2000
        if fetch.stalled(now) or chance.random() < 0.05:
            fetch.reconnected(now)
            under_way.clear()
        for message in fetch.turn(now):
            if isinstance(message, OpenBundle) and chance.random() < 0.8:
                fetch.heard(welcome(), b"", now)
            elif isinstance(message, RequestChunk):
                piece = DATA[message.offset : message.offset + message.length]
                under_way += [(Chunk(job_id=JOB, offset=message.offset), piece)] * chance.choice([0, 1, 1, 2])
        chance.shuffle(under_way)
        for _ in range(chance.randint(0, len(under_way))):
            fetch.heard(*under_way.pop(), now)
        data += taken(fetch)
    assert data == DATA[cut:]


def test_a_depot_that_says_nothing_has_the_connection_made_anew() -> None:
    fetch = Fetch(opened(), 0, 0.0)
    fetch.turn(0.0)
    assert not fetch.stalled(STALL_SECONDS - 0.1)
    assert fetch.stalled(STALL_SECONDS)
    fetch.reconnected(STALL_SECONDS)
    assert fetch.turn(STALL_SECONDS) == [OpenBundle(token=b"token")]


def test_connections_to_the_depot_that_bring_nothing_are_given_ever_longer_until_one_does() -> None:
    fetch, now, given = Fetch(opened(), 0, 0.0), 0.0, []
    for _ in range(5):
        since = now
        while not fetch.stalled(now):
            now += 0.5
        given.append(now - since)
        fetch.stumbled(now)
    assert given == [STALL_SECONDS, 2 * STALL_SECONDS, *[MOST_STALL_SECONDS] * 3]
    fetch.heard(welcome(), b"", now)
    assert fetch.stalled(now + STALL_SECONDS)


def test_a_depot_that_opens_the_bundle_again_and_again_and_brings_nothing_is_not_heard_of() -> None:
    fetch, now = Fetch(opened(), 0, 0.0), 1.0
    for _ in range(5):
        fetch.turn(now)
        fetch.heard(welcome(), b"", now)
        fetch.turn(now)
        while not fetch.stalled(now):
            now += 0.5
        fetch.stumbled(now)
    assert fetch.heard_at == 1.0
    fetch.turn(now)
    fetch.heard(welcome(), b"", now)
    fetch.heard(Chunk(job_id=JOB, offset=0), DATA[:100], now)
    assert fetch.heard_at == now
    fetch.reconnected(now)
    fetch.heard(welcome(), b"", now + 9.0)
    assert fetch.heard_at == now + 9.0


def test_when_it_is_quiet_the_token_is_shown_again_and_what_was_asked_before_is_asked_anew() -> None:
    fetch = Fetch(opened(), 0, 0.0)
    fetch.turn(0.0)
    fetch.heard(welcome(), b"", 0.0)
    asks = fetch.turn(0.0)
    assert fetch.turn(QUIET_SECONDS - 0.01) == []
    assert fetch.deadline() == QUIET_SECONDS
    assert fetch.turn(QUIET_SECONDS) == [OpenBundle(token=b"token")]
    assert fetch.turn(2 * QUIET_SECONDS) == [], "the next time it waits for longer"
    fetch.heard(welcome(), b"", 2 * QUIET_SECONDS, fetch.ref)
    assert fetch.turn(2 * QUIET_SECONDS) == asks


def test_what_was_asked_after_the_token_was_shown_is_not_asked_twice() -> None:
    fetch = Fetch(opened(), 0, 0.0)
    fetch.turn(0.0)
    fetch.heard(welcome(), b"", 0.0)
    fetch.turn(0.0)
    fetch.turn(QUIET_SECONDS)
    late = QUIET_SECONDS + 0.01
    fetch.heard(Chunk(job_id=JOB, offset=0), DATA[:100], late)
    (ask,) = fetch.turn(late)
    fetch.heard(welcome(), b"", late, fetch.ref)
    again = fetch.turn(late)
    assert ask not in again
    assert [each.offset for each in again if isinstance(each, RequestChunk)] == list(range(100, 800, 100))


def test_a_narrow_way_is_gone_in_smaller_steps() -> None:
    big = BundleOpened(size=10**9, sha256=DIGEST, chunk_bytes=10**6)
    fetch, now, sizes = Fetch(opened(size=10**9), 0, 0.0), 0.0, []
    for _ in range(6):
        fetch.turn(now)
        fetch.heard(big, b"", now)
        (ask, *_) = [each for each in fetch.turn(now) if isinstance(each, RequestChunk)]
        sizes.append(ask.length)
        now += STALL_SECONDS
        assert fetch.stalled(now)
        fetch.stumbled(now)
    assert sizes == [10**6, 250_000, 62_500, LEAST_CHUNK_BYTES, LEAST_CHUNK_BYTES, LEAST_CHUNK_BYTES]


def test_a_depot_that_was_restarted_is_shown_the_token_again() -> None:
    fetch = Fetch(opened(), 0, 0.0)
    fetch.turn(0.0)
    fetch.heard(welcome(), b"", 0.0)
    fetch.turn(0.0)
    fetch.heard(Refused(code=Code.REGISTER, message="open first"), b"", 0.1)
    assert fetch.turn(0.1) == [OpenBundle(token=b"token")]


def test_a_busy_depot_is_asked_again_when_it_says() -> None:
    fetch = Fetch(opened(), 0, 0.0)
    fetch.turn(0.0)
    fetch.heard(Refused(code=Code.BUSY, message="later", retry_after=4.0), b"", 0.1)
    assert fetch.turn(4.0) == []
    assert not fetch.stalled(4.0)
    assert fetch.turn(4.2) == [OpenBundle(token=b"token")]


@pytest.mark.parametrize("code", [Code.GONE, Code.ACCESS, Code.STORE])
def test_any_other_refusal_ends_it(code: Code) -> None:
    fetch = Fetch(opened(), 0, 0.0)
    fetch.heard(Refused(code=code, message="no"), b"", 0.1)
    assert fetch.error is not None
    assert fetch.error.code is code
    assert fetch.turn(5.0) == []
    assert not fetch.stalled(9.0)


def test_a_new_token_goes_on_from_the_byte_that_is_wanted_next() -> None:
    fetch = Fetch(opened(), 0, 0.0)
    data = serve(fetch, 0.0) + serve(fetch, 0.1)
    fetch.heard(Refused(code=Code.ACCESS, message="expired"), b"", 0.2)
    fetch.renewed(opened(b"new"), 0.3)
    assert fetch.turn(0.3) == [OpenBundle(token=b"new")]
    fetch.heard(welcome(), b"", 0.3)
    asked = fetch.turn(0.3)[0]
    assert isinstance(asked, RequestChunk)
    assert asked.offset == len(data)


def test_another_bundle_than_the_published_one_is_gone() -> None:
    fetch = Fetch(opened(), 0, 0.0)
    fetch.heard(BundleOpened(size=len(DATA), sha256="1" * 64, chunk_bytes=10), b"", 0.0)
    assert fetch.error is not None
    assert fetch.error.code is Code.GONE


def test_no_more_is_asked_for_than_is_taken() -> None:
    fetch = Fetch(opened(), 0, 0.0)
    fetch.turn(0.0)
    fetch.heard(welcome(10), b"", 0.0)
    asked = 0
    for _ in range(20):
        asks = [message for message in fetch.turn(0.0) if isinstance(message, RequestChunk)]
        asked += len(asks)
        for message in asks:
            fetch.heard(Chunk(job_id=JOB, offset=message.offset), DATA[message.offset :][: message.length], 0.0)
    assert asked <= MOST_PIECES + 8


@given(st.integers(10**6, 10**9), st.floats(0.01, 0.49))
def test_every_full_point_is_told_and_no_step_is_over_one(size: int, share: float) -> None:
    pace = Pace(size)
    chunk = int(size * share / 100)
    told = [pace.percent(each) for each in range(0, size, chunk) if pace.worth_telling(each, now=0.0)]
    assert all(0 < after - before <= 1 for before, after in pairwise(told))
    assert {int(percent) for percent in told} == set(range(100))
    assert len(told) <= 300


def test_the_time_left_follows_the_rate() -> None:
    pace = Pace(1000)
    pace.worth_telling(0, 0.0)
    assert pace.seconds_left(0) is None
    pace.worth_telling(100, 1.0)
    assert pace.seconds_left(100) == pytest.approx(9.0)
    assert pace.percent(100) == 10.0


@pytest.mark.parametrize(
    ("received", "size", "words"),
    [
        (3_000_000, 40_000_000, "Downloading bundle (3 of 40 MB)"),
        (300_000, 4_000_000, "Downloading bundle (0.3 of 4.0 MB)"),
        (0, 999, "Downloading bundle (0 of 999 bytes)"),
        (10_000, 20_000, "Downloading bundle (10 of 20 kB)"),
        (10**9, 12 * 10**9, "Downloading bundle (1 of 12 GB)"),
    ],
)
def test_a_person_reads_how_much_of_how_much(received: int, size: int, words: str) -> None:
    assert words_of(received, size) == words
