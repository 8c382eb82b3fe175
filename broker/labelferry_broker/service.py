"""Puts a broker together, runs it, and takes it apart in order: places, store, door, lanes, proof, depot, dispatcher."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import zmq

from labelferry_broker.depot_post import DepotPost, depot_command
from labelferry_broker.dispatcher import Dispatcher, DispatcherSettings
from labelferry_broker.doorman import Doorman
from labelferry_broker.gauges import Gauges
from labelferry_broker.lanes import CLOSING_MILLISECONDS, bind_lanes
from labelferry_broker.ledger.settings import LedgerSettings
from labelferry_broker.places import SocketPlace, check_no_bundles, listening, make_private, read_secret, told
from labelferry_broker.porter import Porter
from labelferry_broker.proof import prove_shut
from labelferry_broker.settings import BrokerSettings
from labelferry_broker.store.store import Store
from labelferry_protocol.endpoints import Endpoint, Lane
from labelferry_protocol.software import software
from labelferry_transport.doors import Door
from labelferry_transport.keys import KeyFile, load_key
from labelferry_transport.lifeline import Lifeline
from labelferry_transport.logs import Log
from labelferry_transport.notice import Notice
from labelferry_transport.sockets import bind, new_context

if TYPE_CHECKING:
    # An http server takes a tenth of a start, and few ask for one.
    from labelferry_broker.metrics import Metrics

LEAST_DESCRIPTORS = 64
"""What must be free for a broker to begin: the ledger, its lanes with their monitors, the doorman, the depot's process."""

log = Log("broker")


def run_broker(
    settings: BrokerSettings, lifeline: Lifeline, announce: Callable[[Endpoint], None], notice: Notice | None = None
) -> None:
    """Serve until the lifeline ends; `announce` is called once, when everything is bound and checked. Raises `Refusal`."""
    notice = notice or Notice()
    settings.check()
    endpoint = listening(settings.listen)
    key = None if settings.keys is None else load_key(settings.keys / "broker.key")
    make_private(settings.state)
    with ExitStack() as closing:
        store = Store.open(settings.state, may_begin=lambda: check_no_bundles(settings.state))
        closing.callback(store.close)
        secret = read_secret(settings.state)
        place = SocketPlace(endpoint, settings.state)
        closing.callback(place.clear)
        context = new_context(LEAST_DESCRIPTORS)
        closing.callback(context.destroy, linger=CLOSING_MILLISECONDS)
        doorman = _post_doorman(context, settings, closing)
        lanes = bind_lanes(context, endpoint, key)
        closing.callback(lanes.close)
        inner: list[Door] = []
        depot = DepotPost(
            bind(context, zmq.ROUTER, place.inner, doors=inner), _depot_command(settings, endpoint, place)
        )
        closing.callback(depot.stop)
        # It takes as long to come up as all that follows.
        depot.watch()
        if key is not None and doorman is not None:
            _prove(context, endpoint, key, doorman)
        porter = Porter([*lanes.doors, *inner])
        closing.callback(porter.stop)
        porter.start()
        dispatcher = Dispatcher(
            _dispatcher_settings(settings, endpoint, secret),
            lanes,
            store,
            depot,
            doorman,
            notice,
            Gauges(_open_metrics(settings, closing), porter),
        )
        log.info("broker begins", endpoint=endpoint, state=settings.state, keys=settings.keys, epoch=store.epoch)
        dispatcher.run(lifeline, lambda: announce(settings.listen))
        notice.stopping()
        log.info("broker ends")


def _open_metrics(settings: BrokerSettings, closing: ExitStack) -> "Metrics | None":
    if settings.metrics_port is None:
        return None
    from labelferry_broker.metrics import Metrics

    metrics = Metrics(settings.metrics_port)
    closing.callback(metrics.stop)
    metrics.start()
    return metrics


def _post_doorman(
    context: zmq.Context[zmq.Socket[bytes]], settings: BrokerSettings, closing: ExitStack
) -> Doorman | None:
    if settings.keys is None:
        return None
    doorman = Doorman(context, settings.keys)
    closing.callback(doorman.stop)
    doorman.start()
    return doorman


def _prove(context: zmq.Context[zmq.Socket[bytes]], endpoint: Endpoint, key: KeyFile, doorman: Doorman) -> None:
    for lane in Lane:
        if lane is not Lane.DEPOT:
            # The depot proves its own, in its own process.
            prove_shut(context, lane, endpoint.lane(lane), key.public.encode("ascii"), doorman)


def _depot_command(settings: BrokerSettings, endpoint: Endpoint, place: SocketPlace) -> list[str]:
    keys = None if settings.keys is None else str(settings.keys)
    return depot_command(endpoint.lane(Lane.DEPOT), str(settings.state), place.inner, keys, settings.log_level)


def _dispatcher_settings(settings: BrokerSettings, endpoint: Endpoint, secret: bytes) -> DispatcherSettings:
    ledger = LedgerSettings(
        software=software(),
        keep_seconds=settings.keep_days * 86400.0,
        keep_bytes=settings.keep_bytes,
    )
    shown = told(endpoint)
    endpoints = {lane.value: shown.lane(lane) for lane in Lane}
    return DispatcherSettings(endpoints, secret, ledger, settings.state, unix_only=endpoint.scheme == "ipc")
