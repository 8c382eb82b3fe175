"""Lanes: other processes, the same bytes; ended with their export, however that ends; a lane that dies ends the job with a sentence."""

import errno
import io
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import UnidentifiedImageError

from labelferry_export import beginning, formats
from labelferry_export.errors import ExportError, ProcessLost
from labelferry_export.exporter import Exporter
from labelferry_export.formats.coco import CocoRows
from labelferry_export.lanes import Lanes
from labelferry_export.lanes import lanes as bounds
from labelferry_export.lanes.lane import _crashed
from labelferry_export.lanes.lanes import _error_of
from labelferry_export.snapshot import Snapshot
from labelferry_protocol.errors import Code

MakeProject = Callable[..., Path]
MakeExporter = Callable[..., Exporter]


@pytest.fixture(autouse=True)
def every_job_is_worth_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginning, "LANES_WORTH", 0.0)


def children() -> set[int]:
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for each in tasks for pid in each.read_text().split()}


def exported(exporter: Exporter) -> bytes:
    for _ in exporter.run():
        pass
    return exporter.result.path.read_bytes()


def test_the_bytes_do_not_depend_on_the_number_of_lanes(make_project: MakeProject, make_exporter: MakeExporter) -> None:
    project, everything = make_project(7), tuple(formats.known())
    alone, two, three = (exported(make_exporter(project, lanes=count, formats=everything)) for count in (1, 2, 3))
    assert alone == two == three


def test_tables_of_many_blocks_are_the_same_with_lanes(
    make_project: MakeProject, make_exporter: MakeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(7)
    whole = exported(make_exporter(project, lanes=1))
    monkeypatch.setattr("labelferry_export.tables.rowfile.BLOCK_ROWS", 2)
    alone, two = (exported(make_exporter(project, lanes=count)) for count in (1, 2))
    assert alone == two
    tables = [_tables_in(data) for data in (whole, alone)]
    assert tables[0] == tables[1]
    assert len(tables[0]) == 4


def _tables_in(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist() if name.endswith(".csv")}


def test_findings_and_left_out_images_are_the_same_with_lanes(
    make_project: MakeProject, make_exporter: MakeExporter
) -> None:
    project = make_project(4)
    path = project / "images" / "image_002.png"
    path.write_bytes(path.read_bytes()[:-600])
    alone, two = (exported(make_exporter(project, lanes=count, on_error="skip")) for count in (1, 2))
    assert alone == two
    with pytest.raises(ExportError, match=r"image_002\.png"):
        exported(make_exporter(project, lanes=2))


def test_a_stopped_export_leaves_no_process(make_project: MakeProject, make_exporter: MakeExporter) -> None:
    before = children()
    running = make_exporter(make_project(4), lanes=2).run()
    for update in running:
        if update.message.startswith("Drawing overlays (2/4)"):
            break
    assert len(children() - before) == 2
    running.close()
    assert children() == before


def test_a_lane_that_dies_ends_the_export_with_a_sentence(
    make_project: MakeProject, make_exporter: MakeExporter
) -> None:
    before = children()
    running = make_exporter(make_project(40), lanes=2).run()
    next(update for update in running if update.message.startswith("Drawing overlays (1/40)"))
    for pid in children() - before:
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(ProcessLost, match="ended by signal 9") as caught:
        list(running)
    assert caught.value.code is Code.INTERNAL
    assert children() == before


def test_a_lane_outlives_a_signal_to_the_whole_group(make_project: MakeProject, make_exporter: MakeExporter) -> None:
    before = children()
    exporter = make_exporter(make_project(10), lanes=2)
    for update in exporter.run():
        if update.message.startswith("Drawing overlays (1/10)"):
            for pid in children() - before:
                os.kill(pid, signal.SIGTERM)
                os.kill(pid, signal.SIGINT)
    assert exporter.result.counts.images == 10


def test_a_small_job_starts_no_process(
    make_project: MakeProject, make_exporter: MakeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beginning, "LANES_WORTH", 1e6)
    before = children()
    for _ in make_exporter(make_project(3), lanes=2).run():
        assert children() == before


def test_pieces_come_in_order_in_place_and_from_lanes_alike_whatever_may_wait_in_memory(
    make_project: MakeProject, make_exporter: MakeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = make_exporter(make_project(12), lanes=1, visualizations=False, formats=(), metrics=())
    exported(exporter)
    snapshot = Snapshot(exporter.result.path.parent / "snapshot.part")
    monkeypatch.setattr(bounds, "HELD_BYTES", 100)

    def taken(lanes: Lanes) -> list[tuple[int, bytes]]:
        pieces = lanes.spread(CocoRows("compressed"), snapshot, snapshot.images())
        return [(image.id, piece.data) for image, some in pieces for piece in some if piece is not None]

    lanes = Lanes(3)
    lanes.start()
    try:
        assert taken(lanes) == taken(Lanes(1))
    finally:
        lanes.close()
        snapshot.close()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "/a/b.rows"),
            ("No such file or directory", 2, "/a/b.rows"),
        ),
        (OSError(errno.ENOSPC, "No space left on device"), ("No space left on device", 28, "")),
        (MemoryError(), ("Cannot allocate memory", 12, "")),
        (UnidentifiedImageError("cannot identify"), ("UnidentifiedImageError: cannot identify", None, "")),
        (ValueError("odd"), ("ValueError: odd", None, "")),
    ],
)
def test_a_fault_is_told_in_the_systems_words_where_it_is_the_systems(
    error: Exception, told: tuple[str, int | None, str]
) -> None:
    crashed = _crashed(error)
    assert (crashed.error, crashed.number, crashed.file) == told


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory", "/a/b.rows")])
def test_a_lane_without_memory_is_one_that_was_lost_so_that_the_export_is_tried_again(error: Exception) -> None:
    lost = _error_of(_crashed(error))
    assert isinstance(lost, ProcessLost)
    assert "ran out of memory: give the worker more of it, or fewer slots" in lost.message
