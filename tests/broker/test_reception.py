"""What peers say reaches the ledger only as a message of somebody who may say it; a ledger that fails is given up, not the broker."""

from pathlib import Path
from typing import NoReturn

import msgpack
import pytest
import zmq

from labelferry_broker.ledger.effects import Reply, Tell
from labelferry_broker.ledger.machine import Ledger
from labelferry_broker.ledger.settings import Asker, LedgerSettings, Moment
from labelferry_broker.neighbours import Neighbours
from labelferry_broker.reception import LedgerFault, Reception
from labelferry_broker.store.store import Store
from labelferry_broker.tenure import FAILURES, STORE_PATIENCE_SECONDS, TOLD_SECONDS, WINDOW_SECONDS, Tenure
from labelferry_protocol import codec
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.message import Message
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.requests import (
    Cancel,
    ClientSays,
    GetHistory,
    GetOverview,
    GetSnapshot,
    Hello,
    OpenDownload,
    Refused,
    Submit,
)
from labelferry_protocol.work import Renew
from labelferry_transport.speaker import Speaker

NOW = Moment(0.0, 0.0)


class FailingLedger(Ledger):
    """A ledger with a bug."""

    def client_said(self, peer: bytes, ref: str, asker: Asker, message: ClientSays, now: Moment) -> NoReturn:
        raise ZeroDivisionError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


@pytest.fixture
def reception() -> Reception:
    return Reception(b"secret", _greet, Neighbours(), open_door=True)


def _greet(peer: bytes, ref: str, speaker: Speaker, hello: Hello) -> None:
    raise AssertionError("nobody said hello")


def _parts(message: Message, ref: str = "7") -> list[zmq.Frame]:
    return [zmq.Frame(b"peer"), *(zmq.Frame(bytes(part)) for part in codec.frames(message, ref))]


def _new_ledger(store: Store, kind: type[Ledger] = Ledger) -> Ledger:
    return kind(LedgerSettings(), store.epoch, store, store.load(), NOW, lambda: "ab" * 16)


def test_a_fault_of_the_ledger_is_told_to_whoever_met_it(store: Store, reception: Reception) -> None:
    with pytest.raises(LedgerFault) as caught:
        reception.from_client(_new_ledger(store, FailingLedger), _parts(GetOverview()), NOW)
    answer = caught.value.answer
    assert isinstance(answer, Reply)
    assert (answer.peer, answer.ref) == (b"peer", "7")
    assert isinstance(answer.message, Refused)
    assert answer.message.code is Code.INTERNAL
    store.close()


def test_a_refusal_keeps_the_correlation_id_of_what_it_refuses(store: Store, reception: Reception) -> None:
    ledger = _new_ledger(store)
    parts = [zmq.Frame(b"peer"), zmq.Frame(msgpack.packb({"version": 1, "ref": "9"})), zmq.Frame(b"\xc1")]
    (reply,) = reception.from_client(ledger, parts, NOW)
    assert isinstance(reply, Reply)
    assert reply.ref == "9"
    (told,) = reception.from_worker(ledger, parts, NOW)
    assert isinstance(told, Tell)
    assert told.ref == "9"
    store.close()


def test_a_word_of_the_wrong_lane_is_no_verb_there(store: Store, reception: Reception) -> None:
    (reply,) = reception.from_client(_new_ledger(store), _parts(Renew(worker_id="ab" * 16)), NOW)
    assert isinstance(reply, Reply)
    assert isinstance(reply.message, Refused)
    assert reply.message.code is Code.UNKNOWN_VERB
    store.close()


def test_progress_that_is_nonsense_has_no_effect(store: Store, reception: Reception) -> None:
    ledger = _new_ledger(store)
    for frames in ([b""], [b"a" * 32 + b"/", b"\xc1"], [b"a"] * 5, [b"a" * 32 + b"/", codec.pack(GetOverview())]):
        assert reception.from_progress(ledger, [zmq.Frame(frame) for frame in frames], NOW) == []
    store.close()


def test_a_ledger_that_failed_is_followed_by_one_of_a_new_epoch(store: Store) -> None:
    tenure = Tenure(store, LedgerSettings(), NOW)
    first, epoch = tenure.ledger, store.epoch
    tenure.fail(NOW)
    assert tenure.restore(NOW)
    assert tenure.whole
    assert tenure.ledger is not first
    assert store.epoch == epoch + 1
    store.close()


def test_a_ledger_that_fails_again_and_again_ends_the_broker(store: Store) -> None:
    tenure = Tenure(store, LedgerSettings(), NOW)
    for _ in range(FAILURES):
        tenure.fail(NOW)
        assert tenure.restore(NOW)
    with pytest.raises(Refusal, match="again and again"):
        tenure.fail(NOW)
    store.close()


def test_failures_long_ago_do_not_count(store: Store) -> None:
    tenure = Tenure(store, LedgerSettings(), NOW)
    for number in range(4 * FAILURES):
        now = Moment(number * WINDOW_SECONDS / (FAILURES - 1), 0.0)
        tenure.fail(now)
        assert tenure.restore(now)
    store.close()


def test_a_store_that_cannot_be_written_is_tried_again_for_a_while(store: Store) -> None:
    class Full(Store):
        """A store on a full disk."""

        def begin_epoch(self) -> NoReturn:
            raise Refusal(Code.STORE, "the disk is full")

    tenure = Tenure(store, LedgerSettings(), NOW)
    store.__class__ = Full
    tenure.fail(NOW)
    assert not tenure.restore(NOW)
    assert tenure.fault is None, "whoever asks outlives so short a while"
    assert not tenure.restore(Moment(TOLD_SECONDS, 0.0))
    assert "the disk is full" in str(tenure.fault)
    assert not tenure.restore(Moment(STORE_PATIENCE_SECONDS, 0.0))
    with pytest.raises(Refusal, match="disk is full"):
        tenure.restore(Moment(STORE_PATIENCE_SECONDS + 1, 0.0))
    store.close()


def test_while_there_is_no_ledger_a_person_is_told_and_what_is_repeated_is_left_open(store: Store) -> None:
    greeted = []
    reception = Reception(b"secret", lambda *said: greeted.append(said), Neighbours(), open_door=True)
    why = Refusal(Code.STORE, "the disk is full", retry_after=5.0)
    submit = Submit(idempotency_key="k", source=Source(location="/p"), options=ExportOptions())
    for message in (submit, GetOverview(), GetHistory()):
        (reply,) = reception.turn_away(_parts(message), why)
        assert isinstance(reply, Reply)
        assert (reply.peer, reply.ref) == (b"peer", "7")
        assert reply.message == Refused(code=Code.STORE, message="the disk is full", retry_after=5.0)
    for repeated in (Cancel(job_id="ab" * 16), GetSnapshot(job_id="ab" * 16), OpenDownload(job_id="ab" * 16)):
        assert reception.turn_away(_parts(repeated), why) == []
    assert not greeted
    assert reception.turn_away(_parts(Hello(minimum_version=1, maximum_version=1)), why) == []
    assert len(greeted) == 1
    store.close()
