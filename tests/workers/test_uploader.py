"""The uploader's thread where it cannot work: no descriptors for its sockets, a depot that does not let it in, or an end that nobody foresaw."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import zmq
from tests.support.descriptors import few_descriptors
from tests.support.processes import wait_until

from labelferry_broker.doorman import Doorman, domain_of
from labelferry_protocol import codec, work
from labelferry_protocol.depot import OfferBundle, PeerSaysToDepot
from labelferry_protocol.endpoints import Lane
from labelferry_protocol.errors import Refusal
from labelferry_protocol.words import Role
from labelferry_transport.keys import load_key, make_broker_key, make_peer_key
from labelferry_transport.sockets import bind, new_context
from labelferry_workers.errands import Carry, Connect, Drop
from labelferry_workers.uploader import Uploader
from labelferry_workers.uploader_thread import UploaderThread

JOB = "b" * 32
KEY = work.Holding(job_id=JOB, attempt=1)


def test_an_uploader_that_has_ended_is_noticed_by_whoever_speaks_to_it_and_nothing_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Uploader, __: float) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(Uploader, "_connect", fail)
    with new_context() as context:
        uploader = UploaderThread(context, None)
        uploader.check()
        uploader.tell(Connect(endpoint="tcp://127.0.0.1:9"))
        with pytest.raises(Refusal, match="start the worker again"):
            # Until it has ended somebody may hear it.
            any(uploader.tell(Drop(key=KEY)) for _ in count())  # type: ignore[func-returns-value]
        with pytest.raises(Refusal):
            uploader.check()
        uploader.close()
    assert [each.message for each in caplog.records if each.levelname == "ERROR"] == ["the uploader failed"]


def test_a_depot_that_refused_the_key_is_offered_the_bundle_when_it_knows_it(tmp_path: Path) -> None:
    keys, bundle = tmp_path / "keys", tmp_path / "bundle"
    make_broker_key(keys)
    key = load_key(make_peer_key(keys, Role.WORKER, "gpu1", tmp_path / "gpu1.key"))
    entry = keys / "authorized" / "worker-gpu1.pub"
    entry.rename(tmp_path / "away")
    bundle.write_bytes(b"bundle")
    with new_context() as context:
        doorman = Doorman(context, keys, reread_seconds=0.0)
        doorman.start()
        server = load_key(keys / "broker.key").as_server(domain_of(Lane.DEPOT))
        depot = bind(context, zmq.ROUTER, "tcp://127.0.0.1:*", server)
        uploader = UploaderThread(context, key.as_client())
        try:
            uploader.tell(Connect(endpoint=depot.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")))
            uploader.tell(Carry(key=KEY, token=b"t", path=str(bundle), size=6))
            # For libzmq that is for good.
            wait_until(lambda: doorman.turned_away(key.public.encode()), "a refusal")
            (tmp_path / "away").rename(entry)
            assert depot.poll(20_000)
            _, message = codec.parse(depot.recv_multipart()[1:], PeerSaysToDepot)
            assert message == OfferBundle(token=b"t", content=b"bundle")
        finally:
            uploader.close()
            depot.close()
            doorman.stop()


@pytest.mark.parametrize("free", range(14))
def test_a_worker_that_is_short_of_descriptors_when_it_meets_its_broker_works_when_it_has_some(
    broker: Any, worker_process: Callable[..., Any], free: int
) -> None:
    worker = worker_process(str(broker.endpoint))
    wait_until(lambda: len(worker.children()) == 2, "a child for its slot and one in reserve")
    with few_descriptors(worker.process.pid, free):
        # Every socket is the one for which there is no descriptor once: to the broker, to the depot, and the monitors.
        # Where there are enough for the sockets and too few for their connections, nobody gets in, which is told as well.
        words = ("cannot connect to", "no broker has let this worker in")
        broker.until(lambda: any(each in worker.log.read_text() for each in words) or broker.heard(work.Register))
        broker.serve_for(0.1)
    broker.until(lambda: broker.heard(work.Register))
    broker.lease(JOB, "big/3")
    broker.until(lambda: broker.heard(work.AttemptFinished, JOB))
    assert "Traceback" not in worker.log.read_text()
    assert worker.process.poll() is None
