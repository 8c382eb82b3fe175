"""docs/protocol.md names everything the code speaks."""

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from labelferry_protocol import depot, events, limits, requests, work
from labelferry_protocol.endpoints import Lane
from labelferry_protocol.errors import Code
from labelferry_protocol.life import LIFE
from labelferry_protocol.message import Message
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.version import FEATURES

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")

LANES = {
    "requests": (requests.ClientSays, requests.BrokerAnswers),
    "events": (events.EventsLane,),
    "work": (work.WorkerSays, work.BrokerTellsWorker, work.ControlLane, work.ProgressLane),
    "depot": (depot.PeerSaysToDepot, depot.DepotSays, depot.DepotToBroker, depot.BrokerToDepot),
}
CLASSES = sorted(
    {each for unions in LANES.values() for union in unions for each in (get_args(union) or (union,))},
    key=lambda each: each.__name__,
)


@pytest.mark.parametrize("message", CLASSES, ids=lambda each: each.__name__)
def test_the_page_names_every_message_and_every_field_of_it(message: type[msgspec.Struct]) -> None:
    kind = message.__struct_config__.tag
    lines = [line for line in PAGE.splitlines() if f"`{kind}`" in line or f"`{kind} {{" in line]
    assert lines, f"{kind} is not on the page"
    for field in message.__struct_fields__:
        assert field in PAGE, f"{kind}.{field} is not on the page"


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ("`bundle`", events.BundleFacts),
        ("`counts`", events.ExportCounts),
        ("`stage_progress`", events.StageProgress),
        ("one of `warnings`", events.WarningSummary),
        ("one of `jobs` (history)", requests.JobSummary),
        ("one of `transfers`", requests.TransferSummary),
        ("one of `workers` (overview)", requests.WorkerSummary),
    ],
)
def test_the_page_names_every_field_of_a_part(row: str, part: type[msgspec.Struct]) -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {row} |"))
    for field in part.__struct_fields__:
        assert f"`{field}`" in line


@pytest.mark.parametrize("feature", sorted(FEATURES))
def test_the_page_names_every_feature(feature: str) -> None:
    assert f"`{feature}`" in PAGE


@pytest.mark.parametrize("code", list(Code))
def test_the_page_names_every_code(code: Code) -> None:
    assert f"`{code}`" in PAGE


@pytest.mark.parametrize(("row", "target"), LIFE.items(), ids=str)
def test_the_page_has_every_row_of_the_life_table(row: tuple[str, str], target: str) -> None:
    state, move = row
    assert f"| {state} | {move} | {target} |" in PAGE


def test_the_page_has_no_row_that_the_life_table_lacks() -> None:
    section = PAGE.split("## 5.")[1].split("## 6.")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and "move" not in line]
    assert len(rows) == len(LIFE)


@pytest.mark.parametrize("lane", list(Lane))
def test_the_page_names_every_lane(lane: Lane) -> None:
    assert f"| {lane} |" in PAGE


@pytest.mark.parametrize("option", ExportOptions.__struct_fields__)
def test_the_page_names_every_export_option(option: str) -> None:
    assert option in PAGE.split("## 11.")[1]


def test_the_page_gives_the_limits_as_the_code_has_them() -> None:
    for number in (limits.MAX_BODY_BYTES, limits.MAX_CHUNK_BYTES, limits.MAX_LIST):
        assert f"{number:,}" in PAGE
    assert f"at most {limits.MAX_DEPTH} maps and lists" in PAGE


def test_every_class_that_is_a_message_is_in_a_lane() -> None:
    inner = {events.Event}
    defined = {
        each
        for module in (requests, events, work, depot)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Message) and each is not Message and each not in inner
    }
    assert defined == set(CLASSES)
