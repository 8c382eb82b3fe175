"""The worker's sockets to its broker where one lane turns them away for a while; time is told."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq

from labelferry_protocol.endpoints import Lane
from labelferry_protocol.requests import Hello, Welcome
from labelferry_protocol.topics import topic_of
from labelferry_protocol.words import Role
from labelferry_transport.sockets import new_context
from labelferry_workers.link import Link

WORKER, JOB = "a" * 32, "b" * 32


class Scene:
    """A pretended broker whose control lane has a doorman, and a link to it that turns as a supervisor has it turn."""

    def __init__(self, broker: Any, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self.broker = broker
        self.decision = b"400"
        self.refusals = 0
        self.door = broker.context.socket(zmq.ROUTER)
        self.door.bind("inproc://zeromq.zap.01")
        # Elsewhere than the open one, whose name may still be taken away after it is closed.
        endpoints = {str(lane): str(broker.endpoint.lane(lane)) for lane in Lane}
        endpoints[Lane.CONTROL] += ".guarded"
        guarded = broker.context.socket(zmq.XPUB)
        guarded.setsockopt_string(zmq.ZAP_DOMAIN, "control")
        guarded.bind(endpoints[Lane.CONTROL])
        broker.poller.unregister(broker.sockets[Lane.CONTROL])
        broker.sockets[Lane.CONTROL].close()
        broker.sockets[Lane.CONTROL] = guarded
        broker.poller.register(guarded, zmq.POLLIN)
        broker.answers[Hello] = Welcome(
            version=1, features=(), epoch=1, user="local", role=Role.ADMIN, endpoints=endpoints
        )
        self.link = Link(context, broker.endpoint, None, WORKER, "", lambda: 0.5)
        self.now = 0.0
        self.work: list[bool] = []
        """What became of the work lane's connection."""

    def until(self, so: Callable[[], object]) -> None:
        """Turn, a tenth of a second each time, until something is so."""

        def turned() -> object:
            self._turn()
            return so()

        self.broker.until(turned)

    def _turn(self) -> None:
        while self.door.poll(0):
            parts = self.door.recv_multipart()
            self.door.send_multipart([*parts[:4], self.decision, b"", b"", b""])
            self.refusals += self.decision == b"400"
        self.now += 0.1
        self.work += self.link.connections(self.now)
        self.link.welcomed(self.now)
        self.link.mend(self.now)
        self.link.greet(self.now)


@pytest.fixture
def scene(broker: Any) -> Iterator[Scene]:
    with new_context() as context:
        made = Scene(broker, context)
        yield made
        made.link.close()
        made.door.close()


def test_a_lane_that_was_refused_is_opened_anew_alone(scene: Scene) -> None:
    scene.link.watch(JOB)
    scene.until(lambda: scene.refusals and scene.work == [True])
    work = scene.link.work
    scene.until(lambda: scene.refusals > 1)
    scene.decision = b"200"
    scene.until(lambda: scene.broker.topics == {topic_of(WORKER), topic_of(JOB)})
    assert scene.link.work is work
    assert scene.work == [True]
