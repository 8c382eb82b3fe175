"""The same export through broker, depot and worker, as a user has it; and how soon it speaks and stops."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.processes import Service

from benchmarks.engine import deviation_from_linear
from labelferry import Cancelled, Client, Completed, ExportOptions, PhaseChanged, Progress, Started


@dataclass
class Run:
    """One export through the service, in seconds: whole, until the bundle was published, and the curve of its progress."""

    seconds: float
    published: float
    curve: list[tuple[float, float]] = field(default_factory=list)

    @property
    def deviation(self) -> float:
        """Mean absolute distance of the processing progress from a straight line, in points."""
        return deviation_from_linear(self.curve)


def export_through_service(
    service: Service, project: Path, target: Path, options: ExportOptions, clock: Callable[[], float]
) -> Run:
    """Submit, watch and download one export."""
    with Client(service.endpoint) as client:
        client.overview()
        begun = clock()
        run = Run(0.0, 0.0)
        for event in client.export(project, target, options, overwrite=True):
            if isinstance(event, Progress) and event.phase == "processing":
                run.curve.append((clock() - begun, event.progress))
            elif isinstance(event, PhaseChanged):
                run.published = clock() - begun
        assert isinstance(event, Completed), event
        run.seconds = clock() - begun
        return run


def first_words(
    service: Service, project: Path, options: ExportOptions, times: int, clock: Callable[[], float]
) -> list[float]:
    """Return the seconds from submit to the first event, with an idle worker."""
    seconds: list[float] = []
    with Client(service.endpoint) as client:
        for _ in range(times):
            begun = clock()
            events = client.events(client.submit(project, options).job_id)
            seconds.extend(clock() - begun for event in events if isinstance(event, Started))
    return seconds


def cancels(
    service: Service, project: Path, options: ExportOptions, times: int, seed: int, clock: Callable[[], float]
) -> list[tuple[float, str]]:
    """Cancel at random progress; return the seconds to the confirmation and the stage it hit. What is left behind is an error."""
    dice = random.Random(seed)
    found = []
    with Client(service.endpoint) as client:
        for _ in range(times):
            moment, stage = dice.uniform(0, 99.5), "queued"
            job = client.submit(project, options).job_id
            for event in client.events(job):
                if isinstance(event, Progress):
                    stage = str(event.stage)
                    if event.progress >= moment:
                        break
            begun = clock()
            outcome = client.cancel(job)
            took = clock() - begun
            assert service.leftovers() == [], service.leftovers()
            if isinstance(outcome, Cancelled):
                assert outcome.cleanup_completed
                found.append((took, stage))
    return found
