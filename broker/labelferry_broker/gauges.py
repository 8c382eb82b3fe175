"""What the dispatcher counts beside its work, and how it comes to be seen: turns, messages that found nobody, descriptors; the metrics page."""

from typing import TYPE_CHECKING

from labelferry_broker.exposition import TURN_BOUNDS, Readings, page_of
from labelferry_broker.fanout import Fanout
from labelferry_broker.ledger.figures import Histogram
from labelferry_broker.ledger.machine import Ledger
from labelferry_broker.ledger.settings import Moment
from labelferry_broker.porter import Porter
from labelferry_transport.descriptors import descriptor_limit, open_descriptors

if TYPE_CHECKING:
    from labelferry_broker.metrics import Metrics


class Gauges:
    """The dispatcher's own numbers. `metrics` None: nobody looks; `porter` None: nobody minds the doors."""

    def __init__(self, metrics: "Metrics | None" = None, porter: Porter | None = None) -> None:
        self.turns = Histogram(TURN_BOUNDS)
        self.unsent = 0
        self._metrics = metrics
        self._porter = porter

    @property
    def full(self) -> bool:
        """Whether nobody new is let in now, for want of descriptors."""
        return self._porter is not None and self._porter.shut

    def show(self, ledger: Ledger, events: Fanout, epoch: int, now: Moment, uptime: float) -> None:
        """Put a new page out, if anybody may look."""
        if self._metrics is None:
            return
        readings = Readings(
            figures=ledger.figures(now),
            subscriptions=events.subscriptions,
            subscribers=events.subscribers,
            unsent=self.unsent,
            turns=self.turns.read(),
            epoch=epoch,
            uptime=uptime,
            doors_shut=self.full,
            doors_shut_times=0 if self._porter is None else self._porter.times,
            descriptors=open_descriptors(),
            descriptor_limit=descriptor_limit(),
        )
        self._metrics.show(page_of(readings))
