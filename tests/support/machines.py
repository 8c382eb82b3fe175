"""Two machines on one: network namespaces joined by a wire where the system lets us make them, two loopback addresses where not."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """A place to run commands in, and its address there."""

    name: str
    address: str
    prefix: tuple[str, ...] = ()


@contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Give two machines that reach each other; namespaces are taken down at the end, with what runs in them."""
    names = (f"lf{os.getpid()}a", f"lf{os.getpid()}b")
    try:
        made = _namespaces(names)
    except (OSError, subprocess.CalledProcessError):
        _remove(names)
        yield Machine("first", "127.0.0.1"), Machine("second", "127.0.0.1")
        return
    try:
        yield made
    finally:
        _remove(names)


def _namespaces(names: tuple[str, str]) -> tuple[Machine, Machine]:
    first, second = names
    net = os.getpid() % 250
    commands = [
        f"ip netns add {first}",
        f"ip netns add {second}",
        f"ip link add {first}v netns {first} type veth peer name {second}v netns {second}",
        *(f"ip -n {name} addr add 10.213.{net}.{place}/24 dev {name}v" for place, name in enumerate(names, 1)),
        *(f"ip -n {name} link set {device} up" for name in names for device in ("lo", f"{name}v")),
    ]
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)
    machines = [
        Machine(name, f"10.213.{net}.{place}", ("ip", "netns", "exec", name)) for place, name in enumerate(names, 1)
    ]
    return machines[0], machines[1]


def _remove(names: tuple[str, str]) -> None:
    for name in names:
        try:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        except OSError:
            return
