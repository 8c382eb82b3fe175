"""What the broker's log tells of a job's moves: each with its job and attempt, a cancel with whose it is."""

import msgspec
import pytest

from labelferry_broker.dispatcher import _log_moves
from labelferry_broker.ledger.effects import UpdateJob
from labelferry_broker.ledger.rows import CancelMark, JobRow
from labelferry_protocol.events import Cancelled
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.words import CancelledBy, Phase, State
from labelferry_transport.logs import start_logging

pytestmark = pytest.mark.usefixtures("logging_put_back")

JOB = "ab" * 16
RUNNING = JobRow(
    job_id=JOB,
    number=1,
    owner="ada",
    idempotency_key="1",
    project="nuclei",
    source=Source(location="/data/nuclei"),
    options=ExportOptions(),
    created_at=1.0,
    state=State.RUNNING,
    attempt=2,
    worker_id="cd" * 16,
)


def told(capsys: pytest.CaptureFixture[str], previous: State, row: JobRow) -> str:
    """Return what the log says of a move, without its time."""
    start_logging()
    _log_moves([UpdateJob(previous, row)])
    return capsys.readouterr().err.partition(" ")[2]


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (CancelMark(by=CancelledBy.USER, who="ada", at=2.0, reason="a typo"), 'by=user who=ada reason="a typo"'),
        (CancelMark(by=CancelledBy.TIMEOUT, who="", at=2.0), "by=timeout"),
    ],
)
def test_a_cancel_is_told_with_whose_it_is_and_how_it_ended(
    capsys: pytest.CaptureFixture[str], mark: CancelMark, words: str
) -> None:
    about = f"job={JOB} attempt=2 worker={'cd' * 16}"
    going = msgspec.structs.replace(RUNNING, state=State.CANCELLING, cancel=mark)
    assert told(capsys, State.RUNNING, going) == f"info dispatcher job cancelling {about} {words}\n"
    end = Cancelled(
        job_id=JOB,
        epoch=1,
        attempt=2,
        seq=9,
        timestamp=3.0,
        project="nuclei",
        cancelled_by=mark.by,
        who=mark.who,
        progress=40.0,
        phase=Phase.PROCESSING,
        cleanup_completed=True,
        partial=False,
    )
    gone = msgspec.structs.replace(going, state=State.CANCELLED, terminal=end)
    assert told(capsys, State.CANCELLING, gone) == f"info dispatcher job cancelled {about} {words} cleaned_up=True\n"


def test_other_moves_say_nothing_of_a_cancel(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, State.QUEUED, RUNNING)
    assert said == f"info dispatcher job running job={JOB} attempt=2 worker={'cd' * 16}\n"
