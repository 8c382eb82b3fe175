"""`labelferry doctor`: what is right and what is wrong here, in sentences."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from labelferry.cli.choices import service_options
from labelferry_protocol.errors import EXIT_DONE, EXIT_FAILED, LabelferryError

LEAST_FREE_BYTES = 1_000_000_000


@click.command()
@service_options
@click.pass_context
def doctor(context: click.Context, broker: str | None, key_file: str | None) -> None:
    """Check this machine, and the broker if one is named; exit 1 if something is wrong."""
    healthy = True
    checks: list[Callable[[], Iterator[str]]] = [
        _python,
        _libraries,
        _state,
        lambda: _key(key_file),
        lambda: _service(broker, key_file),
    ]
    for check in checks:
        try:
            for sentence in check():
                click.echo(f"ok     {sentence}")
        except LabelferryError as error:
            healthy = False
            click.echo(f"WRONG  {error}")
    context.exit(EXIT_DONE if healthy else EXIT_FAILED)


def _python() -> Iterator[str]:
    yield f"Python {sys.version.split()[0]} at {sys.executable}"


def _libraries() -> Iterator[str]:
    import zmq

    from labelferry_transport.sockets import new_context

    new_context().term()
    yield f"libzmq {zmq.zmq_version()} (pyzmq {zmq.__version__}), CURVE {'available' if zmq.has('curve') else 'missing: several machines will not work'}"


def _state() -> Iterator[str]:
    from labelferry.cli.show.words import size_in_words
    from labelferry.embedded.place import Place, state_directory

    place = Place(state_directory())
    place.prepare()
    free = shutil.disk_usage(place.state).free
    if free < LEAST_FREE_BYTES:
        raise LabelferryError(f"only {size_in_words(free)} are free for ledger and bundles in {place.state}: make room")
    yield f"State is kept in {place.state}, where {size_in_words(free)} are free"


def _key(key_file: str | None) -> Iterator[str]:
    if key_file:
        from labelferry_transport.keys import load_key

        key = load_key(Path(key_file))
        yield f"The key file {key_file} is that of {key.role} {key.name}, and only its owner can read it"


def _service(broker: str | None, key_file: str | None) -> Iterator[str]:
    from labelferry.cli.session import client_for
    from labelferry.cli.show.tables import overview_lines

    with client_for(broker, key_file, workers=0 if broker else 1) as client:
        overview = client.overview()
        yield f"A broker answers at {broker}" if broker else "The embedded service starts and answers"
        yield from (line.strip() for line in overview_lines(overview))
        if broker and not overview.workers:
            raise LabelferryError(
                f"no worker is connected to {broker}: start one with `labelferry worker --broker {broker}`"
            )
        if not overview.depot_ready:
            raise LabelferryError("the depot is not ready: see the broker's log")
