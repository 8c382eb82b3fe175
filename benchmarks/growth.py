"""`python -m benchmarks.growth`: what a full export takes as projects grow: time an image, memory of all processes together, disk.

Flat is right: a project ten times as large takes ten times as long, and the same memory.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from tests.support.processes import running_service

from benchmarks.full_export import FULL
from benchmarks.processes import Watched, cpu_seconds, watched
from benchmarks.scattered import scattered
from benchmarks.through_service import export_through_service


@dataclass(frozen=True)
class Grown:
    """One export: wall and CPU seconds, what was seen of its processes and of its working folder."""

    images: int
    wall: float
    cpu: float
    seen: Watched
    bundle: float
    """MB."""


@click.command()
@click.option("--counts", default="100,1000,5000,20000", show_default=True, help="Images of each project.")
@click.option("--service/--no-service", default=False, help="Through broker, depot and worker; else the engine alone.")
def main(counts: str, service: bool) -> None:
    """Export generated projects of growing size."""
    click.echo(
        "| images | ms/image | CPU ms/image | memory, MB: peak, and of each quarter of the time | staging, MB | bundle, MB |"
    )
    click.echo("|---|---|---|---|---|---|")
    for count in map(int, counts.split(",")):
        root = Path(tempfile.mkdtemp(prefix="labelferry-growth-"))
        try:
            project = scattered(root / "project", count, seed=1)
            _tell((_serve if service else _export)(root, project, count))
        finally:
            shutil.rmtree(root, ignore_errors=True)


def _export(root: Path, project: Path, images: int) -> Grown:
    staging = root / "staging"
    staging.mkdir()
    command = [sys.executable, "-m", "benchmarks.engine", str(project), str(staging)]
    with subprocess.Popen(command) as process:
        pid = process.pid

        def run() -> float:
            # Its children are counted with it while it lives, and a zombie keeps its figures: read them before it is awaited.
            spent = 0.0
            while (now := cpu_seconds([pid])) >= spent and not _ended(pid):
                spent = now
                time.sleep(0.05)
            return max(spent, cpu_seconds([pid]))

        return _watched(images, run, [pid], staging, staging / "out.zip")


def _serve(root: Path, project: Path, images: int) -> Grown:
    place, target = root / "service", root / "out.zip"
    place.mkdir()
    with running_service(place, "worker") as service:
        pids = [process.pid for process in service.processes.values()]

        def run() -> float:
            before = cpu_seconds(pids)
            export_through_service(service, project, target, FULL, time.perf_counter)
            return cpu_seconds(pids) - before

        return _watched(images, run, pids, place, target)


def _watched(images: int, run: Callable[[], float], pids: list[int], folder: Path, bundle: Path) -> Grown:
    begun = time.perf_counter()
    with watched(pids, folder) as seen:
        cpu = run()
    return Grown(images, time.perf_counter() - begun, cpu, seen, bundle.stat().st_size / 1e6)


def _ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _tell(grown: Grown) -> None:
    quarters = " ".join(f"{each:.0f}" for each in grown.seen.quarters())
    each, cpu = 1000 * grown.wall / grown.images, 1000 * grown.cpu / grown.images
    memory = f"{grown.seen.peak:.0f}: {quarters}"
    click.echo(f"| {grown.images:,} | {each:.1f} | {cpu:.1f} | {memory} | {grown.seen.disk:.0f} | {grown.bundle:.0f} |")


if __name__ == "__main__":
    main()
