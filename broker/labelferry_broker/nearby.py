"""Which paths of the depot's are told to peers on its own machine, so that a large bundle need not be sent to or fro.

A path tells nobody what is in it: the depot's folders are open to their owner alone, whose processes could go there anyway.
"""

from dataclasses import dataclass
from pathlib import Path

from labelferry_broker.depot.settings import LINKED_BYTES, bundle_path, part_path
from labelferry_broker.neighbours import Neighbours
from labelferry_protocol import limits
from labelferry_protocol.tokens import Claims


@dataclass(frozen=True)
class Nearby:
    """`state` is the broker's directory, None where no path is told; `unix_only` whether every peer comes by a unix socket."""

    state: Path | None
    neighbours: Neighbours
    unix_only: bool

    def part_for(self, peer: bytes, claims: Claims) -> str | None:
        """Return where the worker of a connection may put a bundle by itself."""
        if self.state is None or not self.neighbours.knows(peer):
            return None
        return _told(part_path(self.state.absolute(), claims), claims)

    def bundle_for(self, claims: Claims) -> str | None:
        """Return where a client may read a bundle by itself."""
        if self.state is None or not self.unix_only:
            return None
        return _told(bundle_path(self.state.absolute(), claims.job_id, claims.attempt), claims)


def _told(path: Path, claims: Claims) -> str | None:
    """Return a path where it is worth telling, and a message can hold it."""
    place = str(path)
    worth = claims.size >= LINKED_BYTES and len(place) <= limits.MAX_STRING
    return place if worth and place.isprintable() else None
