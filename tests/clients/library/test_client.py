"""The blocking client against a pretended broker, on real sockets: what it promises its users, with and without faults."""

from __future__ import annotations

import gc
import os
import resource
import signal
import threading
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from labelferry import (
    Cancelled,
    Client,
    Code,
    Completed,
    ExportOptions,
    Interrupted,
    JobEvent,
    LabelferryError,
    PhaseChanged,
    Progress,
    Refusal,
    Started,
    Unconfirmed,
    Unreachable,
)
from labelferry.conversation import Question
from labelferry_protocol.requests import Cancel, CancelAccepted, Hello, OpenDownload, ReportDownload, Submit
from labelferry_protocol.words import Phase, TransferState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.library.conftest import Job, PretendedBroker

BUNDLE = Random(7).randbytes(300_000)


@pytest.fixture
def client(broker: PretendedBroker) -> Iterator[Client]:
    with Client(str(broker), patience=10.0) as made:
        yield made


def strict(events: list[JobEvent]) -> bool:
    order = [event.seq for event in events]
    return order == sorted(set(order))


def finished(broker: PretendedBroker, bundle: bytes = BUNDLE) -> str:
    """A job that is completed."""

    def make() -> str:
        job = broker.make_job()
        broker.begin(job)
        broker.complete(job, bundle)
        return job.job_id

    return broker.do(make)


def running(broker: PretendedBroker) -> Job:
    def make() -> Job:
        job = broker.make_job()
        broker.begin(job)
        broker.progress(job, 5)
        return job

    return broker.do(make)


def heard(broker: PretendedBroker, kind: type) -> list[object]:
    return broker.do(lambda: [message for message in broker.heard if isinstance(message, kind)])


def test_a_submit_is_a_job_and_the_same_key_is_the_same_job(broker: PretendedBroker, client: Client) -> None:
    first = client.submit("/data/nuclei", idempotency_key="k1")
    again = client.submit("/data/nuclei", idempotency_key="k1")
    other = client.submit("/data/nuclei")
    assert (first.created, again.created) == (True, False)
    assert first.job_id == again.job_id != other.job_id


def test_a_relative_source_is_sent_as_an_absolute_path(
    broker: PretendedBroker, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    client.submit(Path("project"))
    (said,) = heard(broker, Submit)
    assert isinstance(said, Submit)
    assert said.source.location == str(tmp_path / "project")


def test_a_submit_whose_answers_are_lost_is_repeated_and_one_job(broker: PretendedBroker, client: Client) -> None:
    client.overview()
    broker.spoil(deaf=True)
    broker.do(lambda: broker.later(300, lambda: setattr(broker.faults, "deaf", False)))
    client.submit("/data/nuclei")
    assert len(heard(broker, Submit)) > 1
    assert len(broker.do(lambda: dict(broker.jobs))) == 1


def test_what_was_asked_and_answered_is_forgotten(broker: PretendedBroker, client: Client) -> None:
    for _ in range(20):
        client.history()
    gc.collect()
    assert sum(isinstance(each, Question) for each in gc.get_objects()) < 10


def test_whoever_watches_from_the_start_sees_every_event_to_the_end(broker: PretendedBroker, client: Client) -> None:
    job_id = client.submit("/data/nuclei").job_id
    stream = client.events(job_id)
    job = broker.do(lambda: broker.jobs[job_id])
    broker.do(lambda: broker.later(100, lambda: broker.run_through(job)))
    events = list(stream)
    assert [event.seq for event in events] == list(range(1, 25))
    assert isinstance(events[0], Started)
    assert isinstance(events[-2], PhaseChanged)
    assert isinstance(events[-1], Completed)
    assert next(stream, None) is None


def test_a_late_joiner_begins_with_what_is_known(broker: PretendedBroker, client: Client) -> None:
    job = running(broker)
    broker.do(lambda: broker.progress(job, 42))
    stream = client.events(job.job_id)
    assert isinstance(next(stream), Started)
    latest = next(stream)
    assert isinstance(latest, Progress)
    assert latest.progress == 42
    broker.do(lambda: broker.complete(job))
    assert isinstance(list(stream)[-1], Completed)


def test_whoever_watches_an_ended_job_is_told_its_end(broker: PretendedBroker, client: Client) -> None:
    assert isinstance(list(client.events(finished(broker)))[-1], Completed)


@pytest.mark.parametrize("seed", range(3))
def test_over_a_lane_that_loses_and_doubles_the_stream_is_ordered_and_ends(
    broker: PretendedBroker, client: Client, seed: int
) -> None:
    broker.on_submit = lambda job: broker.run_through(job, steps=60)
    broker.spoil(chance=Random(seed), lose=0.25, double=0.25)
    events = list(client.events(client.submit("/data/nuclei").job_id))
    assert strict(events)
    assert isinstance(events[-1], Completed)


def test_a_job_is_followed_by_polling_while_nothing_is_pushed(broker: PretendedBroker, client: Client) -> None:
    broker.spoil(mute=True)
    job = running(broker)
    stream = client.events(job.job_id)
    assert isinstance(next(stream), Started)
    assert isinstance(next(stream), Progress)
    broker.do(lambda: broker.complete(job))
    assert isinstance(list(stream)[-1], Completed)


def test_a_subscription_that_was_not_granted_is_renewed_until_it_is(broker: PretendedBroker, client: Client) -> None:
    broker.spoil(deny=True)
    job = running(broker)
    stream = client.events(job.job_id)
    assert isinstance(next(stream), Started)
    broker.spoil(deny=False)
    assert isinstance(next(stream), Progress)
    broker.do(lambda: broker.later(1500, lambda: broker.complete(job)))
    rest = list(stream)
    assert isinstance(rest[-2], PhaseChanged), "the events were pushed, not polled"


def test_a_restarted_broker_is_found_again_and_the_stream_goes_on(broker: PretendedBroker, client: Client) -> None:
    job = running(broker)
    stream = client.events(job.job_id)
    seen = [next(stream), next(stream)]
    broker.do(broker.restart)
    broker.do(lambda: broker.progress(job, 50))
    seen.append(next(stream))
    assert seen[-1].epoch == 2
    broker.do(lambda: broker.complete(job))
    seen += list(stream)
    assert strict(seen)
    assert isinstance(seen[-1], Completed)


def test_kinds_of_a_newer_broker_are_passed_over(broker: PretendedBroker, client: Client) -> None:
    broker.spoil(strange=True)
    broker.on_submit = broker.run_through
    assert isinstance(list(client.events(client.submit("/data/nuclei").job_id))[-1], Completed)


def test_two_streams_of_one_client_may_be_read_in_turn(broker: PretendedBroker, client: Client) -> None:
    one, two = running(broker), running(broker)
    streams = [client.events(one.job_id), client.events(two.job_id), client.events(one.job_id)]
    for stream in streams:
        assert isinstance(next(stream), Started)
    for job in (one, two):
        broker.do(partial(broker.complete, job))
    for stream in streams:
        events = list(stream)
        assert strict(events)
        assert isinstance(events[-1], Completed)


def test_a_job_that_is_not_there_is_refused_with_a_sentence(client: Client) -> None:
    with pytest.raises(Refusal, match="there is no job") as caught:
        next(client.events("f" * 32))
    assert caught.value.code is Code.NO_SUCH_JOB
    with pytest.raises(Refusal, match="is not a job id"):
        client.status("no id")
    with pytest.raises(Refusal, match="is not a job id"):
        next(client.events("a" * 31 + "\n"))


def test_where_no_broker_is_the_sentence_says_where_and_what_to_look_at(tmp_path: Path) -> None:
    with (
        Client("ipc:///tmp/lf-nobody", timeout=0.2) as client,
        pytest.raises(Unreachable, match="no broker answers at ipc:///tmp/lf-nobody: is it running") as caught,
    ):
        client.overview()
    assert caught.value.exit_code == 5


def test_a_stream_bears_a_broker_that_is_away_for_as_long_as_it_has_patience(broker: PretendedBroker) -> None:
    job = running(broker)
    with Client(str(broker), patience=1.5) as client:
        stream = client.events(job.job_id)
        assert isinstance(next(stream), Started)
        broker.spoil(mute=True, deaf=True)
        with pytest.raises(Unreachable, match="any more"):
            list(stream)


def test_whoever_knows_better_that_the_broker_has_died_ends_the_wait(broker: PretendedBroker) -> None:
    job = running(broker)
    dead: list[str] = []

    def look() -> None:
        if dead:
            raise LabelferryError("the service has died")

    with Client(str(broker), vigil=look) as client:
        stream = client.events(job.job_id)
        assert isinstance(next(stream), Started)
        dead.append("yes")
        with pytest.raises(LabelferryError, match="has died"):
            list(stream)


def test_a_client_without_a_broker_or_a_key_it_needs_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABELFERRY_BROKER", raising=False)
    monkeypatch.delenv("LABELFERRY_KEY", raising=False)
    with pytest.raises(Refusal, match="LABELFERRY_BROKER"):
        Client()
    with pytest.raises(Refusal, match="needs a key"):
        Client("tcp://192.0.2.7:5570")
    with pytest.raises(Refusal, match="no key file at"):
        Client("tcp://192.0.2.7:5570", key=Path("/nowhere/alice.key"))


def test_the_broker_may_be_named_by_the_environment(broker: PretendedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELFERRY_BROKER", str(broker))
    with Client() as client:
        assert client.overview().software == "pretended"


def test_a_client_says_hello_first(broker: PretendedBroker, client: Client) -> None:
    client.overview()
    first = broker.do(lambda: broker.heard[0])
    assert isinstance(first, Hello)


def test_a_cancel_returns_the_confirmation_and_tells_when_it_is_durable(
    broker: PretendedBroker, client: Client
) -> None:
    job = running(broker)
    accepted: list[CancelAccepted] = []
    outcome = client.cancel(job.job_id, on_accepted=accepted.append)
    assert isinstance(outcome, Cancelled)
    assert outcome.cleanup_completed
    assert [each.job_id for each in accepted] == [job.job_id]


def test_a_cancel_of_an_ended_job_returns_how_it_ended(broker: PretendedBroker, client: Client) -> None:
    assert isinstance(client.cancel(finished(broker)), Completed)


@pytest.mark.parametrize("seed", range(2))
def test_a_cancel_comes_through_a_lane_that_loses_and_doubles(
    broker: PretendedBroker, client: Client, seed: int
) -> None:
    client.overview()

    broker.spoil(chance=Random(seed), lose=0.5, double=0.3)
    assert isinstance(client.cancel(running(broker).job_id, timeout=60.0), Cancelled)


def test_a_cancel_outlives_a_restart_of_the_broker(broker: PretendedBroker, client: Client) -> None:
    job = running(broker)
    outcome = client.cancel(job.job_id, on_accepted=lambda _: broker.do(broker.restart))
    assert isinstance(outcome, Cancelled)


def test_a_cancel_that_is_not_confirmed_in_time_says_that_it_is_taken_on(
    broker: PretendedBroker, client: Client
) -> None:
    job = running(broker)
    broker.do(lambda: job.waiting.append((b"nobody", "")))
    with pytest.raises(Unconfirmed, match="is taken on") as caught:
        client.cancel(job.job_id, timeout=0.3)
    assert caught.value.job_id == job.job_id


@pytest.mark.parametrize("timeout", [0.0, 1e-9])
def test_a_cancel_that_nobody_waits_for_is_taken_on_when_that_is_said(
    broker: PretendedBroker, client: Client, timeout: float
) -> None:
    job = running(broker)
    accepted: list[CancelAccepted] = []
    with pytest.raises(Unconfirmed, match="is taken on"):
        client.cancel(job.job_id, timeout=timeout, on_accepted=accepted.append)
    assert [each.job_id for each in accepted] == [job.job_id]
    assert broker.do(lambda: any(isinstance(each, Cancel) for each in broker.heard))


def test_a_cancel_of_an_ended_job_returns_how_it_ended_though_nobody_waits_for_it(
    broker: PretendedBroker, client: Client
) -> None:
    assert isinstance(client.cancel(finished(broker), timeout=0.0), Completed)


@pytest.mark.parametrize("seconds", [float("nan"), -1.0])
def test_what_is_no_time_to_wait_is_refused(broker: PretendedBroker, client: Client, seconds: float) -> None:
    job = running(broker)
    with pytest.raises(Refusal, match="timeout is a number of seconds"):
        client.cancel(job.job_id, timeout=seconds)
    with pytest.raises(Refusal, match="timeout is a number of seconds"):
        Client("ipc:///tmp/lf-nobody", timeout=seconds)
    with pytest.raises(Refusal, match="patience is a number of seconds"):
        Client("ipc:///tmp/lf-nobody", patience=seconds)
    assert not broker.do(lambda: any(isinstance(each, Cancel) for each in broker.heard))


def test_a_download_brings_the_bundle_with_progress_to_a_hundred(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    target = tmp_path / "out.zip"
    transfer = client.download(finished(broker), target)
    events = list(transfer)
    assert target.read_bytes() == BUNDLE
    *progress, last = events
    assert isinstance(last, Completed)
    assert last.path == str(target) == str(transfer.path)
    told = [event.progress for event in progress if isinstance(event, Progress)]
    assert len(told) == len(progress)
    assert told == sorted(told)
    assert told[-1] == 100
    assert max(after - before for before, after in zip([0.0, *told], told, strict=False)) <= 1
    assert all(event.phase is Phase.DOWNLOADING for event in progress if isinstance(event, Progress))
    assert strict(events)
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip"]
    reports = [each for each in heard(broker, ReportDownload) if isinstance(each, ReportDownload)]
    assert reports[-1].state is TransferState.COMPLETED
    assert reports[-1].received == len(BUNDLE)


def test_a_download_goes_on_through_restarts_of_the_depot(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    job_id = finished(broker)
    chance = Random(3)
    events: list[JobEvent] = []
    broker.spoil(chunks=40)
    for event in client.download(job_id, tmp_path / "out.zip"):
        events.append(event)
        if broker.faults.chunks is None and len(events) < 120:
            broker.spoil(chunks=chance.randint(30, 120))
    assert (tmp_path / "out.zip").read_bytes() == BUNDLE
    assert strict(events)


def test_a_download_cut_at_random_places_goes_on_in_another_client(broker: PretendedBroker, tmp_path: Path) -> None:
    job_id = finished(broker)
    chance = Random(11)
    target = tmp_path / "out.zip"
    starts = []
    for _ in range(20):
        with Client(str(broker)) as client:
            transfer = client.download(job_id, target)
            first = next(transfer)
            assert isinstance(first, Progress)
            starts.append(first.stage_progress.current)
            for _ in range(chance.randint(0, 8)):
                next(transfer)
            transfer.close()
    assert starts == sorted(starts)
    assert starts[-1] > 0
    with Client(str(broker)) as client:
        assert isinstance(list(client.download(job_id, target))[-1], Completed)
    assert target.read_bytes() == BUNDLE
    asked = [each.transfer_id for each in heard(broker, OpenDownload) if isinstance(each, OpenDownload)]
    assert asked[0] is None
    assert set(asked[1:]) == {"d" * 32}


def test_a_bundle_that_comes_spoiled_is_fetched_once_more(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    job_id = finished(broker)
    broker.spoil(spoil=1)
    events = list(client.download(job_id, tmp_path / "out.zip"))
    assert (tmp_path / "out.zip").read_bytes() == BUNDLE
    told = [event.progress for event in events if isinstance(event, Progress)]
    assert told == sorted(told)


def test_a_bundle_that_always_comes_spoiled_is_refused_and_leaves_nothing(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    job_id = finished(broker)
    broker.spoil(spoil=10**6)
    with pytest.raises(Refusal, match=r"sha256 differs\): export it again"):
        list(client.download(job_id, tmp_path / "out.zip"))
    assert list(tmp_path.iterdir()) == []


def test_a_token_that_has_had_its_time_is_replaced(broker: PretendedBroker, client: Client, tmp_path: Path) -> None:
    job_id = finished(broker)
    broker.spoil(expire=1)
    assert isinstance(list(client.download(job_id, tmp_path / "out.zip"))[-1], Completed)


def test_a_download_that_is_never_allowed_ends_with_the_refusal(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    job_id = finished(broker)
    broker.spoil(expire=10**6)
    with pytest.raises(Refusal, match="has expired"):
        list(client.download(job_id, tmp_path / "out.zip"))
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_is_not_completed_cannot_be_downloaded(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    with pytest.raises(Refusal, match="is not completed"):
        list(client.download(running(broker).job_id, tmp_path / "out.zip"))
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_download_leaves_nothing_and_says_so(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    transfer = client.download(finished(broker), tmp_path / "out.zip")
    next(transfer)
    transfer.cancel()
    last = list(transfer)[-1]
    assert isinstance(last, Cancelled)
    assert (last.phase, last.cleanup_completed, last.who) == (Phase.DOWNLOADING, True, "local")
    assert 0 < last.progress < 100
    assert list(tmp_path.iterdir()) == []
    reports = [each for each in heard(broker, ReportDownload) if isinstance(each, ReportDownload)]
    assert reports[-1].state is TransferState.CANCELLED


def test_an_export_is_one_stream_from_start_to_the_file(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    broker.on_submit = lambda job: broker.later(20, lambda: broker.run_through(job, steps=100, bundle=BUNDLE))
    run = client.export("/data/nuclei", tmp_path / "out.zip", ExportOptions(formats=("coco",)))
    events = list(run)
    assert (tmp_path / "out.zip").read_bytes() == BUNDLE
    assert run.job_id is not None
    assert strict(events)
    kinds = [type(event) for event in events]
    assert kinds[0] is Started
    assert kinds.count(PhaseChanged) == 1
    assert kinds.count(Completed) == 1
    last = events[-1]
    assert isinstance(last, Completed)
    assert last.path == str(tmp_path / "out.zip")
    phases = [event.phase for event in events if isinstance(event, Progress)]
    assert phases == sorted(phases, key=[Phase.PROCESSING, Phase.DOWNLOADING].index)
    for phase in Phase:
        told = [event.progress for event in events if isinstance(event, Progress) and event.phase is phase]
        assert told == sorted(told)
        assert told[-1] == 100


def test_an_export_looks_at_its_target_before_it_submits(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "out.zip").touch()
    with pytest.raises(Refusal, match="exists already"):
        client.export("/data/nuclei", tmp_path / "out.zip")
    with pytest.raises(Refusal, match="there is no directory"):
        client.export("/data/nuclei", tmp_path / "none" / "out.zip")
    assert heard(broker, Submit) == []


def test_an_export_cancelled_before_it_begins_makes_no_job(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    run = client.export("/data/nuclei", tmp_path / "out.zip")
    run.cancel()
    with pytest.raises(Interrupted):
        next(run)
    assert heard(broker, Submit) == []


def test_an_export_cancelled_while_it_is_queued_is_confirmed(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    run = client.export("/data/nuclei", tmp_path / "out.zip")
    threading.Timer(0.2, run.cancel).start()
    (last,) = list(run)
    assert isinstance(last, Cancelled)
    assert list(tmp_path.iterdir()) == []


def test_an_export_may_be_cancelled_from_a_signal_handler_while_it_waits(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    run = client.export("/data/nuclei", tmp_path / "out.zip")
    before = signal.signal(signal.SIGUSR1, lambda number, frame: run.cancel())
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        (last,) = list(run)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert isinstance(last, Cancelled)


def test_a_stream_that_was_interrupted_goes_on(broker: PretendedBroker, client: Client) -> None:
    job = running(broker)
    stream = client.events(job.job_id)
    seen = [next(stream), next(stream)]

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(KeyboardInterrupt):
            next(stream)
    finally:
        signal.signal(signal.SIGUSR1, before)
    broker.do(lambda: broker.complete(job))
    seen += list(stream)
    assert strict(seen)
    assert isinstance(seen[-1], Completed)


def test_a_client_that_found_nobody_finds_the_broker_once_it_is_there(broker: PretendedBroker) -> None:
    with Client(str(broker), timeout=0.3) as client:
        broker.spoil(deaf=True)
        with pytest.raises(Unreachable):
            client.overview()
        broker.spoil(deaf=False)
        assert client.overview().software == "pretended"


def test_a_disk_that_takes_no_more_is_a_sentence_and_leaves_nothing(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    job_id = finished(broker)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(Refusal, match=r"cannot write .*out.zip: File too large") as caught:
            list(client.download(job_id, tmp_path / "out.zip"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code is Code.OUTPUT
    assert list(tmp_path.iterdir()) == []
    reports = [each for each in heard(broker, ReportDownload) if isinstance(each, ReportDownload)]
    assert reports[-1].state is TransferState.FAILED


def test_a_download_whose_depot_is_gone_keeps_what_has_come(broker: PretendedBroker, tmp_path: Path) -> None:
    job_id = finished(broker)
    with Client(str(broker), patience=1.0) as client:
        transfer = client.download(job_id, tmp_path / "out.zip")
        next(transfer)
        broker.spoil(stall=True)
        with pytest.raises(Unreachable):
            list(transfer)
    broker.spoil(stall=False)
    assert {path.name for path in tmp_path.iterdir()} == {".out.zip.part", ".out.zip.part.json"}
    with Client(str(broker)) as client:
        first = next(client.download(job_id, tmp_path / "out.zip"))
    assert isinstance(first, Progress)
    assert first.stage_progress.current > len(BUNDLE) // 300


def test_an_export_cancelled_while_it_is_processed_is_confirmed(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    broker.on_submit = lambda job: broker.run_through(job, steps=10_000)
    run = client.export("/data/nuclei", tmp_path / "out.zip")
    events = [next(run) for _ in range(10)]
    run.cancel()
    run.cancel()
    events += list(run)
    last = events[-1]
    assert isinstance(last, Cancelled)
    assert last.phase is Phase.PROCESSING
    assert strict(events)
    assert len(heard(broker, Cancel)) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_export_cancelled_during_the_download_leaves_the_job_completed(
    broker: PretendedBroker, client: Client, tmp_path: Path
) -> None:
    broker.on_submit = lambda job: broker.run_through(job, steps=3, bundle=BUNDLE)
    run = client.export("/data/nuclei", tmp_path / "out.zip")
    events: list[JobEvent] = []
    for event in run:
        events.append(event)
        if isinstance(event, Progress) and event.phase is Phase.DOWNLOADING and event.progress > 30:
            run.cancel()
    last = events[-1]
    assert isinstance(last, Cancelled)
    assert (last.phase, last.cleanup_completed) == (Phase.DOWNLOADING, True)
    assert list(tmp_path.iterdir()) == []
    assert run.job_id is not None
    assert client.status(run.job_id).state == "completed"


def test_an_export_survives_a_restart_of_the_broker(broker: PretendedBroker, client: Client, tmp_path: Path) -> None:
    broker.on_submit = lambda job: broker.run_through(job, steps=200, bundle=BUNDLE)
    run = client.export("/data/nuclei", tmp_path / "out.zip")
    events = [next(run) for _ in range(20)]
    broker.do(broker.restart)
    events += list(run)
    assert (tmp_path / "out.zip").read_bytes() == BUNDLE
    assert strict(events)


@pytest.mark.parametrize("seed", range(2))
def test_an_export_ends_right_over_bad_lanes(
    broker: PretendedBroker, client: Client, tmp_path: Path, seed: int
) -> None:
    broker.on_submit = lambda job: broker.run_through(job, steps=50, bundle=BUNDLE)
    broker.spoil(chance=Random(seed), lose=0.2, double=0.2, chunks=100)
    events = list(client.export("/data/nuclei", tmp_path / "out.zip"))
    assert (tmp_path / "out.zip").read_bytes() == BUNDLE
    assert strict(events)
    assert [type(event) for event in events].count(PhaseChanged) == 1


def test_templates_history_and_the_rest_are_asked_and_answered(broker: PretendedBroker, client: Client) -> None:
    options = ExportOptions(formats=("yolo",), scale=0.5)
    assert client.save_template("mine", options).options == options
    assert client.template("mine").options == options
    assert client.templates() == ("mine",)
    client.delete_template("mine")
    with pytest.raises(Refusal, match="there is no template"):
        client.template("mine")
    assert client.history().jobs == ()
    with pytest.raises(Refusal, match="1 to 50"):
        client.history(limit=51)
    job = running(broker)
    assert client.transfers(job.job_id).transfers == ()
    assert client.status(job.job_id).project == "nuclei"


def test_a_closed_client_says_that_it_is_closed(broker: PretendedBroker) -> None:
    client = Client(str(broker))
    client.overview()
    client.close()
    client.close()
    with pytest.raises(Refusal, match="is closed"):
        client.overview()
