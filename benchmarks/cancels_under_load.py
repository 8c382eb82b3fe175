"""`python -m benchmarks.cancels_under_load`: how long a cancel takes while 100 jobs wait, 2 run and 50 subscribers listen. Real exports.

From the wish to the confirmation that everything is stopped and cleaned up; for exports that can be stopped between two units of
work, and for exports that hear nothing and have started a process of their own. Exits with 1 when a budget of docs/protocol.md is not held.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
from tests.support.processes import Service, running_service, wait_until
from tests.support.projects import make_coco_project
from tests.support.world import World

from benchmarks.figures import p99
from labelferry import Cancelled, Client, ExportOptions, Progress
from labelferry_protocol.limits import CANCEL_GRACE_SECONDS

OPTIONS = ExportOptions(formats=("coco", "json"), metrics=("csv",))
SLOTS, WAITING, LISTENERS = 2, 100, 50

LISTEN = """
import asyncio, sys
from labelferry import AsyncClient

async def listen(client, job_id):
    async for _ in client.events(job_id):
        pass

async def main(endpoint, count):
    clients = [AsyncClient(endpoint) for _ in range(count)]
    tasks, number = set(), 0
    while line := await asyncio.to_thread(sys.stdin.readline):
        half = clients[:: 2] if number % 2 else clients[1 :: 2]
        tasks |= {asyncio.create_task(listen(client, line.strip())) for client in half}
        number += 1

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@dataclass(frozen=True)
class Budget:
    """What a cancel may take at most, 99 times of 100 (s); written down in docs/protocol.md, section 8."""

    name: str
    seconds: float
    fault: str = ""


BUDGETS = (
    Budget("cooperative", 0.25),
    Budget("forced", CANCEL_GRACE_SECONDS + 0.25, "breed-and-ignore"),
)


@click.command()
@click.option("--times", default=100, show_default=True, help="Cancels of each kind.")
@click.option("--seed", default=1, show_default=True)
def main(times: int, seed: int) -> None:
    """Measure both kinds of cancels and hold them against their budgets."""
    held = True
    with tempfile.TemporaryDirectory(prefix="labelferry-cancels-") as place:
        root = Path(place)
        (root / "project").mkdir()
        project = make_coco_project(root / "project")
        click.echo("| cancel | median | p99 | max | times | budget | held |\n|---|---|---|---|---|---|---|")
        for budget in BUDGETS:
            seconds = _measure(root / budget.name, project, budget, times, random.Random(seed))
            most = p99(seconds)
            held = held and most <= budget.seconds
            figures = " | ".join(f"{1000 * each:.0f} ms" for each in (median(seconds), most, max(seconds)))
            yes = "yes" if most <= budget.seconds else "NO"
            click.echo(f"| {budget.name} | {figures} | {len(seconds)} | {1000 * budget.seconds:.0f} ms | {yes} |")
    sys.exit(0 if held else 1)


def _measure(root: Path, project: Path, budget: Budget, times: int, dice: random.Random) -> list[float]:
    """Return the seconds of so many cancels of running jobs, each at a random moment."""
    root.mkdir()

    def prepare(service: Service) -> None:
        if budget.fault:
            service.world = World.make(root / "world")
            service.world.tell("child", budget.fault)

    seconds: list[float] = []
    with ExitStack() as stack:
        service = stack.enter_context(running_service(root, "worker", slots=SLOTS, prepare=prepare))
        client = stack.enter_context(Client(service.endpoint))
        listeners = stack.enter_context(_listeners(service))
        assert listeners.stdin is not None
        jobs = deque(client.submit(project, OPTIONS).job_id for _ in range(SLOTS + WAITING))
        for job_id in list(jobs)[:SLOTS]:
            print(job_id, file=listeners.stdin, flush=True)
        while len(seconds) < times:
            job_id = jobs.popleft()
            jobs.append(client.submit(project, OPTIONS).job_id)
            # A deaf one comes no further than its third word.
            if _runs_to(client, job_id, dice.uniform(0.0, 0.3 if budget.fault else 90.0)):
                took = _cancel(client, service, job_id)
                seconds += [] if took is None else [took]
            print(jobs[SLOTS - 1], file=listeners.stdin, flush=True)
    return seconds


def _runs_to(client: Client, job_id: str, percent: float) -> bool:
    """Wait until a job has come this far; return whether it did, and runs still."""
    return any(isinstance(event, Progress) and event.progress >= percent for event in client.events(job_id))


def _cancel(client: Client, service: Service, job_id: str) -> float | None:
    """Cancel; return the seconds to the confirmation, None when the job had ended before."""
    begun = time.perf_counter()
    outcome = client.cancel(job_id)
    took = time.perf_counter() - begun
    if not isinstance(outcome, Cancelled):
        return None
    assert outcome.cleanup_completed, outcome

    def left() -> list[str]:
        return [path for path in service.leftovers() if job_id in path]

    assert not [path for path in left() if path.startswith(str(service.staging))], left()
    # What the depot had of a bundle that was on its way is not the worker's to confirm; it goes with the broker's next word.
    wait_until(lambda: left() == [], f"the end of what the depot had: {left()}")
    return took


@contextmanager
def _listeners(service: Service) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", LISTEN, service.endpoint, str(LISTENERS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    main()
