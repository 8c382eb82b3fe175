"""docs/operations.md gives the metrics and the numbers as the code has them; the units start what there is."""

import re
import shlex
from pathlib import Path

import pytest

from labelferry.cli import services
from labelferry_broker.exposition import TURN_BOUNDS, Readings, page_of
from labelferry_broker.ledger.figures import Figures, Histogram
from labelferry_broker.ledger.settings import LedgerSettings
from labelferry_workers.settings import CrewSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
NOTHING = Histogram(()).read()
FIGURES = Figures({}, 0.0, 0.0, 0, 0, 0, 0, NOTHING, 0, 0, True)


def test_the_page_names_every_metric_and_no_other() -> None:
    text = page_of(Readings(FIGURES, 0, 0, Histogram(TURN_BOUNDS).read(), 1, 0.0))
    served = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert set(re.findall(r"`(labelferry_[a-z_]+)", PAGE)) == served


def test_the_page_gives_the_limits_as_the_code_has_them() -> None:
    ledger, crew = LedgerSettings(), CrewSettings()
    assert f"| {ledger.queued_per_user:,} |" in PAGE
    assert f"| {ledger.queued_in_all:,} |" in PAGE
    assert f"older than `--keep-days` ({ledger.keep_seconds / 86400:.0f})" in PAGE
    assert f"After {crew.stall_seconds:.0f} s without progress" in PAGE


@pytest.mark.parametrize(("unit", "command"), [("broker", services.broker), ("worker", services.worker)])
def test_a_unit_starts_its_service_with_options_that_there_are(unit: str, command: object) -> None:
    text = (ROOT / "deploy" / f"labelferry-{unit}.service").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=(.*)", text, re.MULTILINE)
    words = shlex.split(line)
    assert words[:3] == ["/usr/bin/env", "labelferry", unit]
    known = {option for parameter in command.params for option in parameter.opts}  # type: ignore[attr-defined] # click's
    assert {word for word in words if word.startswith("--")} <= known
    assert "Type=notify" in text
