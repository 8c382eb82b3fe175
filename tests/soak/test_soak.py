"""The short form of the soak: everything of the long one for less than a minute. `make soak MINUTES=30` is the long one."""

import asyncio
from pathlib import Path

import pytest
from tests.soak.audit import judge, judge_end, marked
from tests.soak.kinds import make_kinds
from tests.soak.storm import Storm, Weather
from tests.support.processes import running_service, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
MARK = "LABELFERRY_SOAK"


def test_a_service_whose_processes_are_killed_all_the_time_keeps_every_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MARK, str(tmp_path))
    kinds = make_kinds(tmp_path / "kinds")
    weather = Weather(seconds=25.0, seed=1, between_kills=(1.0, 4.0))
    (tmp_path / "service").mkdir()
    with running_service(tmp_path / "service", "worker-a", "worker-b") as service:
        record = asyncio.run(Storm(service, kinds, tmp_path, weather).blow())
        wait_until(lambda: judge(service, record) == [], f"every promise: {judge(service, record)}", seconds=10)
        assert judge_end(service, lambda: marked(MARK, str(tmp_path))) == []
    assert record.trouble is not None
    assert len(record.trouble.kills) >= 5
    assert len(record.stories) >= 10
