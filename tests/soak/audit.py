"""Judges a soak when it is over: the ledger, the disk, the processes and what the customers were told must agree. Sentences, no assertions."""

import hashlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.soak.customer import Story
from tests.soak.storm import Record
from tests.support.files import files_below
from tests.support.processes import Service
from tests.support.promises import ENDS, ask_ledger

from labelferry import Cancelled, Completed, Failed
from labelferry.errors import Code

LEAVE_SECONDS = 30.0


def judge(service: Service, record: Record) -> list[str]:
    """Return which promises were broken while the service ran; it must still run, and every customer have gone."""
    told = [sentence for story in record.stories for sentence in story.broken]
    stories = {story.job_id: story for story in record.stories if story.job_id}
    return [
        *record.broken,
        *told,
        *_judge_jobs(service, stories),
        *_judge_attempts(service),
        *_judge_onlookers(stories.values()),
        *_judge_bundles(service, stories),
    ]


def judge_end(service: Service, alive: Callable[[], list[int]]) -> list[str]:
    """Tell every process to go; return what did not, and what is left behind. `alive` finds the processes of the service."""
    broken = []
    for name in sorted(service.processes, key=lambda name: name == "broker"):
        process = service.processes[name]
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            broken.append(f"{name} did not go within {LEAVE_SECONDS:.0f} s of SIGTERM")
            continue
        if code != 0:
            broken.append(f"{name} went with exit code {code} on SIGTERM")
    service.stop()
    broken += [f"process {pid} is left: {_command(pid)}" for pid in alive()]
    broken += [f"a file is left: {path}" for path in files_below(service.staging, service.state / "incoming")]
    return broken


def marked(variable: str, value: str) -> list[int]:
    """Return the pids of all processes, but this one, that were started with this variable in their environment."""
    wanted = f"{variable}={value}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _judge_jobs(service: Service, stories: dict[str, Story]) -> Iterator[str]:
    rows = {str(job): str(state) for job, state in ask_ledger(service, "SELECT job_id, state FROM jobs")}
    yield from (f"job {job} is in the ledger, and nobody submitted it" for job in rows.keys() - stories.keys())
    for job_id, story in stories.items():
        state = rows.get(job_id)
        if state is None:
            yield f"job {job_id} was accepted and is lost"
        elif state not in ENDS:
            yield f"job {job_id} has not ended: it is {state}"
        elif story.end is not None and not isinstance(story.end, ENDS[state]):
            yield f"job {job_id} is {state} in the ledger; its customer was told {story.end!r}"
        if isinstance(story.end, Failed) and story.end.code is not Code.WORKER_LOST:
            yield f"job {job_id} failed, and not for a lost worker: {story.end.message}"
        if isinstance(story.end, Cancelled) and story.end.cancelled_by != "user":
            yield f"job {job_id} was cancelled by {story.end.cancelled_by}"


def _judge_attempts(service: Service) -> Iterator[str]:
    query = "SELECT job_id, attempt, outcome, ended_at FROM attempts ORDER BY job_id, attempt"
    numbers: dict[str, list[int]] = {}
    finished: Counter[str] = Counter()
    for job, attempt, outcome, ended_at in ask_ledger(service, query):
        numbers.setdefault(str(job), []).append(int(str(attempt)))
        finished[str(job)] += outcome == "finished"
        if ended_at is None:
            yield f"attempt {attempt} of job {job} has no end"
    for job, found in numbers.items():
        if found != list(range(1, len(found) + 1)):
            yield f"the attempts of job {job} are {found}"
        if finished[job] > 1:
            yield f"job {job} was finished {finished[job]} times"


def _judge_onlookers(stories: Iterable[Story]) -> Iterator[str]:
    for story in stories:
        onlooker = story.onlooker
        if onlooker is None:
            continue
        if list(onlooker.numbers) != sorted(set(onlooker.numbers)):
            yield f"a subscriber to job {story.job_id} saw events out of order: {onlooker.numbers}"
        if not onlooker.killed and story.end is not None and onlooker.last != type(story.end).__name__.lower():
            yield f"a subscriber to job {story.job_id} saw {onlooker.last!r} last, not its end"


def _judge_bundles(service: Service, stories: dict[str, Story]) -> Iterator[str]:
    here: dict[str, list[Path]] = {}
    for path in service.bundles():
        here.setdefault(path.name.split(".")[0], []).append(path)
    for job_id in here.keys() - stories.keys():
        yield f"a bundle of a job that nobody submitted is in the depot: {job_id}"
    for job_id, story in stories.items():
        end = story.end
        wanted = end.bundle if isinstance(end, Completed | Cancelled) else None
        found = [hashlib.sha256(path.read_bytes()).hexdigest() for path in here.get(job_id, [])]
        if found != ([] if wanted is None else [wanted.sha256]):
            yield f"job {job_id} ({type(end).__name__}) has these bundles in the depot: {found}; it was told {wanted}"
        if isinstance(end, Completed) and end.bundle.sha256 != story.kind.sha256:
            yield f"the bundle of job {job_id} is not the one that its options make: {end.bundle.sha256}"


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "(gone since)"
