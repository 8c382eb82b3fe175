"""Paths of the depot's are told to peers on its machine alone, of bundles that are worth it; what they put there needs no room."""

from pathlib import Path

import msgspec
import pytest

from labelferry_broker.depot.settings import LINKED_BYTES, part_path
from labelferry_broker.depot.vault import Vault
from labelferry_broker.nearby import Nearby
from labelferry_broker.neighbours import Neighbours
from labelferry_protocol import limits
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.tokens import Claims
from labelferry_transport.process_mark import own_mark

JOB = "ab" * 16
LARGE = Claims(job_id=JOB, attempt=2, size=LINKED_BYTES, sha256="c" * 64, user="w", expires_at=1e9)
SMALL = msgspec.structs.replace(LARGE, size=LINKED_BYTES - 1)


@pytest.fixture
def neighbours() -> Neighbours:
    """One worker on this machine, `near`, and one that does not say where it is, `far`."""
    made = Neighbours()
    made.registered(b"near", own_mark())
    made.registered(b"far", "")
    return made


def test_workers_in_sight_are_told_where_a_large_bundle_may_be_put(neighbours: Neighbours) -> None:
    nearby = Nearby(Path("/state"), neighbours, unix_only=False)
    assert nearby.part_for(b"near", LARGE) == f"/state/incoming/{JOB}.2.{'c' * 16}.part"
    assert [nearby.part_for(b"far", LARGE), nearby.part_for(b"near", SMALL)] == [None, None]
    neighbours.left(b"near", 0.0)
    assert nearby.part_for(b"near", LARGE) is None


def test_clients_are_told_where_a_large_bundle_lies_when_all_come_by_unix_sockets(neighbours: Neighbours) -> None:
    nearby = Nearby(Path("/state"), neighbours, unix_only=True)
    assert nearby.bundle_for(LARGE) == f"/state/bundles/{JOB}.2.zip"
    assert nearby.bundle_for(SMALL) is None
    assert Nearby(Path("/state"), neighbours, unix_only=False).bundle_for(LARGE) is None


@pytest.mark.parametrize("state", [None, Path("/new\nline"), Path("/" + "x" * limits.MAX_STRING), Path("/\udcff")])
def test_a_path_that_no_message_can_hold_is_not_told(neighbours: Neighbours, state: Path | None) -> None:
    nearby = Nearby(state, neighbours, unix_only=True)
    assert (nearby.part_for(b"near", LARGE), nearby.bundle_for(LARGE)) == (None, None)


def test_a_bundle_that_is_all_there_needs_no_room_on_a_full_disk(tmp_path: Path) -> None:
    vault = Vault(tmp_path, reserve_bytes=1 << 60)
    with pytest.raises(Refusal) as refused:
        vault.begin(LARGE)
    assert refused.value.code is Code.DISK_FULL
    part_path(tmp_path, LARGE).write_bytes(bytes(LARGE.size))
    coming = vault.begin(LARGE)
    assert coming.received == LARGE.size
    coming.drop()
