"""Workers whose job children run errands instead of exports: nothing at all, a refusal, a loop that can or cannot be stopped, mere talk.

For measuring the service without the engine. `python -m tests.support.errands worker|child ...` runs the product's own `main`;
what a job does stands in its source: `/errand/KIND`, and behind it a number, or a file. The product has no switch for any of this.
"""

import hashlib
import os
import signal
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.support.world import World

from labelferry_export.errors import ExportError
from labelferry_export.job import Reused
from labelferry_protocol.errors import Code
from labelferry_protocol.events import ExportCounts, StageProgress, WarningSummary
from labelferry_protocol.words import Stage
from labelferry_protocol.work import Lease
from labelferry_workers import child, service
from labelferry_workers.engine import Workplace
from labelferry_workers.settings import PoolSettings

GRACE = "LABELFERRY_ERRANDS_GRACE"
"""In the environment: the grace (s) of every cancel, where it is not the broker's own."""
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
PAUSE_SECONDS = 0.001
NOWHERE = StageProgress(current=0, total=1)
NOTHING = ExportCounts()
_BEAT = struct.Struct("d")


@dataclass(frozen=True)
class Errands(World):
    """A world without faults, in which workers run errands."""

    def command(self, role: str) -> list[str]:
        """Return how a process of this world is started."""
        if role == "broker" and GRACE not in os.environ:
            return [sys.executable, "-m", "labelferry_broker"]
        return [sys.executable, "-m", "tests.support.errands", role]


@dataclass(frozen=True)
class Word:
    """How far an errand is."""

    progress: float
    message: str = "Running an errand"
    stage: Stage = Stage.IMAGES
    stage_progress: StageProgress = NOWHERE
    estimated_time_remaining: float | None = None
    notable: bool = False


@dataclass(frozen=True)
class Made:
    """The smallest bundle there is: a zip with nothing in it."""

    size: int = len(EMPTY_ZIP)
    sha256: str = hashlib.sha256(EMPTY_ZIP).hexdigest()
    counts: ExportCounts = NOTHING
    warnings: tuple[WarningSummary, ...] = ()
    partial: bool = False


class Errand:
    """One errand; looks like an export from outside."""

    result = Made()
    reused = Reused()

    def __init__(self, lease: Lease, place: Workplace) -> None:
        _, _, self._kind, *rest = lease.source.location.split("/")
        self._rest = "/".join(rest)
        self._target = place.target

    def run(self) -> Iterator[Word]:
        """Run it."""
        yield from getattr(self, f"_{self._kind}")()
        self._target.write_bytes(EMPTY_ZIP)

    def pack_partial(self) -> None:
        """Have nothing to pack."""

    def _nothing(self) -> Iterator[Word]:
        return iter(())

    def _refuse(self) -> Iterator[Word]:
        raise ExportError(Code.SOURCE, "there is nothing to do")

    def _spin(self) -> Iterator[Word]:
        """Turn until told to stop, with a look between two turns of a millisecond."""
        for _ in self._beats():
            yield Word(1.0)

    def _deaf(self) -> Iterator[Word]:
        """Turn, and hear nothing: neither an order nor SIGTERM."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        yield Word(1.0)
        for _ in self._beats():
            pass

    def _talk(self) -> Iterator[Word]:
        """Say as many words as the number says, as fast as they can be said; each carries when it was said."""
        wanted = int(self._rest)
        for count in range(wanted):
            yield Word(99.0 * count / wanted, f"{time.monotonic():.6f}")

    def _beats(self) -> Iterator[None]:
        """Leave the machine's monotonic time in the file that is named, each millisecond."""
        with Path("/", self._rest).open("wb", buffering=0) as beat:
            while True:
                os.pwrite(beat.fileno(), _BEAT.pack(time.monotonic()), 0)
                time.sleep(PAUSE_SECONDS)
                yield


def main(role: str, arguments: list[str]) -> int:
    """Run a worker of this world, a child of one, or a broker with another grace."""
    if role == "broker":
        return _run_broker(arguments, float(os.environ[GRACE]))
    if role == "worker":
        return service.main(arguments, PoolSettings(command=(sys.executable, "-m", "tests.support.errands", "child")))
    child.warm_up()
    return child.main(arguments, Errand)


def _run_broker(arguments: list[str], grace: float) -> int:
    # Imported here: a child has no use for it.
    from labelferry_broker import __main__ as program
    from labelferry_broker import service as broker
    from labelferry_broker.ledger.settings import LedgerSettings

    vars(broker)["LedgerSettings"] = partial(LedgerSettings, cancel_grace_seconds=grace)
    sys.argv = ["broker", *arguments]
    return program.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
