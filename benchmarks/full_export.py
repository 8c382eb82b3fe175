"""`python -m benchmarks.full_export`: a full export by the plain loop, the engine and the whole service, in turns. How they scale: growth.py.

Full: originals, COCO, YOLO, Pascal VOC with masks, overlays, csv and xlsx, one zip. CPU seconds are those of all processes
that took part, so that they hold on a busy machine where wall seconds do not. The service stands ready, its spare process for the next
job among it, as the engine's own process has all imported.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import click
from tests.support.processes import Service, running_service

from benchmarks.engine import export_by_engine
from benchmarks.plain import export_plainly
from benchmarks.processes import await_rest, cpu_seconds
from benchmarks.projects import images_of, repeated
from benchmarks.through_service import export_through_service
from labelferry import ExportOptions

FULL = ExportOptions(formats=("coco", "yolo", "voc"), metrics=("csv", "xlsx"))
STAGES = ("images", "visualizations", "annotations", "metrics", "compression")
PLAIN, PLAIN_FAST, ENGINE, SERVICE = "plain loop", "plain loop, PNG level 1", "engine", "whole service"
PUBLISHED, DEVIATION = "published", "deviation"


@dataclass
class Way:
    """The runs of one way to export: wall and CPU seconds, the seconds by stage, and the bundle's size."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)
    megabytes: float = 0.0

    def run(self, export: Callable[[], dict[str, float]], pids: list[int], target: Path) -> None:
        """Export once more."""
        begun, before = time.perf_counter(), cpu_seconds(pids)
        stages = export()
        self.wall.append(time.perf_counter() - begun)
        self.cpu.append(cpu_seconds(pids) - before)
        self.stages.append(stages)
        self.megabytes = target.stat().st_size / 1e6

    def stage(self, name: str) -> float:
        """Return the median seconds of a stage."""
        return median(each.get(name, 0.0) for each in self.stages)


@click.command()
@click.option("--project", type=click.Path(path_type=Path, exists=True), required=True, help="A COCO folder.")
@click.option("--repeat", default=1, show_default=True, help="Take the project's images this many times.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; the ways take turns within each.")
@click.option("--plain/--no-plain", default=True, show_default=True, help="Run the plain loops too; they take longest.")
def main(project: Path, repeat: int, rounds: int, plain: bool) -> None:
    """Compare a full export by the plain loop, the engine and the whole service."""
    root = Path(tempfile.mkdtemp(prefix="labelferry-benchmark-"))
    try:
        measured = repeated(project, repeat, root / "project") if repeat > 1 else project
        ways = measure(root, measured, rounds, plain)
        images = images_of(measured)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    tell(images, rounds, ways)


def measure(root: Path, project: Path, rounds: int, plain: bool) -> dict[str, Way]:
    """Export `project` by every way in turns, with `root` to work in."""
    ways = {name: Way() for name in ((PLAIN, PLAIN_FAST) if plain else ()) + (ENGINE, SERVICE)}
    (root / "service").mkdir()
    own, clock, target = [os.getpid()], time.perf_counter, root / "out.zip"
    for _ in range(rounds):
        if plain:
            ways[PLAIN].run(lambda: export_plainly(project, target, clock), own, target)
            ways[PLAIN_FAST].run(lambda: export_plainly(project, target, clock, png_level=1), own, target)
        staging = root / "staging"
        staging.mkdir()
        ways[ENGINE].run(partial(export_by_engine, project, staging, FULL, clock), own, staging / "out.zip")
        shutil.rmtree(staging)
        place = root / "service"
        place.mkdir(exist_ok=True)
        with running_service(place, "worker") as service:
            await_rest([process.pid for process in service.processes.values()])
            # The client's part is in this process; the service's processes are children of it.
            ways[SERVICE].run(partial(_serve, service, project, target), own, target)
        shutil.rmtree(place)
    return ways


def _serve(service: Service, project: Path, target: Path) -> dict[str, float]:
    run = export_through_service(service, project, target, FULL, time.perf_counter)
    return {PUBLISHED: run.published, DEVIATION: run.deviation}


def tell(images: int, rounds: int, ways: dict[str, Way]) -> None:
    """Print what was measured."""
    click.echo(f"\n{images} images, medians of {rounds} rounds\n")
    click.echo("| way | seconds | images/s | CPU seconds | bundle, MB |\n|---|---|---|---|---|")
    for name, way in ways.items():
        wall = median(way.wall)
        click.echo(f"| {name} | {wall:.1f} | {images / wall:.0f} | {median(way.cpu):.1f} | {way.megabytes:.0f} |")
    compared = [name for name in ways if name != SERVICE]
    click.echo(f"\n| stage, seconds | {' | '.join(compared)} |\n|---|{'---|' * len(compared)}")
    for stage in STAGES:
        click.echo(f"| {stage} | {' | '.join(f'{ways[name].stage(stage):.2f}' for name in compared)} |")
    click.echo()
    for name in compared:
        if name != ENGINE:
            click.echo(f"* {name} / engine: {_ratio(ways[name].wall, ways[ENGINE].wall):.2f}")
    if PLAIN_FAST in ways:
        bare = ways[PLAIN_FAST].stage("images") + ways[PLAIN_FAST].stage("visualizations")
        click.echo(f"* bare cost (copy, decode, draw, encode at level 1, zip; one process): {bare:.1f} s")
    published = [each[PUBLISHED] for each in ways[SERVICE].stages]
    click.echo(f"* service until published / engine: {_ratio(published, ways[ENGINE].wall):.3f}")
    click.echo(f"* service with download / engine: {_ratio(ways[SERVICE].wall, ways[ENGINE].wall):.3f}")
    strayed = ways[SERVICE].stage(DEVIATION)
    click.echo(f"* progress of the processing phase, mean absolute deviation from linear: {strayed:.1f} points")
    click.echo(f"* CPU, service / engine: {_ratio(ways[SERVICE].cpu, ways[ENGINE].cpu):.3f}")


def _ratio(one: list[float], other: list[float]) -> float:
    return median(a / b for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    main()
