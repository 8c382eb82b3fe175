"""Bundles go by age and by size; their jobs stay in the history."""

from tests.ledger.bench import ADA, Bench, holding, only

from labelferry_broker.ledger.effects import AdmitDownload, TellDepot
from labelferry_broker.ledger.settings import LedgerSettings
from labelferry_protocol.depot import AskKeep, Discard, Keep
from labelferry_protocol.errors import Code
from labelferry_protocol.requests import GetHistory, History, OpenDownload, Refused, ReportDownload
from labelferry_protocol.words import State, TransferState

DAY = 86400.0
HOUR = 3600.0


def done(bench: Bench, key: str = "k") -> str:
    """Return a job whose bundle, of 10 bytes, is kept."""
    bench.register()
    job_id = bench.submit(key)
    bench.start(job_id)
    bench.finish(job_id)
    return job_id


def gone(bench: Bench) -> list[str]:
    return [each.message.job_id for each in bench.sent(Discard) if isinstance(each, TellDepot)]  # type: ignore[union-attr] # discards


def available(bench: Bench) -> dict[str, bool]:
    return {line.job_id: line.available for line in only(bench.ask(GetHistory()), History).jobs}


def download(bench: Bench, job_id: str) -> str:
    bench.ask(OpenDownload(job_id=job_id))
    admit = bench.said[-1]
    assert isinstance(admit, AdmitDownload), admit
    return admit.transfer_id


def go_on_downloading(bench: Bench, transfer_id: str, seconds: float) -> None:
    """Report the download every half minute for so long."""
    until = bench.now + seconds
    while bench.now < until:
        bench.wait(30)
        bench.ask(ReportDownload(transfer_id=transfer_id, received=1, state=TransferState.RUNNING))


def test_a_bundle_goes_at_its_age_and_its_job_stays_in_the_history(bench: Bench) -> None:
    job_id = done(bench)
    bench.wait(30 * DAY - HOUR)
    assert available(bench) == {job_id: True}
    bench.wait(2 * HOUR)
    assert available(bench) == {job_id: False}
    assert gone(bench) == [job_id]
    (line,) = only(bench.ask(GetHistory()), History).jobs
    assert (line.state, line.bundle is not None) == (State.COMPLETED, True)


def test_a_bundle_that_has_gone_is_refused_as_gone_and_not_kept(bench: Bench) -> None:
    job_id = done(bench)
    bench.wait(31 * DAY)
    refused = only(bench.ask(OpenDownload(job_id=job_id)), Refused)
    assert refused.code is Code.GONE
    assert "export it again" in refused.message
    asked = bench.ledger.depot_said(AskKeep(holding=(holding(job_id),)), bench.moment)
    assert asked == [TellDepot(Keep(holding=()))]


def test_the_oldest_go_when_all_together_are_too_large() -> None:
    bench = Bench(LedgerSettings(keep_bytes=25))
    jobs = []
    for key in "abc":
        jobs.append(done(bench, key))
        bench.wait(600)
    assert gone(bench) == []
    bench.wait(HOUR)
    assert gone(bench) == jobs[:1]
    assert list(available(bench).values()) == [True, True, False]


def test_a_bundle_younger_than_an_hour_never_goes() -> None:
    bench = Bench(LedgerSettings(keep_bytes=0, keep_seconds=0.0))
    job_id = done(bench)
    bench.wait(HOUR - 61)
    assert gone(bench) == []
    bench.wait(122)
    assert gone(bench) == [job_id]


def test_an_age_outlives_the_broker(bench: Bench) -> None:
    job_id = done(bench)
    bench.wait(20 * DAY)
    bench.restart()
    bench.wait(9 * DAY)
    assert gone(bench) == []
    bench.wait(2 * DAY)
    assert gone(bench) == [job_id]
    bench.restart()
    assert available(bench) == {job_id: False}
    bench.wait(60 * DAY)
    assert gone(bench) == [job_id]


def test_a_clock_that_jumps_ahead_evicts_nothing(bench: Bench) -> None:
    done(bench)
    bench.wall += 365 * DAY
    bench.wait(DAY)
    assert gone(bench) == []


def test_a_bundle_that_is_downloaded_now_waits_for_its_download() -> None:
    bench = Bench(LedgerSettings(keep_seconds=2 * HOUR))
    job_id = done(bench)
    bench.wait(2 * HOUR - 60)
    go_on_downloading(bench, download(bench, job_id), 600)
    assert gone(bench) == []
    bench.wait(200)
    assert gone(bench) == [job_id]


def test_a_download_without_end_does_not_keep_a_bundle_for_ever() -> None:
    bench = Bench(LedgerSettings(keep_seconds=2 * HOUR, download_grace_seconds=HOUR))
    job_id = done(bench)
    go_on_downloading(bench, download(bench, job_id), 3 * HOUR + 120)
    assert gone(bench) == [job_id]


def test_what_is_downloaded_now_goes_last_when_there_is_too_much() -> None:
    bench = Bench(LedgerSettings(keep_bytes=15))
    first, second = done(bench, "a"), done(bench, "b")
    bench.wait(HOUR - 30)
    go_on_downloading(bench, download(bench, first), 120)
    assert gone(bench) == [second]


def test_a_large_sweep_is_made_in_turns() -> None:
    bench = Bench(LedgerSettings(keep_seconds=HOUR))
    jobs = [done(bench, str(number)) for number in range(150)]
    bench.wait(HOUR)
    sizes = []
    for _ in range(4):
        deadline = bench.ledger.next_deadline
        assert deadline is not None
        before = len(gone(bench))
        bench.wait(deadline - bench.now + 0.01)
        sizes.append(len(gone(bench)) - before)
    assert max(sizes) <= 64
    bench.wait(120)
    assert gone(bench) == jobs


def test_ada_may_export_again_what_has_gone(bench: Bench) -> None:
    first = done(bench)
    bench.wait(31 * DAY)
    again = done(bench, "again")
    assert available(bench) == {again: True, first: False}
    assert bench.store.count_by_state(ADA.user)[State.COMPLETED] == 2
