"""The uploader's thread where it cannot work: no descriptors for its sockets, or an end that nobody foresaw."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from tests.support.descriptors import few_descriptors
from tests.support.processes import wait_until

from labelferry_protocol import work
from labelferry_protocol.errors import Refusal
from labelferry_transport.sockets import new_context
from labelferry_workers.errands import Connect, Drop
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


@pytest.mark.parametrize("free", range(14))
def test_a_worker_that_is_short_of_descriptors_when_it_meets_its_broker_works_when_it_has_some(
    broker: Any, worker_process: Callable[..., Any], free: int
) -> None:
    worker = worker_process(str(broker.endpoint))
    wait_until(lambda: len(worker.children()) == 2, "a child for its slot and one in reserve")
    with few_descriptors(worker.process.pid, free):
        # Every socket is the one for which there is no descriptor once: to the broker, to the depot, and the monitors.
        broker.until(lambda: "cannot connect to" in worker.log.read_text() or broker.heard(work.Register))
        broker.serve_for(0.1)
    broker.until(lambda: broker.heard(work.Register))
    broker.lease(JOB, "big/3")
    broker.until(lambda: broker.heard(work.AttemptFinished, JOB))
    assert "Traceback" not in worker.log.read_text()
    assert worker.process.poll() is None
