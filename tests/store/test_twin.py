"""The store and its twin in memory, told the same, answer the same: whole histories of a ledger are applied to both."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.ledger.bench import ADA, BO, W1, Bench, holding, receipt

from labelferry_broker.ledger.effects import Save, SaveTransfer
from labelferry_broker.ledger.settings import Asker
from labelferry_broker.store.memory import MemoryStore
from labelferry_broker.store.store import Store
from labelferry_protocol import requests
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.requests import Cancel
from labelferry_protocol.words import TransferState
from labelferry_protocol.work import AttemptCancelled, AttemptFailed


class Recorder(MemoryStore):
    """The twin, remembering what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[Sequence[Save]] = []

    def apply(self, saves: Sequence[Save]) -> None:
        super().apply(saves)
        self.turns.append(saves)


def live(bench: Bench, rng: Random) -> list[str]:
    """Let a little of everything happen; return the jobs."""
    jobs = []
    for number in range(12):
        bench.register(W1)
        asker = rng.choice((ADA, BO))
        job_id = bench.submit(str(number), asker, keep_partial=rng.random() < 0.5, scale=rng.random() + 0.1)
        jobs.append(job_id)
        bench.start(job_id)
        bench.progress(job_id, rng.uniform(0, 99))
        bench.wait(1.5)
        end(bench, job_id, rng.randrange(6))
        if rng.random() < 0.5:
            bench.ask(requests.OpenDownload(job_id=job_id), asker)
            for transfer in bench.store.transfers(job_id, 1):
                report = requests.ReportDownload(
                    transfer_id=transfer.transfer_id, received=5, state=TransferState.COMPLETED
                )
                bench.ask(report, asker)
        bench.ask(requests.SaveTemplate(name=str(number % 4), options=ExportOptions(scale=1.0 + number)), asker)
        bench.ask(requests.DeleteTemplate(name=str(rng.randrange(8))), asker)
    return jobs


def end(bench: Bench, job_id: str, how: int) -> None:
    """End an attempt in one of several ways, or leave it."""
    ident: Any = {"worker_id": W1, "job_id": job_id, "attempt": 1}
    match how:
        case 0:
            bench.finish(job_id)
        case 1:
            bench.tell(AttemptFailed(**ident, code=Code.ITEM, message="bad image", item="a.png"))
        case 2:
            bench.tell(AttemptFailed(**ident, code=Code.INTERNAL, message="broke", retryable=True))
        case 3:
            bench.ask(Cancel(job_id=job_id, reason="no"), owner_of(bench, job_id))
            bench.tell(AttemptCancelled(**ident, cleanup_completed=True, receipt=b"t"), receipt=receipt(job_id))
        case 4:
            bench.wait(20)
        case _:
            bench.renew(W1, holding(job_id))


def owner_of(bench: Bench, job_id: str) -> Asker:
    row = bench.store.job(job_id)
    assert row is not None
    return ADA if row.owner == "ada" else BO


@pytest.mark.parametrize("seed", range(5))
def test_the_store_answers_as_its_twin_does(seed: int, tmp_path: Path) -> None:
    bench = Bench()
    twin = bench.store = Recorder()
    bench.restart()
    jobs = live(bench, Random(seed))
    store = Store.open(tmp_path)
    for turn in twin.turns:
        store.apply(turn)
    assert store.load() == twin.load()
    for owner in ("ada", "bo", "nobody", None):
        assert store.count_by_state(owner) == twin.count_by_state(owner)
        for before in (None, 1, 5, 99):
            assert store.history(owner, before, 4) == twin.history(owner, before, 4)
    assert store.count_downloads(jobs) == twin.count_downloads(jobs)
    transfers = {save.row.transfer_id for turn in twin.turns for save in turn if isinstance(save, SaveTransfer)}
    for transfer_id in [*transfers, "none"]:
        assert store.transfer(transfer_id) == twin.transfer(transfer_id)
    for job_id in [*jobs, "none"]:
        assert store.job(job_id) == twin.job(job_id)
        assert store.transfers(job_id, 9) == twin.transfers(job_id, 9)
        for attempt in (1, 2, 3):
            assert store.attempt(job_id, attempt) == twin.attempt(job_id, attempt)
    for owner in ("ada", "bo"):
        for key in [str(number) for number in range(13)]:
            assert store.job_of_key(owner, key) == twin.job_of_key(owner, key)
            assert store.template(owner, key) == twin.template(owner, key)
        assert store.template_names(owner) == twin.template_names(owner)
    store.close()


def test_a_ledger_over_the_store_decides_as_over_the_twin(tmp_path: Path) -> None:
    said = []
    for store in (MemoryStore(), Store.open(tmp_path)):
        bench = Bench()
        bench.store = store  # type: ignore[assignment] # the same calls
        bench.restart()
        live(bench, Random(3))
        bench.restart()
        bench.wait(30)
        said.append(bench.said)
        store.close()
    assert said[0] == said[1]
