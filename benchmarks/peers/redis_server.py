"""A Redis of our own on loopback, for the peers that keep their queue in one: durable (each write is synced, as our ledger's) or in memory alone."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DURABLE = "PEER_DURABLE"
ENDPOINT = "PEER_REDIS"


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Start one and give its URL; `PEER_DURABLE` in the environment says which."""
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("there is no redis-server here: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = ["--appendonly", "yes", "--appendfsync", "always"] if os.environ.get(DURABLE) else ["--appendonly", "no"]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", *kept]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _await(port)
        os.environ[ENDPOINT] = f"redis://127.0.0.1:{port}/0"
        yield os.environ[ENDPOINT]
    finally:
        process.terminate()
        process.wait()


def _await(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
