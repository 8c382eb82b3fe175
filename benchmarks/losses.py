"""`python -m benchmarks.losses`: how soon a job runs again after kill -9 of its worker, or of its process, and how soon a killed broker serves.

Times are from the signal to the child's first word of the next attempt, as the ledger has it on the wire: `started` at a subscriber.
"""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import click
from tests.support.processes import Service, job_children, running_service, wait_until
from tests.support.projects import make_coco_project
from tests.support.world import World

from labelferry import Client, ExportOptions, JobEvent, Started

OPTIONS = ExportOptions(formats=("coco",), metrics=())
Clock = Callable[[], float]


@click.command()
@click.option("--times", default=20, show_default=True, help="Kills of each kind.")
def main(times: int) -> None:
    """Print the figures of README.md: a worker that is killed, on this machine and as if on another, and a child."""
    click.echo("| killed | runs again: median | max |\n|---|---|---|")
    for words, hidden, kill in (
        ("worker, on the broker's machine", False, kill_worker),
        ("worker, on a machine that the broker cannot look into", True, kill_worker),
        ("export process", False, kill_child),
    ):
        root = Path(tempfile.mkdtemp(prefix="labelferry-losses-"))
        try:
            took = losses(root, times, hidden=hidden, kill=kill)
        finally:
            shutil.rmtree(root, ignore_errors=True)
        click.echo(f"| {words} | {1000 * median(took):.0f} ms | {1000 * max(took):.0f} ms |")


def losses(root: Path, times: int, *, hidden: bool, kill: Callable[[Service], None]) -> list[float]:
    """Return the seconds from each kill to the start of the next attempt."""
    (root / "project").mkdir()
    project = make_coco_project(root / "project", images_wanted=12, size=(200, 160))

    def prepare(service: Service) -> None:
        service.world = World.make(root / "world", hidden_workers=hidden)
        service.world.tell("child", "linger")

    with running_service(root, "first", "second", prepare=prepare) as service, Client(service.endpoint) as client:
        took: list[float] = []
        _heal(service, client)
        for _ in range(times):
            job = client.submit(project, OPTIONS).job_id
            events = client.events(job)
            _await_start(events, 1)
            began = time.monotonic()
            kill(service)
            _await_start(events, 2)
            took.append(time.monotonic() - began)
            client.cancel(job)
            _heal(service, client)
        return took


def kill_worker(service: Service) -> None:
    """Kill the worker that has the job."""
    service.kill(_busy(service))


def kill_child(service: Service) -> None:
    """Kill the process that does the job."""
    for pid in job_children(service.processes[_busy(service)].pid):
        os.kill(pid, signal.SIGKILL)


def _busy(service: Service) -> str:
    logs = {name: service.log(name) for name in ("first", "second")}
    return max(logs, key=lambda name: max((line for line in logs[name].splitlines() if " leased " in line), default=""))


def _await_start(events: Iterator[JobEvent], attempt: int) -> None:
    for event in events:
        if isinstance(event, Started) and event.attempt >= attempt:
            return


def _heal(service: Service, client: Client) -> None:
    """Have both workers there again, with children that are warm."""
    service.revive()
    wait_until(lambda: len(client.overview().workers) == 2, "both workers")
    # A worker starts its second child when the first is warm.
    pids = [service.processes[name].pid for name in ("first", "second")]
    wait_until(lambda: all(len(job_children(pid)) == 2 for pid in pids), "children that are warm")


if __name__ == "__main__":
    main()
