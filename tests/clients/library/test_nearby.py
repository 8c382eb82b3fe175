"""A bundle on this machine is read where it lies, and asked for where that cannot be, or was not it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from labelferry import Cancelled, Client, Completed, Progress
from labelferry.nearby import MOST_BYTES, STEPS, nearby

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.library.conftest import PretendedBroker

BUNDLE = Random(7).randbytes(300_000)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    made = tmp_path / "bundle.zip"
    made.write_bytes(BUNDLE)
    return made


@pytest.fixture
def client(broker: PretendedBroker) -> Iterator[Client]:
    with Client(str(broker)) as made:
        yield made


def read(place: Path, size: int = len(BUNDLE), offset: int = 0) -> bytes:
    with nearby(str(place), size, offset) as pieces:
        return b"".join(pieces)


def test_it_is_read_from_any_byte_on_in_small_steps(bundle: Path) -> None:
    assert read(bundle) == BUNDLE
    assert read(bundle, offset=299_990) == BUNDLE[-10:]
    assert read(bundle, offset=len(BUNDLE)) == b""
    with nearby(str(bundle), len(BUNDLE), 0) as pieces:
        assert max(map(len, pieces)) <= len(BUNDLE) / STEPS


def test_what_is_not_the_file_told_of_gives_nothing(bundle: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(bundle)
    assert [read(place) for place in (link, tmp_path, tmp_path / "nowhere")] == [b"", b"", b""]
    assert read(bundle, size=len(BUNDLE) + 1) == b""
    assert read(bundle, size=MOST_BYTES + 1) == b""
    with nearby(None, len(BUNDLE), 0) as pieces:
        assert list(pieces) == []


def test_a_file_that_is_cut_meanwhile_gives_what_it_has(bundle: Path) -> None:
    with nearby(str(bundle), len(BUNDLE), 0) as pieces:
        first = next(pieces)
        bundle.write_bytes(BUNDLE[: len(first) + 5])
        assert first + b"".join(pieces) == BUNDLE[: len(first) + 5]


def finished(broker: PretendedBroker, place: Path) -> str:
    """A job that is completed, and whose bundle lies at `place`, as clients are told."""

    def make() -> str:
        job = broker.make_job()
        broker.begin(job)
        broker.complete(job, BUNDLE)
        broker.bundle_place = str(place)
        return str(job.job_id)

    return str(broker.do(make))


def test_a_download_of_it_asks_for_no_chunk_and_shows_the_same(
    broker: PretendedBroker, client: Client, bundle: Path, tmp_path: Path
) -> None:
    *progress, last = client.download(finished(broker, bundle), tmp_path / "out.zip")
    assert isinstance(last, Completed)
    assert (tmp_path / "out.zip").read_bytes() == BUNDLE
    assert broker.chunks_sent == 0
    told = [0.0, *(event.progress for event in progress if isinstance(event, Progress))]
    assert told[-1] == 100
    assert all(0 <= after - before <= 1 for before, after in pairwise(told))


def test_a_file_of_the_same_size_that_is_not_it_is_found_out_and_the_bundle_asked_for(
    broker: PretendedBroker, client: Client, bundle: Path, tmp_path: Path
) -> None:
    bundle.write_bytes(BUNDLE[::-1])
    *_, last = client.download(finished(broker, bundle), tmp_path / "out.zip")
    assert isinstance(last, Completed)
    assert (tmp_path / "out.zip").read_bytes() == BUNDLE
    assert broker.chunks_sent > 0


def test_a_cancel_while_it_is_read_leaves_nothing(
    broker: PretendedBroker, client: Client, bundle: Path, tmp_path: Path
) -> None:
    transfer = client.download(finished(broker, bundle), tmp_path / "out.zip")
    next(transfer)
    transfer.cancel()
    *_, last = transfer
    assert isinstance(last, Cancelled)
    assert last.cleanup_completed
    assert last.progress < 100
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.zip"]
