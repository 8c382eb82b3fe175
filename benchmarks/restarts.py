"""`python -m benchmarks.restarts`: how soon a killed broker serves again with many jobs in its ledger and a crowd connected, and how the crowd comes back."""

import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import click
from tests.support.crowd import Crowd
from tests.support.processes import Service, running_service, wait_until
from tests.support.projects import make_coco_project
from tests.support.world import World

from benchmarks.processes import cpu_seconds
from labelferry import Client, ExportOptions, Progress
from labelferry_transport.sockets import new_context

OPTIONS = ExportOptions(formats=("coco",), metrics=())


@click.command()
@click.option("--jobs", default=1000, show_default=True, help="Jobs that wait in the ledger.")
@click.option("--subscribers", default=200, show_default=True, help="Connected subscribers.")
@click.option("--workers", default=0, show_default=True, help="Pretended workers beside the real one.")
@click.option("--times", default=5, show_default=True, help="Kills.")
def main(jobs: int, subscribers: int, workers: int, times: int) -> None:
    """Print the figures of README.md: medians and maxima of so many kills, in seconds from the start of the new broker."""
    root = Path(tempfile.mkdtemp(prefix="labelferry-restarts-"))
    try:
        rows = measure(root, jobs, subscribers, workers, times)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    for words, took in zip(
        (
            "ready",
            "processor time of that",
            "every subscriber has heard it and every pretended worker is registered",
            "the real worker is there again",
        ),
        zip(*rows, strict=True),
        strict=True,
    ):
        click.echo(f"{words}: median {median(took):.2f} s, max {max(took):.2f} s")


def measure(
    root: Path, jobs: int, subscribers: int, workers: int, times: int
) -> list[tuple[float, float, float, float]]:
    """Return, for each kill, the seconds until it was ready, the processor's seconds that took, until all subscribers had heard it, and until all workers were back.

    The processor's seconds are those of the broker's ended and awaited children too.
    """
    (root / "project").mkdir()
    project = make_coco_project(root / "project", images_wanted=12, size=(200, 160))

    def prepare(service: Service) -> None:
        service.world = World.make(root / "world")
        service.world.tell("child", "linger")

    with running_service(root, "worker", prepare=prepare) as service, ExitStack() as closing:
        client = closing.enter_context(Client(service.endpoint))
        running = client.submit(project, OPTIONS).job_id
        next(event for event in client.events(running) if isinstance(event, Progress))
        for _ in range(jobs):
            client.submit(project, OPTIONS)
        context = closing.enter_context(new_context())
        crowd = closing.enter_context(Crowd(context, service.endpoint, subscribers, workers))
        rows = []
        for epoch in range(2, 2 + times):
            service.kill("broker")
            began = time.monotonic()
            service.start("broker")
            ready, spent = time.monotonic() - began, cpu_seconds([service.processes["broker"].pid])
            crowd.await_epoch(epoch)
            heard = time.monotonic() - began
            wait_until(lambda: any(worker.host != "crowd" for worker in client.overview().workers), "the real worker")
            rows.append((ready, spent, heard, time.monotonic() - began))
            assert client.status(running).attempt == 1, "the running attempt is adopted"
        return rows


if __name__ == "__main__":
    main()
