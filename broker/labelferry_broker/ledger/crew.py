"""The workers that are connected now, and which jobs each of them has."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from labelferry_broker.ledger.jobs import Job
from labelferry_protocol.newest import keep_newest

MOST_REPLACED = 256
"""Processes remembered that another one with the same worker id has replaced."""


@dataclass(slots=True, eq=False)
class Worker:
    """One registered worker process. `seen` is the steady time of its last word."""

    worker_id: str
    user: str
    peer: bytes
    host: str
    slots: int
    seen: float
    draining: bool = False
    paused: bool = False
    """Whether it asked for no job for now."""
    software: str = ""
    connected: bool = True
    foreign: int = 0
    """Slots taken by attempts that it still lists though they are not its own any more."""
    keeping: set[str] = field(default_factory=set)
    """Jobs of which it keeps finished work for another attempt."""
    bundles: int = 0
    """How many attempts that bring their bundle take no slot."""
    process: str = ""
    """The mark of its process; empty when it did not say."""


class Crew:
    """Workers by id and by connection; jobs by the worker that has them, also while that worker is not connected."""

    def __init__(self) -> None:
        self.workers: dict[str, Worker] = {}
        self._of_peer: dict[bytes, Worker] = {}
        self._held: defaultdict[str, dict[str, Job]] = defaultdict(dict)
        self._replaced: dict[tuple[str, str], None] = {}

    def replaced_by(self, worker_id: str, process: str) -> Worker | None:
        """Return the worker that goes when another process comes with its id; None when it is the same process, or cannot be told."""
        known = self.workers.get(worker_id)
        return known if known is not None and "" not in (known.process, process) and known.process != process else None

    def replace(self, worker: Worker) -> None:
        """Forget a worker whose id another process has come with; its own process is not to come back."""
        self._replaced[worker.worker_id, worker.process] = None
        keep_newest(self._replaced, MOST_REPLACED)
        self.leave(worker.worker_id)

    def was_replaced(self, worker_id: str, process: str) -> bool:
        """Whether another process has come with this process's id."""
        return (worker_id, process) in self._replaced

    def enter(self, worker: Worker) -> None:
        """Let a worker in, in the place of an older connection of the same process."""
        self.leave(worker.worker_id)
        self.workers[worker.worker_id] = worker
        self._of_peer[worker.peer] = worker

    def leave(self, worker_id: str) -> None:
        """Forget a worker, but not what it has."""
        worker = self.workers.pop(worker_id, None)
        if worker is not None:
            self._of_peer.pop(worker.peer, None)

    def of_peer(self, peer: bytes) -> Worker | None:
        """Return the worker at a connection."""
        return self._of_peer.get(peer)

    def give(self, worker_id: str, job: Job) -> None:
        """Note that a worker has a job."""
        self._held[worker_id][job.row.job_id] = job

    def take_back(self, worker_id: str, job_id: str) -> None:
        """Note that a worker has a job no more."""
        held = self._held.get(worker_id)
        if held is not None:
            held.pop(job_id, None)
            if not held:
                del self._held[worker_id]

    def held_by(self, worker_id: str) -> list[Job]:
        """Return the jobs that a worker has."""
        return list(self._held.get(worker_id, {}).values())

    def all_held(self) -> Iterator[Job]:
        """Yield every job that a worker has."""
        for held in self._held.values():
            yield from held.values()

    def held_job(self, worker_id: str, job_id: str, attempt: int) -> Job | None:
        """Return a job if this worker has this very attempt of it."""
        job = self._held.get(worker_id, {}).get(job_id)
        return job if job is not None and job.row.attempt == attempt else None

    def busy(self, worker: Worker) -> int:
        """Return how many of a worker's slots are taken."""
        held = self._held.get(worker.worker_id, {})
        bringing = sum(job.bringing for job in held.values())
        return len(held) - min(bringing, worker.bundles) + worker.foreign

    def keepers(self, job_id: str) -> list[Worker]:
        """Return the connected workers that keep finished work of a job."""
        return [worker for worker in self.workers.values() if worker.connected and job_id in worker.keeping]

    def pick(self, job: Job) -> Worker | None:
        """Return the worker to lease to: for a second attempt one that keeps work of the first; one where this job has not
        ended badly before; the one with most free slots."""
        best: Worker | None = None
        best_rank = (False, False, 0)
        second = job.row.attempt == 1
        for worker in self.workers.values():
            if worker.draining or worker.paused or not worker.connected:
                continue
            free = worker.slots - self.busy(worker)
            keeps = second and job.row.job_id in worker.keeping
            rank = (keeps, worker.worker_id not in job.tried, free)
            if free > 0 and rank > best_rank:
                best, best_rank = worker, rank
        return best
