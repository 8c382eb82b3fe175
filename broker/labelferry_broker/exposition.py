"""The broker in numbers, as a page in Prometheus' text format (version 0.0.4). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from labelferry_broker.ledger.figures import Figures, Reading
from labelferry_protocol.life import TERMINAL
from labelferry_protocol.words import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TURN_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper bounds of the classes of a turn's time, in seconds."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What the dispatcher knows at one moment: the ledger's figures, and its own. `unsent` are messages that found nobody."""

    figures: Figures
    subscriptions: int
    unsent: int
    turns: Reading
    epoch: int
    uptime: float
    subscribers: int = 0
    doors_shut: bool = False
    doors_shut_times: int = 0
    descriptors: int = 0
    descriptor_limit: int = 0


def page_of(readings: Readings) -> str:
    """Return the page."""
    return "\n".join(_lines(readings)) + "\n"


def _lines(now: Readings) -> Iterator[str]:
    figures = now.figures
    yield from _head("jobs", "gauge", "Jobs that have not ended, by state.")
    for state in State:
        if state not in TERMINAL:
            yield f'labelferry_jobs{{state="{state}"}} {figures.states.get(state, 0)}'
    yield from _head("jobs_ended_total", "counter", "Jobs that ended, by state, since this ledger was taken up.")
    for state in sorted(TERMINAL):
        yield f'labelferry_jobs_ended_total{{state="{state}"}} {figures.states.get(state, 0)}'
    yield from _one("queue_age_seconds", "gauge", "Since when the oldest waiting job waits.", figures.queue_age)
    yield from _one("lease_age_seconds", "gauge", "Time since the oldest renewal among all leases.", figures.lease_age)
    yield from _one("jobs_stalled", "gauge", "Running jobs in which nothing has moved for long.", figures.stalled)
    yield from _one("workers", "gauge", "Workers connected.", figures.workers)
    yield from _one("slots", "gauge", "Slots of all workers.", figures.slots)
    yield from _one("slots_busy", "gauge", "Slots that are taken.", figures.busy)
    yield from _one("progress_frames_total", "counter", "Progress frames passed on.", figures.frames)
    yield from _histogram("cancel_latency_seconds", "From a cancel's mark to its confirmation.", figures.cancels)
    yield from _one("bundles", "gauge", "Bundles kept.", figures.bundles)
    yield from _one("bundle_bytes", "gauge", "Size of all bundles kept.", figures.bundle_bytes)
    yield from _one("depot_ready", "gauge", "Whether the depot serves.", int(figures.depot_ready))
    yield from _one("subscribers", "gauge", "Connections that have subscribed to events.", now.subscribers)
    yield from _one("subscriptions", "gauge", "Subscriptions to events.", now.subscriptions)
    yield from _one(
        "messages_unsent_total", "counter", "Messages whose receiver had gone or lagged too far.", now.unsent
    )
    yield from _histogram("turn_seconds", "Time of the dispatcher's turns.", now.turns)
    yield from _one(
        "doors_shut", "gauge", "Whether newcomers are kept out for want of descriptors.", int(now.doors_shut)
    )
    yield from _one("doors_shut_total", "counter", "How often newcomers were kept out.", now.doors_shut_times)
    yield from _one("open_descriptors", "gauge", "Descriptors open in the broker's process.", now.descriptors)
    yield from _one("descriptor_limit", "gauge", "Descriptors that it may have open.", now.descriptor_limit)
    yield from _one("epoch", "gauge", "Incarnation of the broker.", now.epoch)
    yield from _one("uptime_seconds", "gauge", "Time since the start.", now.uptime)


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP labelferry_{name} {text}"
    yield f"# TYPE labelferry_{name} {kind}"


def _one(name: str, kind: str, text: str, value: float) -> Iterator[str]:
    yield from _head(name, kind, text)
    yield f"labelferry_{name} {value}"


def _histogram(name: str, text: str, reading: Reading) -> Iterator[str]:
    yield from _head(name, "histogram", text)
    count = 0
    for bound, here in zip([*map(str, reading.bounds), "+Inf"], reading.counts, strict=True):
        count += here
        yield f'labelferry_{name}_bucket{{le="{bound}"}} {count}'
    yield f"labelferry_{name}_sum {reading.total}"
    yield f"labelferry_{name}_count {count}"
