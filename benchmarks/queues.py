"""`python -m benchmarks.queues --peers PYTHON`: jobs of no work and stops of running jobs, ours and those of other job queues, in one run and in turns.

The peers run in an environment of their own (benchmarks/peers/queues.txt); one that is not there is skipped with a sentence.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.figures import p99

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 300.0


@dataclass(frozen=True)
class Entry:
    """One row: what it is called, its module here, what must be there for it, and whether its queue outlives a power cut."""

    name: str
    module: str
    needs: str
    durable: bool = False
    ours: bool = False
    environment: tuple[tuple[str, str], ...] = ()
    """What it is told besides."""


ENTRIES = (
    Entry("labelferry: tiny bundle, cancel grace 0.5 s", "queue_labelferry", "labelferry", durable=True, ours=True),
    Entry(
        "labelferry: tiny bundle, cancel grace 0",
        "queue_labelferry",
        "labelferry",
        durable=True,
        ours=True,
        environment=(("LABELFERRY_ERRANDS_GRACE", "0"),),
    ),
    Entry("Celery + Redis, appendfsync always", "queue_celery", "celery", durable=True),
    Entry(
        "Celery, task_acks_late, worker_prefetch_multiplier 1 + Redis, appendfsync always",
        "queue_celery",
        "celery",
        durable=True,
        environment=(("PEER_KEEPS_RUNNING", "1"),),
    ),
    Entry("RQ + Redis, appendfsync always", "queue_rq", "rq", durable=True),
    Entry("RQ SimpleWorker + Redis, appendfsync always", "queue_rq_simple", "rq", durable=True),
    Entry("Celery + Redis in memory", "queue_celery", "celery"),
    Entry("RQ SimpleWorker + Redis in memory", "queue_rq_simple", "rq"),
    Entry("Dask distributed", "queue_dask", "distributed"),
    Entry("ipyparallel", "queue_ipyparallel", "ipyparallel"),
    Entry("Parsl HTEX", "queue_parsl", "parsl"),
)


@dataclass
class Row:
    """What one entry did in all rounds."""

    rates: list[float] = field(default_factory=list)
    keeping_rates: list[float] = field(default_factory=list)
    failing_rates: list[float] = field(default_factory=list)
    failing: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    stops: list[tuple[float, float]] | str = ""
    kills: list[tuple[float, float]] | str = ""
    frames: dict[str, list[tuple[float, float, list[float]]]] = field(default_factory=dict)
    """By number of listeners, for each round: arrivals a second, the share that was lost, how late (s) paced ones came."""
    no_frames: str = ""

    def add(self, figures: dict[str, Any]) -> None:
        """Take in one round."""
        self.rates.append(figures["rate"])
        self.latencies += figures["latencies"]
        self.keeping_rates.append(figures["keeping_rate"])
        self.failing_rates.append(figures["failing_rate"])
        self.failing += figures["failing"]
        for name in ("stops", "kills"):
            before, now = getattr(self, name), figures[name]
            setattr(self, name, now if isinstance(now, str) else [*(before or []), *now])
        if isinstance(figures["frames"], str):
            self.no_frames = figures["frames"]
        else:
            for listeners, found in figures["frames"].items():
                self.frames.setdefault(listeners, []).append(found)


@click.command()
@click.option("--peers", default=sys.executable, show_default=True, help="The interpreter that has the peers.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; everybody has a turn in each.")
@click.option("--calls", default=100, show_default=True, help="Jobs one after the other, for latency.")
@click.option("--jobs", default=500, show_default=True, help="Jobs at once, for throughput.")
@click.option("--stops", default=10, show_default=True, help="Running jobs to stop, and to kill.")
@click.option("--only", multiple=True, help="Queues whose name has this in it, and ours; repeatable.")
def main(peers: str, rounds: int, calls: int, jobs: int, stops: int, only: tuple[str, ...]) -> None:
    """Measure and print the tables, after each round what there is by then. What the queues keep lies in TMPDIR."""
    wanted = [each for each in ENTRIES if not only or each.ours or any(part in each.name for part in only)]
    rows = {entry: Row() for entry in wanted if _available(entry, peers)}
    for number in range(rounds):
        for entry, row in rows.items():
            click.echo(f"round {number + 1}: {entry.name}", err=True)
            figures = _measured(entry, peers, [calls, jobs, stops])
            if figures is not None:
                row.add(figures)
        click.echo(f"\nAfter {number + 1} of {rounds} rounds:\n")
        click.echo("\n".join([*_table(rows), "", *_frames_table(rows)]))


def _interpreter(entry: Entry, peers: str) -> str:
    return sys.executable if entry.ours else peers


def _available(entry: Entry, peers: str) -> bool:
    there = subprocess.run(
        [_interpreter(entry, peers), "-c", f"import {entry.needs}"], capture_output=True, check=False
    )
    if there.returncode != 0:
        click.echo(f"{entry.name} is skipped: {peers} has no {entry.needs} (see benchmarks/peers/queues.txt)", err=True)
    return there.returncode == 0


def _measured(entry: Entry, peers: str, numbers: list[int]) -> dict[str, Any] | None:
    folder = tempfile.mkdtemp(prefix="labelferry-queue-")
    command = [_interpreter(entry, peers), "-m", f"benchmarks.peers.{entry.module}", folder, *map(str, numbers)]
    environment = {**os.environ, **({"PEER_DURABLE": "1"} if entry.durable else {}), **dict(entry.environment)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=True
        )
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (subprocess.SubprocessError, IndexError, ValueError) as error:
        last = (getattr(error, "stderr", None) or "").strip().splitlines()[-1:]
        click.echo(f"{entry.name} did not do it: {error} {' '.join(last)}", err=True)
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _table(rows: dict[Entry, Row]) -> Iterator[str]:
    """Yield the table; each rate with how many times it ours is: that of our row that comes first."""
    ours = next((row for entry, row in rows.items() if entry.ours and row.rates), Row([1.0], [1.0], [1.0]))
    yield (
        "| queue | durable | nothing to do: jobs/s, ours / it | leaves a durable file: jobs/s, ours / it | fails at once: jobs/s, ours / it "
        "| one job, p50, p99 ms | one that fails, p50 ms | told to stop: work ends, told, ms | killed: work ends, told, ms |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for entry, row in rows.items():
        if not row.rates:
            continue
        yield (
            f"| {entry.name} | {'yes' if entry.durable else 'no'} | {_beside(row.rates, ours.rates)} "
            f"| {_beside(row.keeping_rates, ours.keeping_rates)} | {_beside(row.failing_rates, ours.failing_rates)} "
            f"| {1000 * median(row.latencies):.1f}, {1000 * p99(row.latencies):.1f} | {1000 * median(row.failing):.1f} "
            f"| {_ends(row.stops)} | {_ends(row.kills)} |"
        )


def _beside(rates: list[float], ours: list[float]) -> str:
    return f"{median(rates):,.0f}, {median(ours) / median(rates):.2f}"


def _frames_table(rows: dict[Entry, Row]) -> Iterator[str]:
    yield "| queue | listeners | arrivals/s | lost | late at 100 frames/s: p50, p99 ms |\n|---|---|---|---|---|"
    for entry, row in rows.items():
        if row.no_frames:
            yield f"| {entry.name} | | none: {row.no_frames} | | |"
        for listeners, rounds in row.frames.items():
            late = [each for _, _, found in rounds for each in found]
            rate, lost = median(rate for rate, _, _ in rounds), median(lost for _, lost, _ in rounds)
            yield (
                f"| {entry.name} | {listeners} | {rate:,.0f} | {100 * lost:.1f} % "
                f"| {1000 * median(late):.1f}, {1000 * p99(late):.1f} |"
            )


def _ends(found: list[tuple[float, float]] | str) -> str:
    if isinstance(found, str):
        return found
    return ", ".join(f"{1000 * median(column):.1f}" for column in zip(*found, strict=True))


if __name__ == "__main__":
    main()
