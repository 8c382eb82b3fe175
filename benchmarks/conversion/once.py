"""`python -m benchmarks.conversion.once WAY TARGET PROJECT SMALL`: one conversion in a process of its own; prints what it took as json.

SMALL is a project of a few images, converted first and not counted: whatever is imported or set up at the first use is there then.
"""

import json
import os
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.conversion.counting import objects_in
from benchmarks.conversion.ways import WAYS
from benchmarks.processes import own_cpu_seconds


@dataclass(frozen=True)
class Took:
    """What a conversion took: seconds on the clock, seconds of processors, MB at its peak (all processes), and the objects in its output."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    objects: int


def main(name: str, target: str, project: Path, small: Path) -> Took:
    """Convert `project` to `target` by the way of this name."""
    way = next(each for each in WAYS if each.name == name)
    convert = way.conversions()[target]
    folder = Path(tempfile.mkdtemp(prefix="labelferry-conversion-", dir=project.parent))
    try:
        for each in ("first", "second"):
            (folder / each).mkdir()
        convert(small, folder / "first")
        begun, busy = time.perf_counter(), own_cpu_seconds()
        convert(project, folder / "second")
        seconds, cpu_seconds = time.perf_counter() - begun, own_cpu_seconds() - busy
        return Took(seconds, cpu_seconds, _megabytes(), objects_in(folder / "second", target))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _megabytes() -> float:
    """Return the largest resident size of this process, and that of a child as often as there are processors (each lane has one)."""
    own = next(
        int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    largest_child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + largest_child * (os.cpu_count() or 1)) / 1000


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))))
