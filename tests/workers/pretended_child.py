"""A job child whose exports are pretended: what they do stands in the lease's source, e.g. `/pretend/units/50`. Run as a script."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.job import Reused
from labelferry_protocol.errors import Code
from labelferry_protocol.events import ExportCounts, StageProgress, WarningSummary
from labelferry_protocol.words import Stage
from labelferry_protocol.work import Lease
from labelferry_workers import child
from labelferry_workers.engine import Workplace


@dataclass(frozen=True)
class Moved:
    progress: float
    stage: Stage
    message: str
    stage_progress: StageProgress
    estimated_time_remaining: float | None = None
    notable: bool = False


@dataclass(frozen=True)
class Made:
    size: int
    sha256: str
    counts: ExportCounts
    warnings: tuple[WarningSummary, ...] = ()
    partial: bool = False


class PretendedExport:
    """Writes a file at each unit; `/pretend/KIND/NUMBER` says what else it does."""

    def __init__(self, lease: Lease, place: Workplace) -> None:
        _, _, self.kind, number = lease.source.location.split("/")
        self.number = int(number)
        self.place = place
        self.result = Made(0, "0" * 64, ExportCounts())
        self.reused = Reused()
        self.done = 0

    def run(self) -> Iterator[Moved]:
        deed = getattr(self, f"_{self.kind}")
        yield self._unit(0, 1)
        yield from deed()
        self.result = self._pack(b"whole ", partial=False)

    def pack_partial(self) -> Made | None:
        if self.kind == "slowpack":
            time.sleep(60)
        return self._pack(b"part ", partial=True) if self.done > 1 else None

    def _pack(self, word: bytes, *, partial: bool) -> Made:
        data = word * (500_000 if self.kind == "big" else 1000)
        self.place.target.write_bytes(data)
        return Made(len(data), hashlib.sha256(data).hexdigest(), ExportCounts(images=self.done), partial=partial)

    def _unit(self, current: int, total: int) -> Moved:
        self.done += 1
        (self.place.staging / f"part-{current}").write_bytes(b"x" * 1000)
        where = StageProgress(current=current, total=total, current_item=f"image-{current}.png")
        return Moved(99 * current / total, Stage.IMAGES, f"Copying images ({current}/{total})", where)

    def _units(self) -> Iterator[Moved]:
        """Many short units."""
        for current in range(1, self.number + 1):
            time.sleep(0.01)
            yield self._unit(current, self.number)

    _big = _units

    def _slowpack(self) -> Iterator[Moved]:
        yield from self._units()

    def _stubborn(self) -> Iterator[Moved]:
        """A unit that no order interrupts."""
        yield self._unit(1, 2)
        # Whoever waits for this knows that no look at orders comes before the end of it.
        (self.place.staging.parent / "stuck.txt").touch()
        until = time.monotonic() + self.number
        while time.monotonic() < until:
            time.sleep(0.05)

    def _family(self) -> Iterator[Moved]:
        """A process of its own that ignores SIGTERM and writes on, and one of that."""
        loop = f"trap '' TERM; sleep 1000 & while true; do echo x >> {self.place.staging}/noise; sleep 0.01; done"
        process = subprocess.Popen(["/bin/sh", "-c", loop])
        (self.place.staging.parent / "family.pid").write_text(str(process.pid))
        yield from self._stubborn()

    def _orphan(self) -> Iterator[Moved]:
        """A process that is left behind by an export that ends well."""
        process = subprocess.Popen(["/bin/sleep", "1000"])
        (self.place.staging.parent / "family.pid").write_text(str(process.pid))
        process.returncode = 0
        yield self._unit(1, 2)

    def _die(self) -> Iterator[Moved]:
        yield self._unit(1, 2)
        os.kill(os.getpid(), self.number)

    def _leave(self) -> Iterator[Moved]:
        yield self._unit(1, 2)
        os._exit(self.number)

    def _refuse(self) -> Iterator[Moved]:
        yield self._unit(1, 2)
        raise ExportError(Code.ITEM, "image-7.png is broken: mend it", "image-7.png", Stage.IMAGES)

    def _fault(self) -> Iterator[Moved]:
        yield self._unit(1, 2)
        raise ValueError("a bug \udcff of ours")

    def _memory(self) -> Iterator[Moved]:
        yield self._unit(1, 2)
        raise MemoryError

    def _disk(self) -> Iterator[Moved]:
        yield self._unit(1, 2)
        raise OSError(errno.ENOSPC, "No space left on device")

    def _chatter(self) -> Iterator[Moved]:
        """Prints where a careless library would."""
        print("hello from a library", flush=True)
        yield self._unit(1, 2)

    def _flood(self) -> Iterator[Moved]:
        """Updates as fast as they can be made; how long it took is left beside the staging directory."""
        began = time.perf_counter()
        total = self.number
        for current in range(1, total + 1):
            where = StageProgress(current=current, total=total)
            yield Moved(99 * current / total, Stage.IMAGES, "Copying", where)
        (self.place.staging.parent / "flood.seconds").write_text(str(time.perf_counter() - began))

    def _greedy(self) -> Iterator[Moved]:
        """Takes memory and gives it back."""
        for current in range(1, self.number + 1):
            heap = [bytes(1000) for _ in range(50_000)]
            yield self._unit(current, self.number + 1 + len(heap) * 0)
        (self.place.staging.parent / "rss.txt").open("a").write(f"{_resident_kilobytes()}\n")


def _resident_kilobytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


if __name__ == "__main__":
    if os.environ.get("PRETEND_STILLBORN"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(os.environ.get("PRETEND_SLOW_START", "0")))
    sys.exit(child.main(sys.argv[1:], PretendedExport))
