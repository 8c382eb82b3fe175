"""The engine as a library: one export in this process, with the seconds each stage took and how straight its progress ran."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

from labelferry_export.exporter import Exporter
from labelferry_protocol.options import ExportOptions


def export_by_engine(
    project: Path, staging: Path, options: ExportOptions, clock: Callable[[], float]
) -> dict[str, float]:
    """Export `project` into `staging`; return the seconds of each stage (reading the project counts as its first)."""
    exporter = Exporter(project, staging / "out.zip", options, staging=staging, roots=[Path("/")], clock=clock)
    seconds: dict[str, float] = {}
    begun = clock()
    for update in exporter.run():
        now = clock()
        seconds[update.stage] = seconds.get(update.stage, 0.0) + now - begun
        begun = now
    return seconds


def deviation_from_linear(curve: list[tuple[float, float]]) -> float:
    """Return the mean absolute distance (points of 100) of a curve of (seconds, percent) from the straight line to its end."""
    (first, _), (last, top) = curve[0], curve[-1]
    return mean(abs(percent - top * (moment - first) / (last - first)) for moment, percent in curve)


def main(project: str, staging: str) -> None:
    """Run a full export, in a process that others watch."""
    from benchmarks.full_export import FULL

    export_by_engine(Path(project), Path(staging), FULL, time.perf_counter)


if __name__ == "__main__":
    main(*sys.argv[1:])
