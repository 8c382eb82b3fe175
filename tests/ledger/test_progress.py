"""Progress frames on their way through the ledger: numbered, never falling, of the running attempt alone."""

import pytest
from tests.ledger.bench import ADA, BO, SHA, W1, W2, Bench, holding, only, receipt

from labelferry_broker.ledger.effects import AdmitUpload, UpdateJob
from labelferry_broker.ledger.progress import MOST_EARLY
from labelferry_protocol import codec
from labelferry_protocol.errors import Code
from labelferry_protocol.events import (
    Completed,
    ExportCounts,
    PhaseChanged,
    Progress,
    StageProgress,
    Started,
    WarningSummary,
)
from labelferry_protocol.requests import GetOverview, Overview, Refused
from labelferry_protocol.words import Phase, Stage, State
from labelferry_protocol.work import AttemptFinished, Lease, ProgressFrame


def told(bench: Bench, job_id: str) -> list[float]:
    return [event.progress for event in bench.events(job_id) if isinstance(event, Progress)]


def test_a_frame_is_published_with_number_and_time(bench: Bench) -> None:
    job_id = bench.running()
    bench.progress(job_id, 12.5)
    event = bench.events(job_id)[-1]
    assert isinstance(event, Progress)
    assert (event.seq, event.attempt, event.epoch, event.timestamp) == (2, 1, 1, bench.wall)
    assert (event.progress, event.phase, event.stage) == (12.5, Phase.PROCESSING, Stage.IMAGES)


def test_progress_never_falls(bench: Bench) -> None:
    job_id = bench.running()
    for progress in (5, 9, 7, 12):
        bench.progress(job_id, progress)
    assert told(bench, job_id) == [5, 9, 12]


def test_a_job_in_which_nothing_moves_is_marked_until_it_moves_or_is_run_again(bench: Bench) -> None:
    job_id = bench.running()

    def stalled() -> tuple[int, ...]:
        asked = (only(bench.ask(GetOverview(), asker), Overview).stalled for asker in (ADA, BO))
        return (*asked, bench.ledger.figures(bench.moment).stalled)

    bench.progress(job_id, 5)
    assert stalled() == (0, 0, 0)
    bench.progress(job_id, 5, stalled=True)
    assert stalled() == (1, 0, 1)
    bench.progress(job_id, 9)
    assert stalled() == (0, 0, 0)
    bench.progress(job_id, 9, stalled=True)
    marks = [event.stalled for event in bench.events(job_id) if isinstance(event, Progress)]
    assert marks == [False, True, False, True]
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment))
    bench.wait(60)
    assert stalled() == (0, 0, 0)
    bench.register(W2)
    bench.start(job_id, 2, W2)
    assert stalled() == (0, 0, 0)


def test_what_is_said_again_is_told_once(bench: Bench) -> None:
    job_id = bench.running()
    for progress in (5, 9, 9, 9, 12):
        bench.progress(job_id, progress)
    assert told(bench, job_id) == [5, 9, 12]


def test_frames_of_others_are_dropped(bench: Bench) -> None:
    job_id = bench.running()
    bench.register(W2)
    bench.progress(job_id, 1, user="mallory")
    bench.progress(job_id, 1, worker_id=W2)
    bench.progress(job_id, 1, attempt=2)
    bench.progress("f" * 32, 1)
    assert told(bench, job_id) == []


def test_a_frame_before_the_beginning_is_told_after_it(bench: Bench) -> None:
    bench.register()
    job_id = bench.submit()
    bench.progress(job_id, 1)
    bench.progress(job_id, 2)
    bench.progress(job_id, 9, user="mallory")
    assert bench.events(job_id) == []
    bench.start(job_id)
    bench.progress(job_id, 3)
    assert [type(event) for event in bench.events(job_id)] == [Started, Progress, Progress, Progress]
    assert [event.seq for event in bench.events(job_id)] == [1, 2, 3, 4]
    assert told(bench, job_id) == [1, 2, 3], "all that came before, in order"


def test_of_a_flood_before_the_beginning_the_first_and_the_latest_are_told(bench: Bench) -> None:
    bench.register()
    job_id = bench.submit()
    for done in range(1, 91):
        bench.progress(job_id, done)
    bench.start(job_id)
    assert told(bench, job_id) == [*range(1, MOST_EARLY), 90]


def test_a_frame_before_the_beginning_that_never_came_is_not_the_next_attempts(bench: Bench) -> None:
    bench.register()
    job_id = bench.submit()
    bench.progress(job_id, 40)
    bench.register(W2)
    bench.do(bench.ledger.worker_dropped(W1.encode(), bench.moment))
    bench.wait(60)
    bench.register(W2)
    bench.start(job_id, 2, W2)
    assert told(bench, job_id) == []


def test_a_frame_before_a_beginning_that_is_told_with_the_end_comes_between(bench: Bench) -> None:
    bench.register()
    job_id = bench.submit()
    bench.progress(job_id, 40)
    bench.publish(job_id)
    bench.finish(job_id)
    assert [type(event) for event in bench.events(job_id)] == [Started, Progress, Progress, PhaseChanged, Completed]
    assert told(bench, job_id) == [40, 100]


def test_a_frame_that_is_no_number_is_dropped(bench: Bench) -> None:
    job_id = bench.running()
    bench.progress(job_id, float("nan"))
    assert told(bench, job_id) == []


def test_a_worker_cannot_say_a_hundred(bench: Bench) -> None:
    job_id = bench.running()
    bench.progress(job_id, 100)
    assert told(bench, job_id)[-1] < 100
    bench.finish(job_id)
    assert told(bench, job_id)[-1] == 100


def test_a_new_attempt_goes_on_from_what_was_told_of_the_one_before(bench: Bench) -> None:
    job_id = bench.running()
    bench.progress(job_id, 50)
    bench.wait(20)
    (_, lease) = bench.register(W2)
    assert isinstance(lease, Lease)
    assert lease.reached == 50
    bench.start(job_id, 2, W2)
    started, again = bench.events(job_id)[-2:]
    assert isinstance(started, Started)
    assert isinstance(again, Progress)
    assert (again.progress, again.attempt, again.message) == (50, 2, "Running again: attempt 2")
    assert bench.snapshot(job_id).progress == again
    for progress in (50, 55, 53):
        bench.progress(job_id, progress, 2, W2)
    assert told(bench, job_id) == [50, 50, 50, 55]


def test_what_an_attempt_says_before_it_is_as_far_as_the_last_one_is_told_with_what_that_had_reached(
    bench: Bench,
) -> None:
    """As a worker does that knows nothing of `reached`."""
    job_id = bench.running()
    bench.progress(job_id, 50)
    bench.wait(20)
    bench.register(W2)
    bench.start(job_id, 2, W2)
    for progress in (3, 20, 60, 40):
        bench.progress(job_id, progress, 2, W2)
    assert told(bench, job_id) == [50, 50, 50, 50, 60]
    assert bench.events(job_id)[-2].message == "Copying images: 20"  # type: ignore[attr-defined]  # the frame's own


def test_an_attempt_after_one_that_said_nothing_begins_at_nothing(bench: Bench) -> None:
    job_id = bench.running()
    bench.wait(20)
    (_, lease) = bench.register(W2)
    assert isinstance(lease, Lease)
    assert lease.reached == 0
    bench.start(job_id, 2, W2)
    assert bench.snapshot(job_id).progress is None


def test_progress_is_saved_at_most_once_a_second(bench: Bench) -> None:
    job_id = bench.running()
    saves = []
    for step in range(100):
        bench.now += 0.05
        effects = bench.ledger.progress_said("crew", frame(job_id, step / 2), bench.moment)
        effects += bench.ledger.tick(bench.moment)
        saves += [effect for effect in effects if isinstance(effect, UpdateJob)]
        bench.do(effects)
    assert 4 <= len(saves) <= 5


def test_progress_outlives_the_broker(bench: Bench) -> None:
    job_id = bench.running()
    bench.progress(job_id, 40)
    bench.wait(1.1)
    bench.restart()
    snapshot = bench.snapshot(job_id)
    assert snapshot.progress is not None
    assert snapshot.progress.progress == 40
    bench.register(W1, holding(job_id))
    bench.progress(job_id, 30)
    bench.progress(job_id, 41)
    assert told(bench, job_id) == [40, 41]


def test_a_snapshot_has_the_newest_progress_and_the_last_number(bench: Bench) -> None:
    job_id = bench.running()
    bench.progress(job_id, 40)
    snapshot = bench.snapshot(job_id)
    assert snapshot.progress == bench.events(job_id)[-1]
    assert snapshot.seq == bench.events(job_id)[-1].seq
    assert bench.ledger.subscribed(ADA, job_id, bench.moment) == snapshot


def test_long_words_of_a_worker_are_cut_to_about_500_bytes(bench: Bench) -> None:
    job_id = bench.running()
    long = ProgressFrame(
        worker_id=W1,
        job_id=job_id,
        attempt=1,
        progress=33.33333333,
        stage=Stage.VISUALIZATIONS,
        message="m" * 1000,
        stage_progress=StageProgress(current=10**6, total=10**7, current_item="i" * 255),
        estimated_time_remaining=1234.5678,
    )
    bench.do(bench.ledger.progress_said("crew", long, bench.moment))
    assert len(codec.pack(bench.events(job_id)[-1])) < 650


def test_a_finish_says_hundred_then_the_phase_then_completed(bench: Bench) -> None:
    job_id = bench.running()
    bench.wait(3)
    bench.finish(job_id)
    progress, changed, completed = bench.events(job_id)[-3:]
    assert isinstance(progress, Progress)
    assert (progress.progress, progress.stage, progress.message) == (100, Stage.COMPRESSION, "Bundle ready")
    assert isinstance(changed, PhaseChanged)
    assert (changed.previous, changed.phase) == (Phase.PROCESSING, Phase.DOWNLOADING)
    assert isinstance(completed, Completed)
    assert (completed.bundle.size, completed.bundle.sha256, completed.bundle.file_name) == (10, SHA, "nuclei.zip")
    assert (completed.counts.images, completed.duration) == (3, 3.0)
    assert [progress.seq, changed.seq, completed.seq] == [2, 3, 4]


def test_a_grant_names_the_bundle_and_its_bringer(bench: Bench) -> None:
    job_id = bench.running()
    bench.publish(job_id)
    (grant,) = [each for each in bench.said if isinstance(each, AdmitUpload)]
    claims = grant.claims
    assert (claims.job_id, claims.attempt, claims.size, claims.sha256, claims.user) == (job_id, 1, 10, SHA, "crew")
    assert claims.expires_at > bench.wall
    assert grant.message(b"signed", "/place").token == b"signed"


def test_a_finish_without_the_depots_receipt_publishes_nothing(bench: Bench) -> None:
    job_id = bench.running()
    message = AttemptFinished(worker_id=W1, job_id=job_id, attempt=1, receipt=b"", counts=ExportCounts())
    for bad in (None, receipt(job_id, 2), receipt("f" * 32)):
        assert only(bench.tell(message, receipt=bad), Refused).code is Code.ACCESS
    assert bench.snapshot(job_id).state is State.RUNNING


def test_warnings_are_shortened_so_that_the_last_event_can_travel(bench: Bench) -> None:
    job_id = bench.running()
    warnings = tuple(WarningSummary(code=f"w{n}", count=1, example="e" * 1000) for n in range(32))
    message = AttemptFinished(
        worker_id=W1, job_id=job_id, attempt=1, receipt=b"t", counts=ExportCounts(), warnings=warnings
    )
    bench.tell(message, receipt=receipt(job_id))
    assert len(codec.pack(bench.snapshot(job_id))) < 16_000


def frame(job_id: str, progress: float) -> ProgressFrame:
    return ProgressFrame(
        worker_id=W1,
        job_id=job_id,
        attempt=1,
        progress=progress,
        stage=Stage.IMAGES,
        message="",
        stage_progress=StageProgress(current=0, total=0),
    )


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_how_long_a_job_took_is_not_told_by_a_wall_clock_that_jumps(bench: Bench, jump: float) -> None:
    job_id = bench.running()
    bench.wait(3)
    bench.wall += jump
    bench.finish(job_id)
    completed = bench.events(job_id)[-1]
    assert isinstance(completed, Completed)
    assert completed.duration == 3.0


def test_how_long_a_job_took_counts_from_its_beginning_also_under_the_next_broker(bench: Bench) -> None:
    job_id = bench.running()
    bench.wait(3)
    bench.restart()
    bench.register(W1, holding(job_id))
    bench.wait(2)
    bench.finish(job_id)
    completed = bench.events(job_id)[-1]
    assert isinstance(completed, Completed)
    assert completed.duration == 5.0
