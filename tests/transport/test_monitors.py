"""What a monitor tells, read without pyzmq's reader, which brings asyncio along."""

import subprocess
import sys

import zmq
from zmq.utils.monitor import parse_monitor_message

from labelferry_transport.monitors import Change, next_change
from labelferry_transport.sockets import new_context


def test_a_change_is_read_as_pyzmq_reads_it() -> None:
    with new_context() as context, context.socket(zmq.ROUTER) as bound, context.socket(zmq.DEALER) as near:
        monitor = bound.get_monitor_socket(zmq.EVENT_LISTENING | zmq.EVENT_ACCEPTED)
        port = bound.bind_to_random_port("tcp://127.0.0.1")
        assert monitor.poll(10_000)
        assert next_change(monitor).event == zmq.EVENT_LISTENING
        near.connect(f"tcp://127.0.0.1:{port}")
        assert monitor.poll(10_000)
        frames = monitor.recv_multipart()
        theirs = parse_monitor_message(frames)
        with context.socket(zmq.PAIR) as out, context.socket(zmq.PAIR) as back:
            back.bind("inproc://back")
            out.connect("inproc://back")
            out.send_multipart(frames)
            assert next_change(back) == Change(int(theirs["event"]), int(theirs["value"]))
        bound.disable_monitor()
        monitor.close(linger=0)


def test_a_depot_and_a_worker_start_without_asyncio() -> None:
    program = (
        "import sys, labelferry_broker.depot.__main__, labelferry_workers.service; sys.exit('asyncio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
