"""`python -m benchmarks.reuse --project FOLDER`: what keeping costs, and what a second export and a second attempt cost then.

The ways take turns within each round; ratios are those of a round, medians over all rounds. Beside seconds stand seconds of
processors (user and system, lanes included), which other work on the machine disturbs less.
"""

import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
import numpy as np
from PIL import Image
from tests.support.processes import Service, job_children, running_service

from benchmarks.processes import own_cpu_seconds
from benchmarks.projects import repeated
from labelferry import Client, Completed, ExportOptions, Progress
from labelferry_export.exporter import Exporter
from labelferry_export.job import Reused
from labelferry_export.keeping.settings import NO_REUSE, Reuse

OPTIONS = ExportOptions(formats=("coco", "yolo", "json"), metrics=("csv", "xlsx"))
CRASH_AT = 90.0


@dataclass(frozen=True)
class Cost:
    """What an export took: s, s of processors, and how many results it made and found."""

    seconds: float
    processor: float
    results: Reused


def export(project: Path, root: Path, reuse: Reuse = NO_REUSE, until: float = 100.0) -> Cost:
    """Export a project with the engine, to its end or until its progress is so far."""
    staging = root / "staging"
    staging.mkdir()
    began, used = time.perf_counter(), own_cpu_seconds()
    exporter = Exporter(
        project, staging / "b.zip", OPTIONS, staging=staging, roots=[Path("/")], clock=time.monotonic, reuse=reuse
    )
    running = exporter.run()
    for update in running:
        if update.progress >= until:
            running.close()
    cost = Cost(time.perf_counter() - began, own_cpu_seconds() - used, exporter.reused)
    shutil.rmtree(staging)
    return cost


def change_one(project: Path, turn: int) -> None:
    """Paint over one image of a project."""
    path = sorted((project / "images").iterdir())[turn]
    with Image.open(path) as picture:
        size = picture.size
    Image.fromarray(np.full((size[1], size[0], 3), 40 + turn, np.uint8)).save(path)


def round_of(project: Path, root: Path, turn: int) -> dict[str, Cost]:
    """Measure every way once."""
    checkpoints = Reuse(checkpoints=root / "checkpoints")
    cache = Reuse(cache=root / "cache", cache_bytes=10**10)
    costs = {"plain": export(project, root), "keeping checkpoints": export(project, root, checkpoints)}
    shutil.rmtree(root / "checkpoints")
    costs["filling the cache"] = export(project, root, cache)
    change_one(project, turn)
    costs["one image changed"] = export(project, root, cache)
    costs["nothing changed"] = export(project, root, cache)
    costs["until the crash"] = export(project, root, checkpoints, until=CRASH_AT)
    costs["second attempt"] = export(project, root, checkpoints)
    for left in (root / "checkpoints", root / "cache"):
        shutil.rmtree(left)
    return costs


def killed(service: Service, project: Path) -> tuple[float, float]:
    """Kill the worker's job processes at `CRASH_AT`; return the seconds until then, and from then to its completion."""
    with Client(service.endpoint) as client:
        began = time.perf_counter()
        killed_at: float | None = None
        for event in client.events(client.submit(project, OPTIONS).job_id):
            if killed_at is None and isinstance(event, Progress) and event.progress >= CRASH_AT:
                for pid in job_children(service.processes["worker"].pid):
                    os.kill(pid, signal.SIGKILL)
                killed_at = time.perf_counter()
        assert isinstance(event, Completed), event
        assert killed_at is not None
        return killed_at - began, time.perf_counter() - killed_at


@click.command()
@click.option("--project", type=click.Path(path_type=Path, exists=True), required=True, help="A COCO folder.")
@click.option("--repeat", default=1, show_default=True, help="Take the project's images this many times.")
@click.option("--rounds", default=5, show_default=True)
def main(project: Path, repeat: int, rounds: int) -> None:
    """Measure, and print a table."""
    root = Path(tempfile.mkdtemp(prefix="labelferry-reuse-"))
    try:
        measured = repeated(project, repeat, root / "project")
        export(measured, root)
        found = [round_of(measured, root, turn) for turn in range(rounds)]
        (root / "service").mkdir()
        with running_service(root / "service", "worker") as service:
            crashes = [killed(service, measured) for _ in range(rounds)]
    finally:
        shutil.rmtree(root, ignore_errors=True)
    _print(found, crashes)


def _print(rounds: list[dict[str, Cost]], crashes: list[tuple[float, float]]) -> None:
    click.echo(
        "| way | s | s of processors | time / plain | processors / plain | results made, found |\n|---|---|---|---|---|---|"
    )
    for way in rounds[0]:
        costs = [each[way] for each in rounds]
        plain = [each["plain"] for each in rounds]
        ratio = median(cost.seconds / base.seconds for cost, base in zip(costs, plain, strict=True))
        processor = median(cost.processor / base.processor for cost, base in zip(costs, plain, strict=True))
        row = [f"{median(cost.seconds for cost in costs):.2f}", f"{median(cost.processor for cost in costs):.2f}"]
        results = costs[-1].results
        row += [f"{ratio:.2f}", f"{processor:.2f}", f"{results.made}, {results.found}"]
        click.echo(f"| {way} | {' | '.join(row)} |")
    before, after = (median(pair) for pair in zip(*crashes, strict=True))
    share = median(last / first for first, last in crashes)
    click.echo(
        f"\nkill -9 at {CRASH_AT:.0f} % through the service: {before:.2f} s until then, {after:.2f} s from then to"
        f" completed: {share:.2f} of what was lost ({len(crashes)} times)"
    )


if __name__ == "__main__":
    main()
