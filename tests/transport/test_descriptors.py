"""What is said, and what is left, when a process may open no more files."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from tests.support.descriptors import few_descriptors
from tests.support.ports import reserved_base_port
from tests.support.processes import Service, running_service
from tests.support.projects import make_coco_project

from labelferry_protocol.errors import Refusal
from labelferry_transport.descriptors import NoDescriptor, descriptor_limit, ensure_room, open_descriptors
from labelferry_transport.sockets import bind, connect, new_context

NOBODY = "tcp://127.0.0.1:9"


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made = new_context()
    # Its threads begin with its first socket, which stays: libzmq closes later, and would give a descriptor back in a test's midst.
    with made.socket(zmq.PAIR):
        yield made
    made.destroy(linger=0)


def test_what_a_process_needs_and_cannot_have_is_said_with_what_to_do() -> None:
    ensure_room(16)
    with pytest.raises(Refusal, match=r"needs 9\d* more \(its limit is \d+: raise it with `ulimit -n`"):
        ensure_room(int("9" * len(str(descriptor_limit()))))


@pytest.mark.parametrize("free", range(3))
def test_a_socket_without_a_descriptor_for_it_or_its_monitor_is_a_sentence_and_leaves_nothing(
    context: zmq.Context[zmq.Socket[bytes]], free: int
) -> None:
    before = open_descriptors()
    with few_descriptors(os.getpid(), free), pytest.raises(NoDescriptor, match="no more files can be opened now"):
        connect(
            context, zmq.DEALER, NOBODY, prepare=lambda socket: socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        )
    # What libzmq closes is closed by another thread of its.
    context.destroy(linger=0)
    assert open_descriptors() < before


def test_a_socket_that_cannot_be_made_cannot_be_bound_either(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    with few_descriptors(os.getpid(), 0), pytest.raises(NoDescriptor):
        bind(context, zmq.ROUTER, "tcp://127.0.0.1:*")


@pytest.mark.processes
def test_what_is_looked_for_at_the_start_is_enough_for_an_export_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    project = make_coco_project(tmp_path / "project", images_wanted=2, size=(60, 40))
    program = [sys.executable, "-c", "from labelferry.cli import main; main()", "export", str(project), "--force"]
    with reserved_base_port() as port, running_service(tmp_path, prepare=lambda made: listen_at(made, port)) as service:
        service.start("worker")
        command = [*program, "-o", str(tmp_path / "out.zip"), "--broker", service.endpoint]

        def export(limit: int) -> tuple[int, str]:
            result = subprocess.run(
                ["sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh", *command],
                capture_output=True,
                text=True,
                timeout=45,
                check=False,
            )
            return result.returncode, result.stderr

        said = re.search(r"has (\d+) files open and needs (\d+) more", export(10)[1])
        assert said is not None
        enough = int(said[1]) + int(said[2])
        code, err = export(enough)
        assert code == 0, err
        assert export(enough - 1)[0] == 1


def listen_at(service: Service, port: int) -> None:
    """Have the broker listen on tcp, where a connection takes most and no bundle is read from the depot's folder."""
    service.listen = f"tcp://127.0.0.1:{port}"
