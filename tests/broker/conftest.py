"""Places and keys for the broker's tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from labelferry_protocol.words import Role
from labelferry_transport.keys import make_broker_key, make_peer_key
from labelferry_transport.sockets import new_context


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A private directory whose path is short enough for unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="lfb-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A context that keeps hold of its sockets until it closes them: a test need not."""
    made = new_context()
    kept: list[zmq.Socket[bytes]] = []
    make = type(made).socket

    def socket(self: zmq.Context[zmq.Socket[bytes]], *arguments: Any, **options: Any) -> zmq.Socket[bytes]:
        kept.append(make(self, *arguments, **options))
        return kept[-1]

    monkeypatch.setattr(zmq.Context, "socket", socket)
    yield made
    made.destroy(linger=0)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A keys directory with users alice and bob, admin root and worker w1; their key files lie beside it, `NAME.key`."""
    directory = tmp_path / "keys"
    make_broker_key(directory)
    for role, name in [(Role.USER, "alice"), (Role.USER, "bob"), (Role.ADMIN, "root"), (Role.WORKER, "w1")]:
        make_peer_key(directory, role, name, tmp_path / f"{name}.key")
    return directory
