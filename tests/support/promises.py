"""What a service must have kept when a job has ended, whatever happened on the way: looked up in the ledger and on the disk."""

import hashlib
import sqlite3
from collections.abc import Iterable
from contextlib import closing

from tests.support.processes import Service, wait_until

from labelferry import Cancelled, Completed, Failed, JobEvent, Progress

ENDS = {"completed": Completed, "failed": Failed, "cancelled": Cancelled}


def ask_ledger(service: Service, query: str, *values: object) -> list[tuple[object, ...]]:
    """Return rows of the ledger, read beside the broker."""
    with closing(sqlite3.connect(f"file:{service.state / 'ledger.sqlite3'}?mode=ro", uri=True, timeout=10)) as ledger:
        return ledger.execute(query, values).fetchall()


def attempts_of(service: Service, job_id: str) -> list[tuple[int, str]]:
    """Return the attempts of a job with how each ended."""
    rows = ask_ledger(service, "SELECT attempt, outcome FROM attempts WHERE job_id = ? ORDER BY attempt", job_id)
    return [(int(str(number)), str(outcome)) for number, outcome in rows]


def bundles_of(service: Service, job_id: str) -> list[str]:
    """Return the digests of the bundles that lie in the depot under a job's name."""
    found = (service.state / "bundles").glob(f"{job_id}.*.zip")
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in found]


def follow_to(events: Iterable[JobEvent], percent: float = 0.0) -> list[JobEvent]:
    """Take events until the job has come this far."""
    taken: list[JobEvent] = []
    for event in events:
        taken.append(event)
        if isinstance(event, Progress) and event.progress >= percent:
            return taken
    raise AssertionError(f"the job ended before {percent} %: {taken[-1:]}")


def await_fault(service: Service) -> None:
    """Wait until a job child has come to the fault that the world has for it, which is forgotten then."""
    world = service.world
    assert world is not None
    wait_until(lambda: world.told("misbehaves") is not None, "the fault of a job child")
    world.take_back("misbehaves")


def await_attempt(service: Service, job_id: str, attempt: int) -> float:
    """Wait until an attempt was leased; return when (UTC, seconds)."""
    query = "SELECT leased_at FROM attempts WHERE job_id = ? AND attempt = ?"
    wait_until(lambda: ask_ledger(service, query, job_id, attempt), f"attempt {attempt}")
    ((leased_at,),) = ask_ledger(service, query, job_id, attempt)
    return float(str(leased_at))


def check_order(events: Iterable[JobEvent]) -> None:
    """See that a transcript is ordered, has nothing twice, and ends with its only terminal event."""
    transcript = list(events)
    numbers = [event.seq for event in transcript]
    assert numbers == sorted(set(numbers)), "events are ordered and none comes twice"
    ends = [event for event in transcript if isinstance(event, tuple(ENDS.values()))]
    assert ends == transcript[-1:], ends


def check_promises(service: Service, job_id: str, end: Completed | Cancelled | Failed) -> None:
    """See that the job ended once, as it was told, with one bundle exactly if it is completed, and that nothing else is left of it."""
    states = [str(state) for (state,) in ask_ledger(service, "SELECT state FROM jobs WHERE job_id = ?", job_id)]
    assert [ENDS[state] for state in states] == [type(end)], (states, end)
    attempts = attempts_of(service, job_id)
    assert [number for number, _ in attempts] == [number + 1 for number in range(len(attempts))]
    open_ends = ask_ledger(service, "SELECT attempt FROM attempts WHERE job_id = ? AND ended_at IS NULL", job_id)
    assert open_ends == [], "an ended job has no attempt without an end"
    finished = [number for number, outcome in attempts if outcome == "finished"]
    assert len(finished) == isinstance(end, Completed), attempts
    wanted = [end.bundle.sha256] if not isinstance(end, Failed) and end.bundle is not None else []
    wait_until(lambda: bundles_of(service, job_id) == wanted, f"the bundle {wanted} of the job and no other")
    wait_until(lambda: service.leftovers() == [], f"the end of all files of the job {service.leftovers()}")
