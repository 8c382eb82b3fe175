"""The depot's process, as a pretended broker, pretended workers and pretended clients see it over real sockets."""

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import pytest
import zmq
from tests.support.descriptors import few_descriptors
from tests.support.processes import wait_until

from labelferry_broker.depot.settings import part_path, secret_path
from labelferry_protocol import codec, tokens
from labelferry_protocol.depot import (
    AbandonBundle,
    AskKeep,
    BundleAbandoned,
    BundleOpened,
    BundleStored,
    Chunk,
    CloseBundle,
    DepotReady,
    DepotSays,
    DepotToBroker,
    Discard,
    Discarded,
    Keep,
    OfferBundle,
    OpenBundle,
    RequestChunk,
)
from labelferry_protocol.errors import Code
from labelferry_protocol.message import Message
from labelferry_protocol.requests import Refused
from labelferry_protocol.tokens import Claims, Purpose
from labelferry_transport.keys import load_key
from labelferry_transport.sockets import ClientKeys, connect, new_context

JOB = "ab" * 16
OTHER_JOB = "cd" * 16
LATER = 4e9
SECRET = bytes(range(32))
PATIENCE_MS = 10_000

pytestmark = pytest.mark.processes


class PretendedBroker:
    """Starts a depot and speaks the inner lane; keeps whatever is in `wanted`."""

    def __init__(self, place: Path, keys: Path | None = None) -> None:
        self.place = place
        self.keys = keys
        self.state = place / "state"
        self.state.mkdir(mode=0o700, exist_ok=True)
        secret_path(self.state).write_bytes(SECRET)
        self.wanted: set[tuple[str, int]] = set()
        self.asked: list[tuple[str, int]] = []
        self.context = new_context()
        self.inner = self.context.socket(zmq.ROUTER)
        self.inner.bind(f"ipc://{place}/inner")
        self.peer = b""
        self.process: subprocess.Popen[bytes] | None = None
        self.peers: list[Peer] = []

    @property
    def endpoint(self) -> str:
        return f"ipc://{self.place}/depot"

    def start(self) -> None:
        command = [sys.executable, "-m", "labelferry_broker.depot", "--endpoint", self.endpoint]
        command += ["--state", str(self.state), "--inner", f"ipc://{self.place}/inner", "--log-level", "error"]
        command += ["--parent", str(os.getpid())] + (["--keys", str(self.keys)] if self.keys else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert isinstance(self.hear(), DepotReady)

    def stop(self) -> int:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(10)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdin is not None
        self.process.stdin.close()

    def hear(self) -> Message:
        assert self.inner.poll(PATIENCE_MS), "the depot says nothing"
        self.peer, *parts = self.inner.recv_multipart()
        message: Message = codec.parse(parts, DepotToBroker)[1]
        return message

    def tell(self, message: Message) -> None:
        self.inner.send_multipart([self.peer, *codec.frames(message)])

    def answer_keep(self) -> AskKeep:
        """Answer the depot's next question."""
        question = self.hear()
        assert isinstance(question, AskKeep)
        self.asked += [(each.job_id, each.attempt) for each in question.holding]
        kept = tuple(each for each in question.holding if (each.job_id, each.attempt) in self.wanted)
        self.tell(Keep(holding=kept))
        return question

    def connect(self, name: str = "") -> "Peer":
        keys = load_key(self.keys.parent / f"{name}.key").as_client() if self.keys else None
        self.peers.append(Peer(self.context, self.endpoint, keys))
        return self.peers[-1]

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        for peer in self.peers:
            peer.close()
        self.inner.close(linger=0)
        self.context.destroy(linger=0)


class Peer:
    """A raw connection to the depot."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, keys: ClientKeys | None) -> None:
        self.socket = connect(context, zmq.DEALER, endpoint, keys, max_bytes=2**21, reconnect_ms=10)

    def say(self, message: Message, ref: str = "r", payload: bytes | None = None) -> None:
        self.socket.send_multipart(codec.frames(message, ref, payload))

    def hear(self, patience_ms: int = PATIENCE_MS) -> tuple[str, Message, bytes]:
        assert self.socket.poll(patience_ms), "the depot does not answer"
        parts = self.socket.recv_multipart()
        ref, message = codec.parse(parts[:2], DepotSays)
        return ref, message, parts[2] if len(parts) > 2 else b""

    def ask(self, message: Message) -> Message:
        self.say(message)
        return self.hear()[1]

    def quiet(self, patience_ms: int = 300) -> bool:
        return not self.socket.poll(patience_ms)

    def close(self) -> None:
        self.socket.close(linger=0)


def token_of(data: bytes, purpose: Purpose, user: str = "local", attempt: int = 1, until: float = LATER) -> bytes:
    return tokens.sign(claims_of(data, user, attempt, until), purpose, SECRET)


def claims_of(data: bytes, user: str = "local", attempt: int = 1, until: float = LATER) -> Claims:
    digest = hashlib.sha256(data).hexdigest()
    return Claims(job_id=JOB, attempt=attempt, size=len(data), sha256=digest, user=user, expires_at=until)


def bring(worker: Peer, data: bytes, token: bytes, at_most: int | None = None) -> Message:
    """Offer a bundle and answer what is asked for, until it is stored or refused, or `at_most` chunks were given."""
    worker.say(OfferBundle(token=token), "up")
    given = 0
    while True:
        ref, message, _ = worker.hear()
        if not isinstance(message, RequestChunk):
            return message
        if given == at_most:
            return message
        assert ref == "up"
        piece = data[message.offset : message.offset + message.length]
        worker.say(Chunk(job_id=message.job_id, offset=message.offset), "up", piece)
        given += 1


def fetch(client: Peer, token: bytes) -> bytes:
    opened = client.ask(OpenBundle(token=token))
    assert isinstance(opened, BundleOpened), opened
    data = bytearray()
    while len(data) < opened.size:
        client.say(RequestChunk(job_id=JOB, offset=len(data), length=opened.chunk_bytes))
        _, message, payload = client.hear()
        assert isinstance(message, Chunk)
        assert message.offset == len(data)
        data += payload
    client.say(CloseBundle(job_id=JOB))
    return bytes(data)


@pytest.fixture
def start_broker(short_dir: Path) -> Iterator[Callable[..., PretendedBroker]]:
    made: list[PretendedBroker] = []

    def start(keys: Path | None = None) -> PretendedBroker:
        made.append(PretendedBroker(short_dir, keys))
        made[-1].start()
        return made[-1]

    yield start
    for broker in made:
        broker.close()


@pytest.fixture
def broker(start_broker: Callable[..., PretendedBroker]) -> PretendedBroker:
    return start_broker()


@pytest.fixture
def data() -> bytes:
    return random.Random(7).randbytes(3_000_017)


def test_a_bundle_comes_in_and_goes_out_unchanged(broker: PretendedBroker, data: bytes) -> None:
    stored = bring(broker.connect(), data, token_of(data, "upload"))
    assert isinstance(stored, BundleStored)
    receipt = tokens.verify(stored.receipt, "receipt", SECRET, 0.0)
    assert (receipt.job_id, receipt.attempt, receipt.size) == (JOB, 1, len(data))
    assert (broker.state / "bundles" / f"{JOB}.1.zip").read_bytes() == data
    assert list((broker.state / "incoming").iterdir()) == []
    assert fetch(broker.connect(), token_of(data, "download")) == data


def test_an_empty_bundle_is_a_bundle(broker: PretendedBroker) -> None:
    assert isinstance(bring(broker.connect(), b"", token_of(b"", "upload")), BundleStored)
    assert fetch(broker.connect(), token_of(b"", "download")) == b""


def test_a_stored_bundle_offered_again_is_stored_again_at_once(broker: PretendedBroker, data: bytes) -> None:
    worker, token = broker.connect(), token_of(data, "upload")
    bring(worker, data, token)
    assert isinstance(worker.ask(OfferBundle(token=token)), BundleStored)


def test_a_depot_that_starts_again_digests_what_is_offered_again(
    start_broker: Callable[..., PretendedBroker], data: bytes
) -> None:
    broker = start_broker()
    token = token_of(data, "upload")
    bring(broker.connect(), data, token)
    broker.wanted.add((JOB, 1))
    broker.kill()
    broker.start()
    broker.answer_keep()
    assert isinstance(broker.connect().ask(OfferBundle(token=token)), BundleStored)


def test_another_bundle_of_a_stored_attempt_is_refused(broker: PretendedBroker, data: bytes) -> None:
    bring(broker.connect(), data, token_of(data, "upload"))
    answer = broker.connect().ask(OfferBundle(token=token_of(data[::-1], "upload")))
    assert isinstance(answer, Refused)
    assert answer.code is Code.FENCED
    assert fetch(broker.connect(), token_of(data, "download")) == data


def test_a_small_bundle_may_come_with_its_offer_and_is_asked_for_no_more(broker: PretendedBroker) -> None:
    data = b"small, and all of it"
    worker, token = broker.connect(), token_of(b"small, and all of it", "upload")
    stored = worker.ask(OfferBundle(token=token, content=data))
    assert isinstance(stored, BundleStored)
    assert tokens.verify(stored.receipt, "receipt", SECRET, 0.0).size == len(data)
    assert (broker.state / "bundles" / f"{JOB}.1.zip").read_bytes() == data
    assert list((broker.state / "incoming").iterdir()) == []
    assert isinstance(worker.ask(OfferBundle(token=token, content=data)), BundleStored)


@pytest.mark.parametrize("content", [b"", b"small, and all of iT", b"small, and all of it, and more"])
def test_content_that_is_not_what_its_token_names_is_not_stored(broker: PretendedBroker, content: bytes) -> None:
    token = token_of(b"small, and all of it", "upload")
    answer = broker.connect().ask(OfferBundle(token=token, content=content))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retry_after) == (Code.STORE, 0.5)
    assert list((broker.state / "bundles").iterdir()) == []


def test_what_came_of_a_small_bundle_before_is_overwritten_by_all_of_it(broker: PretendedBroker) -> None:
    data = b"small, and all of it"
    token = token_of(data, "upload")
    for digest in (hashlib.sha256(data).hexdigest(), "f" * 64):
        (broker.state / "incoming" / f"{JOB}.1.{digest[:16]}.part").write_bytes(b"smal")
    assert isinstance(broker.connect().ask(OfferBundle(token=token, content=data)), BundleStored)
    assert (broker.state / "bundles" / f"{JOB}.1.zip").read_bytes() == data
    assert list((broker.state / "incoming").iterdir()) == []


def test_an_upload_goes_on_where_a_cut_connection_left_it(broker: PretendedBroker, data: bytes) -> None:
    token = token_of(data, "upload")
    first = broker.connect()
    assert isinstance(bring(first, data, token, at_most=20), RequestChunk)
    first.close()
    again = broker.connect()
    again.say(OfferBundle(token=token), "up")
    _, message, _ = again.hear()
    assert isinstance(message, RequestChunk)
    assert message.offset > 0
    piece = data[message.offset : message.offset + message.length]
    again.say(Chunk(job_id=JOB, offset=message.offset), "up", piece)
    assert isinstance(bring(again, data, token), BundleStored)
    assert fetch(broker.connect(), token_of(data, "download")) == data


def test_an_upload_goes_on_where_a_killed_depot_left_it(
    start_broker: Callable[..., PretendedBroker], data: bytes
) -> None:
    broker = start_broker()
    token = token_of(data, "upload")
    worker = broker.connect()
    bring(worker, data, token, at_most=20)
    broker.wanted.add((JOB, 1))
    broker.kill()
    broker.start()
    broker.answer_keep()
    assert broker.asked == [(JOB, 1)]
    again = broker.connect()
    again.say(OfferBundle(token=token), "up")
    _, message, _ = again.hear()
    assert isinstance(message, RequestChunk)
    assert message.offset > 0
    assert isinstance(bring(broker.connect(), data, token), BundleStored)


def test_a_part_that_was_damaged_is_thrown_away_and_comes_again(
    start_broker: Callable[..., PretendedBroker], data: bytes
) -> None:
    broker = start_broker()
    token = token_of(data, "upload")
    bring(broker.connect(), data, token, at_most=20)
    broker.kill()
    (part,) = (broker.state / "incoming").iterdir()
    with part.open("r+b") as file:
        file.write(b"damage")
    broker.wanted.add((JOB, 1))
    broker.start()
    broker.answer_keep()
    worker = broker.connect()
    answer = bring(worker, data, token)
    assert isinstance(answer, Refused)
    assert answer.code is Code.STORE
    assert isinstance(bring(worker, data, token), BundleStored)


def test_wrong_bytes_leave_nothing_behind(broker: PretendedBroker, data: bytes) -> None:
    answer = bring(broker.connect(), data[::-1], token_of(data, "upload"))
    assert isinstance(answer, Refused)
    assert list((broker.state / "incoming").iterdir()) == []
    assert list((broker.state / "bundles").iterdir()) == []


def test_a_download_of_a_bundle_that_is_thrown_away_ends_gone(broker: PretendedBroker, data: bytes) -> None:
    bring(broker.connect(), data, token_of(data, "upload"))
    client, token = broker.connect(), token_of(data, "download")
    assert isinstance(client.ask(OpenBundle(token=token)), BundleOpened)
    assert isinstance(client.ask(RequestChunk(job_id=JOB, offset=0, length=1000)), Chunk)
    broker.tell(Discard(job_id=JOB, attempt=1))
    assert broker.hear() == Discarded(job_id=JOB, attempt=1)
    again = client.ask(RequestChunk(job_id=JOB, offset=1000, length=1000))
    assert isinstance(again, Refused)
    assert again.code is Code.REGISTER
    refused = client.ask(OpenBundle(token=token))
    assert isinstance(refused, Refused)
    assert refused.code is Code.GONE


def test_an_abandoned_upload_leaves_nothing_behind(broker: PretendedBroker, data: bytes) -> None:
    worker, token = broker.connect(), token_of(data, "upload")
    bring(worker, data, token, at_most=20)
    worker.say(AbandonBundle(token=token), "away")
    while (answer := worker.hear())[0] != "away":
        pass
    assert answer[1] == BundleAbandoned(job_id=JOB, attempt=1)
    assert list((broker.state / "incoming").iterdir()) == []


def test_a_stored_bundle_is_abandoned_only_when_the_broker_does_not_want_it(
    broker: PretendedBroker, data: bytes
) -> None:
    worker, token = broker.connect(), token_of(data, "upload")
    bring(worker, data, token)
    broker.wanted.add((JOB, 1))
    worker.say(AbandonBundle(token=token))
    broker.answer_keep()
    answer = worker.hear()[1]
    assert isinstance(answer, Refused)
    assert answer.code is Code.FENCED
    assert (broker.state / "bundles" / f"{JOB}.1.zip").exists()
    broker.wanted.clear()
    worker.say(AbandonBundle(token=token))
    broker.answer_keep()
    assert isinstance(worker.hear()[1], BundleAbandoned)
    assert not (broker.state / "bundles" / f"{JOB}.1.zip").exists()


def test_what_the_broker_discards_goes_half_or_whole_and_its_worker_is_told(
    broker: PretendedBroker, data: bytes
) -> None:
    worker = broker.connect()
    bring(worker, data, token_of(data, "upload"), at_most=20)
    broker.tell(Discard(job_id=JOB, attempt=1))
    assert broker.hear() == Discarded(job_id=JOB, attempt=1)
    while not isinstance(answer := worker.hear()[1], Refused):
        pass
    assert answer.code is Code.FENCED
    bring(broker.connect(), data, token_of(data, "upload", attempt=2))
    broker.tell(Discard(job_id=JOB, attempt=2))
    assert broker.hear() == Discarded(job_id=JOB, attempt=2)
    assert list((broker.state / "incoming").iterdir()) == []
    assert list((broker.state / "bundles").iterdir()) == []
    gone = broker.connect().ask(OpenBundle(token=token_of(data, "download", attempt=2)))
    assert isinstance(gone, Refused)
    assert gone.code is Code.GONE


def test_what_nobody_wants_is_swept_at_the_start_and_strange_files_stay(
    start_broker: Callable[..., PretendedBroker], short_dir: Path
) -> None:
    bundles = short_dir / "state" / "bundles"
    incoming = short_dir / "state" / "incoming"
    for folder in (bundles, incoming):
        folder.mkdir(parents=True)
    for number in range(1, 301):
        (bundles / f"{JOB}.{number}.zip").write_bytes(b"x")
    (bundles / "notes.txt").write_bytes(b"x")
    (incoming / f"{OTHER_JOB}.1.{'0' * 16}.part").write_bytes(b"x")
    broker = start_broker()
    broker.wanted.add((JOB, 7))
    broker.answer_keep()
    broker.answer_keep()
    assert len(broker.asked) == 301
    token = token_of(b"x", "download", attempt=7)
    assert fetch(broker.connect(), token) == b"x"
    assert sorted(path.name for path in bundles.iterdir()) == [f"{JOB}.7.zip", "notes.txt"]
    assert list(incoming.iterdir()) == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (OpenBundle(token=token_of(b"x", "upload")), Code.ACCESS),
        (OpenBundle(token=token_of(b"x", "download", user="bob")), Code.ACCESS),
        (OpenBundle(token=token_of(b"x", "download", until=1.0)), Code.ACCESS),
        (OpenBundle(token=tokens.sign(claims_of(b"x"), "download", b"another secret")), Code.ACCESS),
        (OpenBundle(token=b"\xff" * 40), Code.MALFORMED),
        (OpenBundle(token=token_of(b"x", "download")), Code.GONE),
        (OfferBundle(token=token_of(b"x", "download")), Code.ACCESS),
        (OfferBundle(token=token_of(b"x", "upload", user="bob")), Code.ACCESS),
        (AbandonBundle(token=token_of(b"x", "upload", user="bob")), Code.ACCESS),
        (RequestChunk(job_id=JOB, offset=0, length=1), Code.REGISTER),
        (BundleStored(job_id=JOB, attempt=1, receipt=b""), Code.UNKNOWN_VERB),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_code(broker: PretendedBroker, message: Message, code: Code) -> None:
    answer = broker.connect().ask(message)
    assert isinstance(answer, Refused)
    assert answer.code is code


def test_a_bundle_cut_short_on_disk_is_gone(broker: PretendedBroker, data: bytes) -> None:
    bring(broker.connect(), data, token_of(data, "upload"))
    client = broker.connect()
    assert isinstance(client.ask(OpenBundle(token=token_of(data, "download"))), BundleOpened)
    os.truncate(broker.state / "bundles" / f"{JOB}.1.zip", 10)
    answer = client.ask(RequestChunk(job_id=JOB, offset=0, length=1000))
    assert isinstance(answer, Refused)
    assert answer.code is Code.GONE
    answer = client.ask(OpenBundle(token=token_of(data, "download")))
    assert isinstance(answer, Refused)
    assert answer.code is Code.GONE


def cut_short(bundle: Path) -> None:
    os.truncate(bundle, 10)


def grown(bundle: Path) -> None:
    with bundle.open("ab") as file:
        file.write(b"more")


def a_folder(bundle: Path) -> None:
    bundle.unlink()
    bundle.mkdir()


def a_link(bundle: Path) -> None:
    bundle.rename(bundle.with_name("elsewhere"))
    bundle.symlink_to("elsewhere")


def a_pipe(bundle: Path) -> None:
    bundle.unlink()
    os.mkfifo(bundle)


@pytest.mark.parametrize("damage", [cut_short, grown, a_folder, a_link, a_pipe])
def test_a_bundle_that_was_damaged_from_outside_must_be_made_again(
    broker: PretendedBroker, data: bytes, damage: Callable[[Path], None]
) -> None:
    bring(broker.connect(), data, token_of(data, "upload"))
    damage(broker.state / "bundles" / f"{JOB}.1.zip")
    answer = broker.connect().ask(OpenBundle(token=token_of(data, "download")))
    assert isinstance(answer, Refused)
    assert answer.code is Code.GONE
    assert "damaged from outside" in answer.message
    assert answer.message.endswith("export it again")


def test_one_connection_cannot_open_without_bound(broker: PretendedBroker, data: bytes) -> None:
    bring(broker.connect(), data, token_of(data, "upload"))
    client = broker.connect()
    for _ in range(20):
        assert isinstance(client.ask(OpenBundle(token=token_of(data, "download"))), BundleOpened)


def test_a_full_disk_is_said_and_leaves_nothing_behind(
    start_broker: Callable[..., PretendedBroker], data: bytes
) -> None:
    broker = start_broker()
    assert broker.process is not None
    # No file of this process may grow beyond a million bytes, which a write meets as it meets a full disk.
    resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    answer = bring(broker.connect(), data, token_of(data, "upload"))
    assert isinstance(answer, Refused)
    assert answer.code is Code.DISK_FULL
    assert list((broker.state / "incoming").iterdir()) == []


def test_a_depot_without_descriptors_says_so_lives_on_and_removes_later_what_it_could_not(
    broker: PretendedBroker, data: bytes
) -> None:
    assert broker.process is not None
    worker, token = broker.connect(), token_of(data, "upload")
    bring(worker, data, token)
    part_path(broker.state, claims_of(data, attempt=2)).write_bytes(data[:1000])
    with few_descriptors(broker.process.pid, 0):
        for asked in (
            OfferBundle(token=token_of(data, "upload", attempt=3)),
            OpenBundle(token=token_of(data, "download")),
            AbandonBundle(token=token_of(data, "upload", attempt=2)),
        ):
            refused = worker.ask(asked)
            assert isinstance(refused, Refused)
            assert (refused.code, refused.retry_after) == (Code.STORE, 5.0), asked
        broker.tell(Discard(job_id=JOB, attempt=1))
        # It has been heard when what was said after it is answered, and is not done.
        assert isinstance(worker.ask(OpenBundle(token=token_of(data, "upload"))), Refused)
        assert broker.process.poll() is None
    broker.answer_keep()
    assert (JOB, 2) in broker.asked
    here = [broker.state / "incoming", broker.state / "bundles"]
    wait_until(lambda: not any([*folder.iterdir()] for folder in here), "the end of what could not be removed")


@pytest.mark.parametrize("folder", ["bundles", "incoming"])
@pytest.mark.parametrize("small", [False, True])
def test_a_folder_that_somebody_has_removed_is_made_anew(
    broker: PretendedBroker, data: bytes, folder: str, small: bool
) -> None:
    (broker.state / folder).rmdir()
    worker, content = broker.connect(), b"small, and all of it" if small else data
    offer = OfferBundle(token=token_of(content, "upload"), content=content if small else None)
    stored = worker.ask(offer) if small else bring(worker, content, token_of(content, "upload"))
    assert isinstance(stored, BundleStored)
    assert fetch(broker.connect(), token_of(content, "download")) == content


def test_a_slow_receiver_holds_up_nobody(broker: PretendedBroker, data: bytes) -> None:
    bring(broker.connect(), data, token_of(data, "upload"))
    slow = broker.connect()
    assert isinstance(slow.ask(OpenBundle(token=token_of(data, "download"))), BundleOpened)
    for _ in range(200):
        slow.say(RequestChunk(job_id=JOB, offset=0, length=1_000_000))
    assert fetch(broker.connect(), token_of(data, "download")) == data


def test_a_depot_does_not_outlive_its_broker(start_broker: Callable[..., PretendedBroker]) -> None:
    broker = start_broker()
    began = time.monotonic()
    assert broker.stop() == 0
    assert time.monotonic() - began < 2.0


def test_a_depot_leaves_signals_of_the_terminal_to_its_broker(broker: PretendedBroker, data: bytes) -> None:
    assert broker.process is not None
    broker.process.send_signal(signal.SIGINT)
    assert isinstance(bring(broker.connect(), data, token_of(data, "upload")), BundleStored)


def test_a_token_is_of_use_to_its_own_user_in_its_own_role(
    start_broker: Callable[..., PretendedBroker], keys: Path, data: bytes
) -> None:
    broker = start_broker(keys)
    upload, download = token_of(data, "upload", user="w1"), token_of(data, "download", user="alice")
    for name in ("alice", "bob", "root"):
        answer = broker.connect(name).ask(OfferBundle(token=upload))
        assert isinstance(answer, Refused)
        assert answer.code is Code.ACCESS
    assert isinstance(bring(broker.connect("w1"), data, upload), BundleStored)
    for name in ("bob", "root", "w1"):
        answer = broker.connect(name).ask(OpenBundle(token=download))
        assert isinstance(answer, Refused)
        assert answer.code is Code.ACCESS
    assert fetch(broker.connect("alice"), download) == data


def test_an_unknown_key_hears_nothing_of_the_depot(
    start_broker: Callable[..., PretendedBroker], keys: Path, data: bytes
) -> None:
    broker = start_broker(keys)
    public, secret = zmq.curve_keypair()
    strange = ClientKeys(public, secret, load_key(keys / "broker.key").public.encode())
    for peer in (Peer(broker.context, broker.endpoint, strange), Peer(broker.context, broker.endpoint, None)):
        broker.peers.append(peer)
        peer.socket.setsockopt(zmq.SNDTIMEO, 200)
        with pytest.raises(zmq.Again):
            peer.say(OpenBundle(token=token_of(data, "download")))
        assert peer.quiet()


def test_a_key_taken_back_ends_its_connections(
    start_broker: Callable[..., PretendedBroker], keys: Path, data: bytes
) -> None:
    broker = start_broker(keys)
    alice, bob = broker.connect("alice"), broker.connect("bob")
    monitor = alice.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    for peer in (alice, bob):
        assert isinstance(peer.ask(RequestChunk(job_id=JOB, offset=0, length=1)), Refused)
    (keys / "authorized" / "user-alice.pub").unlink()
    assert monitor.poll(5000)
    assert isinstance(bob.ask(RequestChunk(job_id=JOB, offset=0, length=1)), Refused)
    alice.socket.disable_monitor()
    monitor.close(linger=0)


@pytest.mark.parametrize(
    ("body", "code"),
    [({"kind": "dance"}, Code.UNKNOWN_VERB), ({"kind": "open-bundle"}, Code.MALFORMED), ({}, Code.MALFORMED)],
    ids=str,
)
def test_a_refusal_of_what_cannot_be_read_names_what_it_answers(
    broker: PretendedBroker, body: dict[str, str], code: Code
) -> None:
    peer = broker.connect()
    peer.socket.send_multipart([msgpack.packb({"version": 1, "ref": "question"}), msgpack.packb(body)])
    ref, answer, _ = peer.hear()
    assert isinstance(answer, Refused)
    assert (ref, answer.code) == ("question", code)


def test_a_message_of_one_frame_is_refused(broker: PretendedBroker) -> None:
    peer = broker.connect()
    peer.socket.send_multipart([msgpack.packb({"version": 1, "ref": "question"})])
    _, answer, _ = peer.hear()
    assert isinstance(answer, Refused)
    assert answer.code is Code.MALFORMED


def test_garbage_is_refused_and_kills_nobody(broker: PretendedBroker, data: bytes) -> None:
    chance = random.Random(3)
    peer = broker.connect()
    for _ in range(2000):
        frames = [chance.randbytes(chance.choice([0, 1, 5, 60, 400])) for _ in range(chance.choice([1, 2, 3, 4, 40]))]
        peer.socket.send_multipart(frames)
        while peer.socket.poll(0):
            peer.socket.recv_multipart()
    assert isinstance(bring(broker.connect(), data, token_of(data, "upload")), BundleStored)


def lay(broker: PretendedBroker, content: bytes, data: bytes) -> Path:
    """Give a file of a worker's its second name in the depot's folder, as the part of `data`; return the worker's own."""
    own = broker.place / "bundle.zip"
    own.write_bytes(content)
    part_path(broker.state, claims_of(data)).hardlink_to(own)
    return own


def test_a_bundle_that_its_worker_has_put_there_is_stored_without_a_byte_sent(
    broker: PretendedBroker, data: bytes
) -> None:
    own = lay(broker, data, data)
    assert isinstance(broker.connect().ask(OfferBundle(token=token_of(data, "upload"))), BundleStored)
    stored = broker.state / "bundles" / f"{JOB}.1.zip"
    assert stored.samefile(own)
    own.unlink()
    assert list((broker.state / "incoming").iterdir()) == []
    assert fetch(broker.connect(), token_of(data, "download")) == data


@pytest.mark.parametrize("longer", [0, 1])
def test_what_was_put_there_and_is_not_the_bundle_goes_and_the_bundle_is_sent(
    broker: PretendedBroker, data: bytes, longer: int
) -> None:
    wrong = data[::-1] + bytes(longer)
    own = lay(broker, wrong, data)
    worker, token = broker.connect(), token_of(data, "upload")
    answer = bring(worker, data, token)
    if not longer:
        assert isinstance(answer, Refused)
        assert answer.code is Code.STORE
        answer = bring(worker, data, token)
    assert isinstance(answer, BundleStored)
    assert own.read_bytes() == wrong, "the worker's own file is not written to"
    assert fetch(broker.connect(), token_of(data, "download")) == data
