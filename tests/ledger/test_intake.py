"""Submits: one job a key, and what is refused before it becomes a job."""

from typing import Any

import pytest
from tests.ledger.bench import ADA, BO, Bench, only

from labelferry_broker.ledger.effects import AddJob
from labelferry_broker.ledger.jobs import bundle_name
from labelferry_broker.ledger.settings import LedgerSettings
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.requests import Cancel, GetSnapshot, Hello, Refused, Submit, Submitted
from labelferry_protocol.words import State


def submit(key: str, location: str = "/data/nuclei", **options: Any) -> Submit:
    return Submit(idempotency_key=key, source=Source(location=location), options=ExportOptions(**options))


def test_a_submit_sent_twice_is_one_job(bench: Bench) -> None:
    first = only(bench.ask(submit("k")), Submitted)
    second = only(bench.ask(submit("k")), Submitted)
    assert (first.job_id, first.created) == (second.job_id, True)
    assert not second.created


def test_a_submit_sent_twice_in_one_turn_is_one_job(bench: Bench) -> None:
    effects = [effect for ref in "12" for effect in bench.ledger.client_said(b"c", ref, ADA, submit("k"), bench.moment)]
    bench.do(effects)
    assert sum(isinstance(effect, AddJob) for effect in effects) == 1


def test_a_key_is_one_job_for_ever_also_after_its_end_and_a_restart(bench: Bench) -> None:
    job_id = bench.running(key="k")
    bench.finish(job_id)
    bench.restart()
    again = only(bench.ask(submit("k")), Submitted)
    assert (again.job_id, again.state, again.created) == (job_id, State.COMPLETED, False)


def test_the_same_key_of_another_user_is_another_job(bench: Bench) -> None:
    assert bench.submit("k", ADA) != bench.submit("k", BO)


def test_a_project_is_called_by_its_option_or_its_place(bench: Bench) -> None:
    named = only(bench.ask(submit("1", name="Kidney 7")), Submitted)
    placed = only(bench.ask(submit("2", "/data/nuclei/")), Submitted)
    remote = only(bench.ask(submit("3", "https://host/sets/cells?token=1")), Submitted)
    assert [named.project, placed.project, remote.project] == ["Kidney 7", "nuclei", "cells"]


@pytest.mark.parametrize("location", ["cells", "./cells", "", "~/cells"])
def test_a_place_that_is_not_absolute_is_refused(bench: Bench, location: str) -> None:
    refused = only(bench.ask(submit("1", location)), Refused)
    assert refused.code is Code.USAGE
    assert "absolute path" in refused.message


@pytest.mark.parametrize(
    ("project", "name"),
    [("nuclei", "nuclei.zip"), ("a/b\\c:d", "a_b_c_d.zip"), ("..", "export.zip"), ("Zellen 7 µm", "Zellen 7 µm.zip")],
)
def test_a_bundle_has_a_file_name_that_is_safe_anywhere(project: str, name: str) -> None:
    assert bundle_name(project) == name


def test_too_many_waiting_jobs_of_one_user_are_refused_with_when_to_come_back() -> None:
    bench = Bench(LedgerSettings(queued_per_user=2))
    bench.submit("1")
    bench.submit("2")
    refused = only(bench.ask(submit("3")), Refused)
    assert refused.code is Code.QUOTA
    assert refused.retry_after == 5.0
    assert isinstance(only(bench.ask(submit("3"), BO), Submitted), Submitted)


def test_a_running_job_does_not_count_as_waiting() -> None:
    bench = Bench(LedgerSettings(queued_per_user=1))
    bench.register()
    bench.submit("1")
    bench.submit("2")
    assert only(bench.ask(submit("3")), Refused).code is Code.QUOTA


def test_a_key_that_made_a_job_is_answered_over_the_quota_too() -> None:
    bench = Bench(LedgerSettings(queued_per_user=1))
    job_id = bench.submit("1")
    assert only(bench.ask(submit("1")), Submitted).job_id == job_id


def test_options_too_large_for_a_lease_are_refused(bench: Bench) -> None:
    classes = tuple(f"{number:0200}" for number in range(300))
    assert only(bench.ask(submit("k", classes=classes)), Refused).code is Code.USAGE


def test_an_option_that_is_no_number_is_refused(bench: Bench) -> None:
    assert only(bench.ask(submit("k", format_options={"yolo": {"eps": float("nan")}})), Refused).code is Code.USAGE


def test_a_job_of_somebody_else_is_answered_as_one_that_is_not_there(bench: Bench) -> None:
    job_id = bench.submit("k", ADA)
    theirs = only(bench.ask(GetSnapshot(job_id=job_id), BO), Refused)
    missing = only(bench.ask(GetSnapshot(job_id="f" * 32), BO), Refused)
    assert theirs.message.replace(job_id, "") == missing.message.replace("f" * 32, "")
    assert theirs.code is missing.code is Code.NO_SUCH_JOB
    assert bench.ledger.subscribed(BO, job_id, bench.moment) is None
    assert bench.ledger.subscribed(ADA, job_id, bench.moment) is not None


def test_a_hello_is_not_the_ledgers(bench: Bench) -> None:
    refused = only(bench.ask(Hello(minimum_version=1, maximum_version=1)), Refused)
    assert refused.code is Code.UNKNOWN_VERB


def test_a_broker_takes_no_more_jobs_of_everybody_than_it_can() -> None:
    bench = Bench(LedgerSettings(queued_in_all=2))
    first = bench.submit("1")
    bench.submit("2", BO)
    refused = only(bench.ask(submit("3")), Refused)
    assert (refused.code, refused.retry_after) == (Code.BUSY, 5.0)
    bench.ask(Cancel(job_id=first))
    bench.submit("3")
    bench.restart()
    assert only(bench.ask(submit("4")), Refused).code is Code.BUSY
