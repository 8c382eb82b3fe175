"""Ports for a service on tcp, for one test alone, also when several runs of the tests share a machine."""

import itertools
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from labelferry_protocol.endpoints import Lane

FIRST, LAST, STEP = 20_000, 32_000, 10
"""Below the ports that a system gives to outgoing connections, and room in each step for every lane and a guard."""
GUARD = STEP - 1


@contextmanager
def reserved_base_port(hosts: Sequence[str] = ("127.0.0.1",)) -> Iterator[int]:
    """A port that is free with those of the other lanes above it, at every host; nobody who asks in this way is given it meanwhile."""
    for base in range(FIRST, LAST, STEP):
        try:
            guard = socket.create_server((hosts[0], base + GUARD))
        except OSError:
            continue
        with guard:
            if _are_free(hosts, base):
                yield base
                return
    raise AssertionError("no free ports")


def _are_free(hosts: Sequence[str], base: int) -> bool:
    with ExitStack() as taken:
        try:
            for host, offset in itertools.product(hosts, range(len(Lane))):
                taken.enter_context(socket.create_server((host, base + offset)))
        except OSError:
            return False
    return True
