"""Downloads, history and overview: what the ledger tells, and to whom."""

from typing import Any

import pytest
from tests.ledger.bench import ADA, BO, ROOT, SHA, W1, Bench, only

from labelferry_broker.ledger.effects import AdmitDownload, Reply
from labelferry_broker.ledger.settings import Asker, LedgerSettings
from labelferry_protocol import codec, requests
from labelferry_protocol.depot import DepotReady
from labelferry_protocol.errors import Code
from labelferry_protocol.message import Message
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.requests import (
    Cancel,
    DownloadReported,
    GetHistory,
    GetOverview,
    GetTransfers,
    History,
    OpenDownload,
    Overview,
    Refused,
    ReportDownload,
    Transfers,
)
from labelferry_protocol.words import Phase, State, TransferState


def done(bench: Bench) -> str:
    job_id = bench.running()
    bench.finish(job_id)
    return job_id


def opened(bench: Bench, asker: Asker = ADA, **fields: Any) -> AdmitDownload:
    bench.ask(OpenDownload(**fields), asker)
    assert isinstance(bench.said[-1], AdmitDownload), bench.said[-1]
    return bench.said[-1]


def report(bench: Bench, transfer_id: str, received: int, state: TransferState, asker: Asker = ADA) -> list[Message]:
    return bench.ask(ReportDownload(transfer_id=transfer_id, received=received, state=state), asker)


def history(bench: Bench, asker: Asker = ADA, **fields: Any) -> History:
    return only(bench.ask(GetHistory(**fields), asker), History)


def test_a_download_is_opened_with_claims_for_the_one_who_asks(bench: Bench) -> None:
    job_id = done(bench)
    admit = opened(bench, ROOT, job_id=job_id)
    assert (admit.claims.user, admit.claims.attempt, admit.claims.sha256) == ("root", 1, SHA)
    assert admit.claims.expires_at == bench.wall + 24 * 3600
    message = admit.message(b"signed", None)
    assert (message.job_id, message.bundle.file_name, message.token) == (job_id, "nuclei.zip", b"signed")


def test_a_job_without_a_bundle_cannot_be_downloaded(bench: Bench) -> None:
    job_id = bench.running()
    assert only(bench.ask(OpenDownload(job_id=job_id)), Refused).code is Code.NOT_COMPLETED
    assert only(bench.ask(OpenDownload(job_id=job_id), BO), Refused).code is Code.NO_SUCH_JOB


def test_a_cut_download_goes_on_as_the_same_transfer_also_after_a_restart(bench: Bench) -> None:
    job_id = done(bench)
    transfer_id = opened(bench, job_id=job_id).transfer_id
    assert report(bench, transfer_id, 4, TransferState.FAILED) == [DownloadReported(transfer_id=transfer_id)]
    bench.restart()
    assert opened(bench, job_id=job_id, transfer_id=transfer_id).transfer_id == transfer_id
    report(bench, transfer_id, 10, TransferState.COMPLETED)
    (transfer,) = only(bench.ask(GetTransfers(job_id=job_id)), Transfers).transfers
    assert (transfer.user, transfer.received, transfer.size) == ("ada", 10, 10)
    assert transfer.state is TransferState.COMPLETED


def test_a_completed_download_that_is_opened_again_stays_completed_and_gets_a_token(bench: Bench) -> None:
    job_id = done(bench)
    transfer_id = opened(bench, job_id=job_id).transfer_id
    report(bench, transfer_id, 10, TransferState.COMPLETED)
    before = only(bench.ask(GetTransfers(job_id=job_id)), Transfers)
    bench.wait(1.0)
    admit = opened(bench, job_id=job_id, transfer_id=transfer_id)
    assert (admit.transfer_id, admit.claims.sha256) == (transfer_id, SHA)
    assert only(bench.ask(GetTransfers(job_id=job_id)), Transfers) == before
    assert history(bench).jobs[0].downloads == 1


def test_a_transfer_of_somebody_else_is_not_there(bench: Bench) -> None:
    job_id = done(bench)
    transfer_id = opened(bench, job_id=job_id).transfer_id
    assert only(bench.ask(OpenDownload(job_id=job_id, transfer_id=transfer_id), ROOT), Refused).code is Code.GONE
    assert only(report(bench, transfer_id, 1, TransferState.RUNNING, BO), Refused).code is Code.GONE


def test_a_report_never_takes_back_what_was_received(bench: Bench) -> None:
    job_id = done(bench)
    transfer_id = opened(bench, job_id=job_id).transfer_id
    report(bench, transfer_id, 99, TransferState.COMPLETED)
    report(bench, transfer_id, 3, TransferState.RUNNING)
    (transfer,) = only(bench.ask(GetTransfers(job_id=job_id)), Transfers).transfers
    assert (transfer.received, transfer.state) == (10, TransferState.COMPLETED)


def test_the_history_counts_complete_downloads(bench: Bench) -> None:
    job_id = done(bench)
    for state in (TransferState.COMPLETED, TransferState.COMPLETED, TransferState.CANCELLED):
        report(bench, opened(bench, job_id=job_id).transfer_id, 10, state)
    assert history(bench).jobs[0].downloads == 2


def test_the_history_tells_newest_first_in_pages(bench: Bench) -> None:
    jobs = [bench.submit(str(number)) for number in range(5)]
    bench.submit("x", BO)
    first = history(bench, limit=2)
    assert [line.job_id for line in first.jobs] == jobs[:2:-1]
    assert first.more
    rest = history(bench, limit=3, before=jobs[3])
    assert [line.job_id for line in rest.jobs] == jobs[2::-1]
    assert not rest.more


def test_only_an_admin_sees_everybodys_history(bench: Bench) -> None:
    bench.submit("1", ADA)
    bench.submit("2", BO)
    assert only(bench.ask(GetHistory(everybody=True)), Refused).code is Code.ACCESS
    assert [line.owner for line in history(bench, ROOT, everybody=True).jobs] == ["bo", "ada"]
    assert history(bench, ROOT).jobs == ()


def test_a_line_of_the_history_says_how_the_job_is(bench: Bench) -> None:
    completed = done(bench)
    running = bench.submit("2")
    bench.start(running)
    bench.progress(running, 30)
    gone = bench.submit("3")
    bench.ask(Cancel(job_id=gone, reason="not needed"))
    third, second, first = history(bench).jobs
    assert (third.state, third.message, third.available) == (State.CANCELLED, "not needed", False)
    assert (second.job_id, second.state, second.progress) == (running, State.RUNNING, 30)
    assert (first.job_id, first.progress, first.phase) == (completed, 100, Phase.DOWNLOADING)
    assert first.available
    assert first.bundle is not None


def test_a_page_of_very_long_lines_fits_into_a_message(bench: Bench) -> None:
    for number in range(60):
        bench.submit(str(number), name="µ" * 255)
    page = history(bench, limit=50)
    codec.pack(page)
    assert page.more


def test_the_overview_counts_own_jobs_and_an_admins_everybodys(bench: Bench) -> None:
    bench.running()
    bench.submit("2")
    bench.submit("3", BO)
    bench.do(bench.ledger.depot_said(DepotReady(endpoint="ipc://x"), bench.moment))
    bench.wait(2)
    mine = only(bench.ask(GetOverview()), Overview)
    assert (mine.jobs[State.RUNNING], mine.jobs[State.QUEUED]) == (1, 1)
    every = only(bench.ask(GetOverview(), ROOT), Overview)
    assert (every.jobs[State.QUEUED], every.uptime, every.depot_ready) == (2, 2.0, True)
    (worker,) = every.workers
    assert (worker.worker_id, worker.slots, worker.busy, worker.seen) == (W1, 1, 1, 2.0)
    bench.ledger.depot_lost()
    assert not only(bench.ask(GetOverview()), Overview).depot_ready


def test_counts_of_a_turn_that_is_not_durable_yet_are_right(bench: Bench) -> None:
    bench.submit("1")
    submit = requests.Submit(idempotency_key="2", source=Source(location="/x"))
    effects = bench.ledger.client_said(b"c", "1", ADA, submit, bench.moment)
    effects += bench.ledger.client_said(b"c", "2", ADA, GetOverview(), bench.moment)
    effects += bench.ledger.client_said(b"c", "3", ADA, GetHistory(), bench.moment)
    bench.do(effects)
    overview, page = (each.message for each in bench.said[-2:] if isinstance(each, Reply))
    assert isinstance(overview, Overview)
    assert overview.jobs[State.QUEUED] == 2
    assert isinstance(page, History)
    assert len(page.jobs) == 2


def test_templates_are_saved_listed_replaced_and_deleted(bench: Bench) -> None:
    small, large = ExportOptions(scale=0.5), ExportOptions(scale=2.0)
    bench.ask(requests.SaveTemplate(name="paper", options=small))
    bench.wait(1)
    saved = only(bench.ask(requests.SaveTemplate(name="paper", options=large)), requests.Template)
    bench.ask(requests.SaveTemplate(name="draft", options=small))
    assert bench.ask(requests.ListTemplates()) == [requests.Templates(names=("draft", "paper"))]
    bench.restart()
    assert bench.ask(requests.GetTemplate(name="paper")) == [saved]
    assert saved.options == large
    bench.ask(requests.DeleteTemplate(name="paper"))
    assert bench.ask(requests.DeleteTemplate(name="paper")) == [requests.TemplateDeleted(name="paper")]
    assert only(bench.ask(requests.GetTemplate(name="paper")), Refused).code is Code.NO_SUCH_TEMPLATE


def test_templates_of_others_are_not_seen(bench: Bench) -> None:
    bench.ask(requests.SaveTemplate(name="paper", options=ExportOptions()))
    assert bench.ask(requests.ListTemplates(), BO) == [requests.Templates(names=())]
    assert only(bench.ask(requests.GetTemplate(name="paper"), BO), Refused).code is Code.NO_SUCH_TEMPLATE


def test_there_is_an_end_to_templates() -> None:
    bench = Bench(LedgerSettings(templates_per_user=1))
    save = requests.SaveTemplate(name="1", options=ExportOptions())
    bench.ask(save)
    assert only(bench.ask(save), requests.Template).name == "1"
    other = requests.SaveTemplate(name="2", options=ExportOptions())
    assert only(bench.ask(other), Refused).code is Code.QUOTA


@pytest.mark.parametrize("state", [TransferState.CANCELLED, TransferState.FAILED, TransferState.RUNNING])
def test_a_transfer_shows_how_it_stands(bench: Bench, state: TransferState) -> None:
    job_id = done(bench)
    report(bench, opened(bench, job_id=job_id).transfer_id, 7, state)
    (transfer,) = only(bench.ask(GetTransfers(job_id=job_id)), Transfers).transfers
    assert (transfer.received, transfer.state) == (7, state)
