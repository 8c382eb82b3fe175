"""What people and programs see of events."""

import io
import json
from typing import Any

import click
import msgspec
import pytest
from rich.console import Console

from labelferry.cli.export import is_made
from labelferry.cli.show import show_for
from labelferry.cli.show.bar import Bar
from labelferry.cli.show.json_lines import JsonLines
from labelferry.cli.show.plain import Plain
from labelferry.cli.show.tables import history_lines
from labelferry.cli.show.words import ending_in_words, size_in_words, time_in_words
from labelferry.cli.stopper import looking_on
from labelferry_protocol.errors import Code
from labelferry_protocol.events import (
    BundleFacts,
    Cancelled,
    Completed,
    ExportCounts,
    Failed,
    JobEvent,
    PhaseChanged,
    Progress,
    StageProgress,
    Started,
    WarningSummary,
)
from labelferry_protocol.requests import History, JobSummary
from labelferry_protocol.words import CancelledBy, Phase, Stage, State

BASE: dict[str, Any] = {"job_id": "a" * 32, "epoch": 1, "attempt": 1, "seq": 1, "timestamp": 1_790_000_000.0}
STARTED = Started(**BASE, project="cells", worker="host", total_items=10)
COMPLETED = Completed(
    **BASE,
    project="cells",
    bundle=BundleFacts(size=18_400_000, sha256="b" * 64),
    counts=ExportCounts(images=120, objects=5569, classes=1, files=371),
    warnings=(WarningSummary(code="object-repaired", count=12, example="object 7 of a.png crossed itself"),),
    duration=5.25,
    path="out.zip",
)
CANCELLED = Cancelled(
    **BASE,
    project="cells",
    cancelled_by=CancelledBy.USER,
    who="alice",
    progress=43.2,
    phase=Phase.PROCESSING,
    cleanup_completed=True,
)


def progress(percent: float, stage: Stage | None = Stage.IMAGES, phase: Phase = Phase.PROCESSING) -> Progress:
    return Progress(
        **BASE,
        progress=percent,
        phase=phase,
        stage=stage,
        message=f"Copying images ({percent:.0f}/100): [red]evil[/red].png",
        stage_progress=StageProgress(current=int(percent), total=100, current_item="x.png"),
        estimated_time_remaining=61.0,
    )


def test_json_is_one_line_an_event_with_its_kind_first(capsys: pytest.CaptureFixture[str]) -> None:
    show = JsonLines()
    events: list[JobEvent] = [STARTED, progress(5), COMPLETED]
    for event in events:
        show.event(event)
    show.say("Cancelling...")
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["kind"] for line in lines] == ["started", "progress", "completed"]
    assert all(next(iter(line)) == "kind" for line in lines)
    assert lines[2]["path"] == "out.zip"
    assert captured.err == "Cancelling...\n"


def test_plain_lines_come_each_ten_points_and_at_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    show = Plain()
    for percent in range(100):
        show.event(progress(percent))
    show.event(progress(99.5, Stage.COMPRESSION))
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 11
    assert "[red]evil[/red]" in err


def test_plain_lines_say_when_nothing_moves_and_that_it_moves_again(capsys: pytest.CaptureFixture[str]) -> None:
    show = Plain()
    for seconds, event in ((0, progress(12)), (120, progress(12)), (240, progress(12)), (0, progress(13))):
        if seconds:
            event = msgspec.structs.replace(event, stalled=True, message=f"No progress for {seconds} s: Copying")
        show.event(event)
    show.event(progress(14))
    lines = capsys.readouterr().err.splitlines()
    assert ["No progress for 120 s" in lines[1], "No progress for 240 s" in lines[2], len(lines)] == [True, True, 4]


def test_the_bar_shows_both_phases_the_stage_the_rate_and_the_time_left() -> None:
    now = [0.0]
    console = Console(file=io.StringIO(), force_terminal=True, width=110, color_system=None)
    bar = Bar(console, clock=lambda: now[0])
    bar.event(STARTED)
    for percent in (10, 20, 30):
        now[0] += 0.5
        bar.event(progress(percent))
    with console.capture() as capture:
        console.print(bar._draw())
    bar.close()
    drawn = capture.get()
    for piece in (
        "Exporting cells",
        "Processing",
        "Downloading",
        "30 %",
        "images 30/100",
        "20/s",
        "1:01 left",
        "[red]evil[/red].png",
    ):
        assert piece in drawn


def test_a_running_job_that_nothing_is_heard_of_is_said_to_be_quiet() -> None:
    now = [0.0]
    console = Console(file=io.StringIO(), force_terminal=True, width=110, color_system=None)
    bar = Bar(console, clock=lambda: now[0])
    told = []
    for event in (None, STARTED, progress(10)):
        if event is not None:
            bar.event(event)
        for passed in (9.0, 66.0):
            now[0] += passed
            with console.capture() as capture:
                console.print(bar._draw())
            told.append("Nothing new for 1:15" in capture.get())
    bar.close()
    assert told == [False, False, False, True, False, True]


@pytest.mark.parametrize("width", [24, 40, 60])
def test_a_narrow_terminal_shows_how_far_both_phases_are_before_anything_else(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    bar = Bar(console)
    bar.event(progress(30))
    with console.capture() as capture:
        console.print(bar._draw())
    bar.close()
    lines = capture.get().splitlines()
    assert lines[1].startswith("Processing   30 %  ima")
    assert lines[2].startswith("Downloading   0 %")
    assert all(len(line) <= width for line in lines)


def test_a_terminal_that_cannot_redraw_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(show_for(as_json=False), Plain)


def test_the_bar_gives_way_to_the_summary() -> None:
    file = io.StringIO()
    bar = Bar(Console(file=file, force_terminal=False, width=110))
    for event in (
        STARTED,
        progress(50),
        PhaseChanged(**BASE, previous=Phase.PROCESSING, phase=Phase.DOWNLOADING),
        COMPLETED,
    ):
        bar.event(event)
    bar.close()
    text = file.getvalue()
    assert "out.zip" in text
    assert "18.4 MB, 120 images, 5,569 objects, 1 class, 371 files" in text
    assert "object-repaired x 12" in text


def test_a_cancel_is_told_with_who_when_how_far_and_the_clean_up() -> None:
    (line,) = ending_in_words(CANCELLED)
    for piece in ("by alice", "43 %", "processing", "everything is cleaned up", "20"):
        assert piece in line


def test_what_a_partial_bundle_holds_is_told_or_left_out_when_it_is_not_known() -> None:
    partial = msgspec.structs.replace(
        COMPLETED, bundle=BundleFacts(size=3_930_000, sha256="b" * 64, partial=True), warnings=()
    )
    one = ExportCounts(images=1, objects=1, classes=1, files=3)
    assert ending_in_words(msgspec.structs.replace(partial, counts=one)) == [
        "out.zip",
        "  3.93 MB, 1 image, 1 object, 1 class, 3 files, the finished part of a cancelled export",
    ]
    assert ending_in_words(msgspec.structs.replace(partial, counts=ExportCounts()))[1] == (
        "  3.93 MB, the finished part of a cancelled export"
    )


def test_what_a_cancel_keeps_is_told_and_whether_it_is_a_part() -> None:
    part = BundleFacts(size=3_930_000, sha256="b" * 64, partial=True)
    _, line = ending_in_words(msgspec.structs.replace(CANCELLED, bundle=part, partial=True))
    assert line == f"The finished part is kept: labelferry download {CANCELLED.job_id}"
    whole = msgspec.structs.replace(part, partial=False)
    _, line = ending_in_words(msgspec.structs.replace(CANCELLED, bundle=whole))
    assert line == f"All of it was made, and is kept: labelferry download {CANCELLED.job_id}"
    fetched = msgspec.structs.replace(COMPLETED, bundle=whole, counts=ExportCounts(), warnings=(), duration=0.0)
    assert ending_in_words(fetched) == ["out.zip", "  3.93 MB"]


def test_ctrl_c_in_a_command_that_looks_on_says_that_the_job_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.exceptions.Exit) as left, looking_on("The job goes on."):
        raise KeyboardInterrupt
    assert left.value.exit_code == 130
    assert capsys.readouterr().err == "The job goes on.\n"


def test_an_export_that_fails_while_downloading_has_made_its_bundle() -> None:
    changed = PhaseChanged(**BASE, previous=Phase.PROCESSING, phase=Phase.DOWNLOADING)
    assert is_made(changed)
    assert is_made(progress(3, None, Phase.DOWNLOADING))
    assert not any(is_made(event) for event in (None, STARTED, progress(99), CANCELLED))


def test_everybodys_history_says_whose_each_job_is() -> None:
    row = JobSummary(
        job_id="a" * 32, project="cells", owner="alice", state=State.RUNNING, source="/data/cells", created_at=0.0
    )
    assert "alice" in list(history_lines(History(jobs=(row,)), owners=True))[1]
    assert "alice" not in list(history_lines(History(jobs=(row,))))[1]


def test_a_failure_is_told_in_its_own_sentence() -> None:
    failed = Failed(
        **BASE,
        project="p",
        code=Code.ITEM,
        message="b.png is broken: take it out or use --on-error skip",
        stage=Stage.IMAGES,
    )
    assert ending_in_words(failed) == ["Error: b.png is broken: take it out or use --on-error skip (while at images)"]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (18_400_000, "18.4 MB"),
        (123_456_789, "123 MB"),
        (5 * 10**12, "5 TB"),
    ],
)
def test_sizes_are_said_as_people_say_them(size: int, words: str) -> None:
    assert size_in_words(size) == words


@pytest.mark.parametrize(("seconds", "words"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (61, "1:01"), (3661, "1:01:01")])
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert time_in_words(seconds) == words


def test_a_bundle_that_nobody_has_fetched_is_not_said_to_be_there_still() -> None:
    made = msgspec.structs.replace(COMPLETED, path=None)
    assert ending_in_words(made)[0] == "cells: the bundle can be downloaded as long as it is kept"
