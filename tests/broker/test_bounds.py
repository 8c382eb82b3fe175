"""What the depot keeps for others is bounded: questions for the broker, words it could not say, digests of bundles."""

import hashlib
from pathlib import Path

import pytest
import zmq

from labelferry_broker.depot import carrier, uploads
from labelferry_broker.depot.broker_lane import MAX_WAITING, BrokerLane
from labelferry_broker.depot.carrier import Carrier
from labelferry_broker.depot.downloads import Downloads
from labelferry_broker.depot.sealer import Sealer
from labelferry_broker.depot.settings import DepotSettings
from labelferry_broker.depot.uploads import Uploads
from labelferry_broker.depot.vault import Vault
from labelferry_protocol import tokens
from labelferry_protocol.depot import Discarded, OfferBundle
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.tokens import Claims

JOB = "ab" * 16
SECRET = bytes(32)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path)


def test_so_many_questions_wait_for_the_broker_and_the_next_is_refused_with_when_to_come_back(vault: Vault) -> None:
    lane = BrokerLane(vault, Uploads(vault, SECRET), Downloads(vault, SECRET))
    claims = Claims(job_id=JOB, attempt=1, size=1, sha256="0" * 64, user="w", expires_at=1e9)
    for number in range(MAX_WAITING):
        lane.ask_for(claims, b"peer", str(number))
    with pytest.raises(Refusal) as refused:
        lane.ask_for(claims, b"peer", "one more")
    assert (refused.value.code, refused.value.retry_after) == (Code.BUSY, 1.0)
    lane.ask_for(claims, b"peer", "0")


def test_small_bundles_that_wait_for_the_sealer_take_no_place_of_larger_ones(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_COMING", 2)
    monkeypatch.setattr(uploads, "MAX_WAITING", 7)
    coming = Uploads(vault, SECRET)

    def offer(attempt: int, content: bytes | None) -> None:
        digest = hashlib.sha256(b"small").hexdigest()
        claims = Claims(job_id=JOB, attempt=attempt, size=5, sha256=digest, user="w", expires_at=1e9)
        token = tokens.sign(claims, "upload", SECRET)
        coming.offer(b"peer", str(attempt), "w", OfferBundle(token=token, content=content), 0.0, 0.0)

    for attempt in range(1, 5):
        offer(attempt, b"small")
    offer(5, None)
    offer(6, None)
    with pytest.raises(Refusal, match="as many bundles as it can"):
        offer(7, None)
    offer(7, b"small")
    with pytest.raises(Refusal, match="as many bundles as it can"):
        offer(8, b"small")
    coming.close_all()


def test_digests_of_the_bundles_stored_last_are_remembered_and_no_more(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_STORED", 3)
    stored = Uploads(vault, SECRET)
    for attempt in range(1, 6):
        stored._remember((JOB, attempt), "0" * 64)
    assert list(stored._stored) == [(JOB, 3), (JOB, 4), (JOB, 5)]


def test_what_a_broker_that_does_not_hear_is_told_is_kept_up_to_a_bound(
    context: zmq.Context[zmq.Socket[bytes]], vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier, "MAX_UNTOLD", 5)
    inner = context.socket(zmq.DEALER)
    settings = DepotSettings(endpoint="ipc:///nowhere", state=tmp_path, inner="ipc:///nowhere")
    depot = Carrier(settings, SECRET, context.socket(zmq.ROUTER), inner, Sealer(context, vault), vault, None)
    depot._poller.register(inner, zmq.POLLIN)
    for attempt in range(1, 20):
        depot._tell_broker(Discarded(job_id=JOB, attempt=attempt))
    assert [message.attempt for message in depot._to_broker if isinstance(message, Discarded)] == [1, 2, 3, 4, 5]
    depot._close()
