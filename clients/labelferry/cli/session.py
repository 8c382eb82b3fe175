"""A command's way to a broker: the one that was named, or the embedded service, held for as long as the command runs."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from labelferry.cli.silence import Silence
from labelferry.client import Client
from labelferry.embedded.place import state_directory
from labelferry.embedded.service import EmbeddedService
from labelferry_protocol.errors import Code, Refusal


@contextmanager
def client_for(
    broker: str | None,
    key_file: str | None,
    *,
    workers: int = 0,
    patience: Callable[[], None] = lambda: None,
    cache_bytes: int | None = None,
    silence: Silence | None = None,
) -> Iterator[Client]:
    """Open a client to `broker`, or to the embedded service with `workers` slots and a cache of so many bytes when none is named."""
    key = Path(key_file) if key_file else None
    if broker:
        with Client(broker, key=key, vigil=None if silence is None else silence.look) as client:
            if silence is not None:
                silence.client = client
            yield client
        return
    with (
        EmbeddedService(state_directory(), workers, patience, cache_bytes) as service,
        # A key that the environment names is for another broker: the embedded one has none.
        Client(service.endpoint, environment={}, vigil=service.check) as client,
    ):
        yield client


DEFAULT_WORKERS = 1
"""Jobs at once in the embedded service unless told: one job has all processors then."""


def check_source(source: str, *, here: bool) -> str:
    """Return SOURCE as the workers see it; on this machine (`here`) raise `Refusal(SOURCE)` when there is nothing."""
    if "://" in source and not source.startswith("file://"):
        raise Refusal(
            Code.USAGE, f"{source}: a project is a folder or a file that the workers can reach; fetch it first"
        )
    # A URL writes what is not plain as %20 and the like, and may name this machine.
    local = source.removeprefix("file://").removeprefix("localhost")
    path = Path(unquote(local)) if source.startswith("file://") else Path(os.path.expanduser(source))  # noqa: PTH111 - says nothing of a home that is nobody's
    if not path.is_absolute():
        path = Path.cwd() / path
    if here and not os.path.exists(path):  # noqa: PTH110 - says nothing of a path that is too long
        raise Refusal(
            Code.SOURCE, f"there is no project at {path}: name the folder that holds the images and their annotations"
        )
    return str(path)
