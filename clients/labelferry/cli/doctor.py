"""`labelferry doctor`: what is right and what is wrong here, in sentences."""

import contextlib
import resource
import shutil
import socket
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import click

from labelferry.cli.choices import service_options
from labelferry_protocol.endpoints import Endpoint, Lane, parse_endpoint
from labelferry_protocol.errors import EXIT_DONE, EXIT_FAILED, LabelferryError
from labelferry_protocol.requests import Overview
from labelferry_protocol.software import software
from labelferry_protocol.words import Role

LEAST_FREE_BYTES = 1_000_000_000
LEAST_FILES = 1024
"""Open files that a service should be allowed: each connection is some."""
MOST_SKEW_SECONDS = 5.0
CONNECT_SECONDS = 3.0


class Note(str):
    """A sentence on what is not wrong, and worth a look."""

    __slots__ = ()


class Wrong(str):
    """A sentence on what must be mended, after which there is more to look at."""

    __slots__ = ()


class Detail(str):
    """A line that belongs to the sentence before it."""

    __slots__ = ()


MARKS: dict[type, str] = {str: "ok", Note: "note", Wrong: "WRONG", Detail: ""}


@click.command()
@service_options
@click.pass_context
def doctor(context: click.Context, broker: str | None, key_file: str | None) -> None:
    """Check this machine, and the broker if one is named; exit 1 if something is wrong."""
    healthy = True
    checks: list[Callable[[], Iterator[str]]] = [
        _python,
        _libraries,
        _files,
        _state,
        lambda: _entry(broker, key_file),
    ]
    for check in checks:
        try:
            for sentence in check():
                healthy = healthy and not isinstance(sentence, Wrong)
                click.echo(f"{MARKS[type(sentence)]:<7}{sentence}")
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


def _files() -> Iterator[str]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < LEAST_FILES:
        raise LabelferryError(
            f"a process may have only {hard} files open, and each connection is some: raise `ulimit -Hn`, or LimitNOFILE"
        )
    yield f"A process may have {'any number of' if hard == resource.RLIM_INFINITY else f'{hard:,}'} files open"


def _state() -> Iterator[str]:
    from labelferry.cli.show.words import size_in_words
    from labelferry.embedded.place import Place, state_directory

    place = Place(state_directory())
    place.prepare()
    free = shutil.disk_usage(place.state).free
    if free < LEAST_FREE_BYTES:
        raise LabelferryError(f"only {size_in_words(free)} are free for ledger and bundles in {place.state}: make room")
    yield f"State is kept in {place.state}, where {size_in_words(free)} are free"
    if cached := _bytes_in(place.cache):
        yield f"The cache of finished work takes {size_in_words(cached)} of it: remove {place.cache} to clear it"


def _bytes_in(folder: Path) -> int:
    """Return how much the files of a folder take, of which some may go at any time."""
    total = 0
    for path in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _entry(broker: str | None, key_file: str | None) -> Iterator[str]:
    """Check the way in, step by step: what comes behind a step that is wrong cannot be looked at."""
    yield from _key(key_file)
    if broker:
        yield from _reach(parse_endpoint(broker), key_file)
    depot_ready = yield from _service(broker, key_file)
    if broker:
        yield from _lanes(parse_endpoint(broker), key_file, depot_ready=depot_ready)


def _lanes(endpoint: Endpoint, key_file: str | None, *, depot_ready: bool) -> Iterator[str]:
    """See whether what comes by the other ports comes: the events, and the bundles of a depot that is said to be there."""
    from labelferry.cli.soundings import heard
    from labelferry_transport.keys import load_key

    places = {lane: endpoint.lane(lane) for lane in (Lane.EVENTS, *((Lane.DEPOT,) if depot_ready else ()))}
    there = heard(places, load_key(Path(key_file)).as_client() if key_file else None)
    if Lane.EVENTS not in there:
        yield Note(
            f"No event comes from {places[Lane.EVENTS]}, so progress is asked for each second: open the way to that port, past firewalls"
        )
    if depot_ready and Lane.DEPOT not in there:
        yield Wrong(
            f"the depot does not answer at {places[Lane.DEPOT]}, so nothing can be downloaded: open the way to that port, past firewalls; if it is open, start the broker again"
        )
    if there == places.keys():
        yield "What is pushed, and what is downloaded, comes through" if depot_ready else "What is pushed comes through"


def _reach(endpoint: Endpoint, key_file: str | None) -> Iterator[str]:
    """See whether anything listens there; what does not answer then does not know us."""
    place = endpoint.lane(Lane.REQUESTS)
    try:
        with contextlib.closing(_connect(endpoint)):
            pass
    except socket.gaierror:
        raise LabelferryError(f"there is no machine {endpoint.place}: is the name of {endpoint} right?") from None
    except OSError as error:
        reason = (error.strerror or "no answer in time").lower()
        raise LabelferryError(
            f"nothing listens at {place} ({reason}): start the broker there, or look at the address, and at firewalls on the way"
        ) from None
    if key_file is None and endpoint.scheme == "tcp":
        yield Note(f"Something listens at {place}; no key is named, which is right only if it serves without keys")
    else:
        yield f"Something listens at {place}"


def _connect(endpoint: Endpoint) -> socket.socket:
    if endpoint.scheme == "tcp":
        return socket.create_connection((endpoint.place.strip("[]"), endpoint.port), timeout=CONNECT_SECONDS)
    near = socket.socket(socket.AF_UNIX)
    try:
        near.settimeout(CONNECT_SECONDS)
        near.connect(endpoint.lane(Lane.REQUESTS).removeprefix("ipc://"))
    except BaseException:
        near.close()
        raise
    return near


def _key(key_file: str | None) -> Iterator[str]:
    if key_file:
        from labelferry_transport.keys import load_key

        key = load_key(Path(key_file))
        if key.role == Role.WORKER:
            raise LabelferryError(
                f"the key file {key_file} is a worker's, which may run jobs and not ask for them: use a user's"
            )
        yield f"The key file {key_file} is that of {key.role} {key.name}, and only its owner can read it"


def _service(broker: str | None, key_file: str | None) -> Generator[str, None, bool]:
    """Say what the broker says of the service; return whether it believes that its depot is there."""
    from labelferry.cli.session import client_for
    from labelferry.cli.show.tables import overview_lines

    with client_for(broker, key_file, workers=0 if broker else 1) as client:
        asked_at = time.time()
        overview = client.overview()
        answered_at = time.time()
        yield f"A broker answers at {broker}" if broker else "The embedded service starts and answers"
        yield from (Detail(line.strip()) for line in overview_lines(overview))
        yield from _gaps(overview, broker)
        yield from _stalled(overview)
        yield from _versions(overview, software())
        yield from _room(overview)
        yield from _clock(overview, asked_at, answered_at)
        return overview.depot_ready


def _gaps(overview: Overview, broker: str | None) -> Iterator[str]:
    """Say what the service lacks."""
    if broker and not overview.workers:
        yield Wrong(f"no worker is connected to {broker}: start one with `labelferry worker --broker {broker}`")
    if not overview.depot_ready:
        yield Wrong("the depot is not ready, so no bundle can be published or downloaded: see the broker's log")
    if overview.full:
        yield Wrong(
            "the broker lets nobody new in, for it has too few descriptors left: raise its `ulimit -Hn` (LimitNOFILE), or end clients"
        )


def _stalled(overview: Overview) -> Iterator[str]:
    """Say in how many jobs nothing moves."""
    if overview.stalled:
        from labelferry.cli.show.words import count_in_words

        jobs = count_in_words(overview.stalled, "running job")
        yield Note(f"In {jobs} nothing has moved for long: see `labelferry history`, and `labelferry status JOB`")


def _versions(overview: Overview, here: str) -> Iterator[str]:
    if overview.software != here:
        yield Note(
            f"The broker is {overview.software}, this is {here}: they understand each other, new options may not work"
        )
    for worker in overview.workers:
        if worker.software and worker.software != overview.software:
            yield Note(
                f"The worker on {worker.host} is {worker.software}, the broker {overview.software}: update the older one"
            )


def _room(overview: Overview) -> Iterator[str]:
    from labelferry.cli.show.words import count_in_words, size_in_words

    yield f"The depot keeps {count_in_words(overview.bundles, 'bundle')}, {size_in_words(overview.bundle_bytes)} in all"
    for worker in overview.workers:
        if worker.paused:
            yield Note(
                f"The worker on {worker.host} takes no job, for its disk is full: make room where its --staging is"
            )


def _clock(overview: Overview, asked_at: float, answered_at: float) -> Iterator[str]:
    if not overview.timestamp:
        return
    skew = max(asked_at - overview.timestamp, overview.timestamp - answered_at, 0.0)
    if skew > MOST_SKEW_SECONDS:
        raise LabelferryError(
            f"the broker's clock and this one are {skew:,.0f} s apart, so times in the history mislead: set both by NTP"
        )
    yield "The broker's clock and this one agree"
