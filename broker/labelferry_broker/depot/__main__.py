"""Starts the depot's process: `python -m labelferry_broker.depot`. The broker does this; nobody else needs to."""

import argparse
import sys
from pathlib import Path

import zmq

from labelferry_broker.depot.carrier import Carrier
from labelferry_broker.depot.sealer import Sealer
from labelferry_broker.depot.settings import DepotSettings, secret_path
from labelferry_broker.depot.vault import Vault
from labelferry_broker.doorman import Doorman, domain_of
from labelferry_broker.porter import Porter
from labelferry_broker.proof import prove_shut
from labelferry_protocol import limits
from labelferry_protocol.endpoints import Lane
from labelferry_protocol.errors import EXIT_DONE, EXIT_FAILED, Refusal
from labelferry_transport.collector import search_seldom
from labelferry_transport.descriptors import allow_many_connections
from labelferry_transport.doors import Door
from labelferry_transport.keys import load_key
from labelferry_transport.kinship import die_with_parent
from labelferry_transport.lifeline import Lifeline
from labelferry_transport.logs import LEVELS, Log, start_logging
from labelferry_transport.sockets import CHUNKS_HIGH_WATER, bind, connect, new_context

LEAST_DESCRIPTORS = 32
"""What must be free for a depot to begin: its lanes with their monitors, the doorman, the sealer."""

log = Log("depot")


def main() -> int:
    """Run the depot until its broker has gone; return the exit code."""
    parser = argparse.ArgumentParser(prog="labelferry-depot")
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--state", required=True, type=Path)
    parser.add_argument("--inner", required=True)
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--parent", required=True, type=int)
    parser.add_argument("--log-level", choices=LEVELS, default="info")
    options = parser.parse_args()
    lifeline = Lifeline(until_eof=True)
    allow_many_connections()
    if not die_with_parent(options.parent):
        return EXIT_FAILED
    start_logging(options.log_level)
    search_seldom()
    try:
        _serve(DepotSettings(options.endpoint, options.state, options.inner, options.keys), lifeline)
    except Refusal as refusal:
        log.error("depot cannot serve", reason=refusal.message)
        return EXIT_FAILED
    except OSError as error:
        log.error("depot cannot serve", reason=error.strerror, file=error.filename)
        return EXIT_FAILED
    return EXIT_DONE


def _serve(settings: DepotSettings, lifeline: Lifeline) -> None:
    secret = secret_path(settings.state).read_bytes()
    vault = Vault(settings.state)
    context = new_context(LEAST_DESCRIPTORS)
    inner = connect(context, zmq.DEALER, settings.inner)
    doorman = None
    porter = None
    keys = None
    if settings.keys is not None:
        keys = load_key(settings.keys / "broker.key").as_server(domain_of(Lane.DEPOT))
        doorman = Doorman(context, settings.keys)
        doorman.start()
    try:
        chunk, waiting = limits.MAX_CHUNK_BYTES, CHUNKS_HIGH_WATER
        doors: list[Door] = []
        door = bind(context, zmq.ROUTER, settings.endpoint, keys, max_bytes=chunk, high_water=waiting, doors=doors)
        porter = Porter(doors)
        porter.start()
        if keys is not None and doorman is not None:
            prove_shut(context, Lane.DEPOT, settings.endpoint, keys.public, doorman)
        Carrier(settings, secret, door, inner, Sealer(context, vault), vault, doorman).run(lifeline)
    finally:
        if porter is not None:
            porter.stop()
        if doorman is not None:
            doorman.stop()
        context.destroy(linger=100)


if __name__ == "__main__":
    sys.exit(main())
