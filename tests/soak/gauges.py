"""What the processes of a service take: resident memory and descriptors, looked at again and again, and whether that grows."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.support.process_tree import children_of
from tests.support.processes import Service, job_children

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Reading:
    """One process at one moment (s): `megabytes` resident, and how many descriptors it has open."""

    at: float
    role: str
    pid: int
    megabytes: float
    descriptors: int


@dataclass
class Gauges:
    """All readings of one soak."""

    readings: list[Reading] = field(default_factory=list)

    def read(self, service: Service, at: float) -> None:
        """Look at every process that is there now."""
        for name, process in service.processes.items():
            role = "broker" if name == "broker" else "worker"
            self._look(at, role, process.pid)
            below = children_of(process.pid) if role == "broker" else job_children(process.pid)
            for pid in below:
                self._look(at, "depot" if role == "broker" else "child", pid)

    def of(self, role: str, since: float = float("-inf")) -> list[Reading]:
        """Return the readings of one role from a moment on."""
        return [each for each in self.readings if each.role == role and each.at >= since]

    def _look(self, at: float, role: str, pid: int) -> None:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - only their number is wanted
        except OSError:
            return
        self.readings.append(Reading(at, role, pid, pages * PAGE_BYTES / 1e6, descriptors))


def growth(points: list[tuple[float, float]], seconds: float) -> float:
    """Return by how much `y` grows in so many seconds: the median slope of all pairs of (seconds, y) (Theil and Sen, 1968)."""
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for place, earlier in enumerate(points)
        for later in points[place + 1 :]
        if later[0] > earlier[0]
    ]
    return seconds * median(slopes) if slopes else 0.0


def by_moment(readings: list[Reading], what: str) -> list[tuple[float, float]]:
    """Return the median of `what` (an attribute) over the processes of each moment."""
    moments: dict[float, list[float]] = {}
    for each in readings:
        moments.setdefault(each.at, []).append(getattr(each, what))
    return [(at, median(values)) for at, values in sorted(moments.items())]
