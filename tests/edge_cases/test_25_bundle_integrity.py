"""Edge case 25: what holds of every bundle, and of the jobs that make them. Jobs of the service: tests/sim, tests/faults, tests/broker."""

import csv
import hashlib
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from tests.edge_cases.conftest import Export
from tests.support.scenes import Thing, box, make_exporter, make_scene, unzipped

from labelferry_export.bundle.archive import Archive
from labelferry_export.formats import known
from labelferry_export.tables import sheet_rows, workbook
from labelferry_protocol import limits

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

IMAGES = [(f"{number}.png", 32, 24) for number in range(3)]
THINGS = [Thing([box(2, 2, 9, 9)], [[box(4, 4, 3, 3)]], image=number) for number in (1, 2, 3)]
FAR = 5 << 30
"""Beyond what 32 bits can say."""


def test_case_25_bundle_integrity(export: Export, tmp_path: Path) -> None:
    source = make_scene(tmp_path / "scene", THINGS, IMAGES)
    bundle = export(source, formats=tuple(known()), metrics=("csv", "xlsx", "json"), visualizations=True)
    listed = {each["path"]: (each["size"], each["sha256"]) for each in bundle.manifest["files"]}
    there = {
        name: ((bundle.folder / name).stat().st_size, hashlib.sha256((bundle.folder / name).read_bytes()).hexdigest())
        for name in bundle.names(".")
    }
    assert set(there) - set(listed) == {"manifest.json", "SHA256SUMS"}
    assert listed.items() <= there.items()
    checked = subprocess.run(["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=bundle.folder, check=False)
    assert checked.returncode == 0
    assert len((bundle.folder / "SHA256SUMS").read_text().splitlines()) == len(there) - 1


def test_case_25_bundle_integrity_of_more_than_65535_entries(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.zip", tmp_path / "listing")
    for number in range(65_600):
        archive.add(f"labels/{number:05}.txt", b"")
    list(archive.finish())
    with zipfile.ZipFile(archive.path) as file:
        assert len(file.namelist()) == 65_600
    told = subprocess.run(["unzip", "-Z", "-1", archive.path], check=True, capture_output=True)
    assert len(told.stdout.splitlines()) == 65_600


def test_case_25_bundle_integrity_beyond_4_gib(tmp_path: Path) -> None:
    """The zip begins behind a hole of the file system, so that its offsets are what they would be in a bundle of 5 GiB."""
    archive = Archive(tmp_path / "a.zip", tmp_path / "listing")
    archive._file.seek(FAR)
    archive.offset = FAR
    archive.add("images/a.png", b"pixels" * 1000)
    archive.add("labels/a.txt", b"0 0.1\n")
    list(archive.finish())
    with zipfile.ZipFile(archive.path) as file:
        assert file.testzip() is None
        assert [info.header_offset > FAR - 1 for info in file.infolist()] == [True, True]
        assert file.read("images/a.png") == b"pixels" * 1000
    assert archive.path.stat().st_blocks * 512 < 1 << 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_case_25_bundle_integrity_of_an_entry_over_4_gib(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.zip", tmp_path / "listing")
    block = bytes(8 << 20)
    with archive.open("annotations/x.json") as entry:
        for _ in range(513):
            entry.write(block)
    archive.add("y.txt", b"end")
    list(archive.finish())
    with zipfile.ZipFile(archive.path) as file:
        assert file.getinfo("annotations/x.json").file_size == 513 * len(block) > 1 << 32
        assert file.read("y.txt") == b"end"
        assert file.testzip() is None


def test_case_25_progress_is_monotone_and_a_stopped_export_leaves_no_half_bundle(tmp_path: Path) -> None:
    """At every single update: an export that is closed there has left nothing, or, at the very end, a whole bundle."""
    source = make_scene(tmp_path / "scene", THINGS, IMAGES)
    options: dict[str, Any] = {"formats": ("coco", "yolo"), "metrics": ("csv",), "visualizations": True}
    whole = make_exporter(tmp_path / "whole", source, **options)
    progress = [update.progress for update in whole.run()]
    assert progress == sorted(progress)
    assert progress[-1] == limits.WORKER_SHARE
    before = sorted(path for path in source.rglob("*"))
    left = 0
    for stop in range(len(progress) - 1):
        exporter = make_exporter(tmp_path / "stopped", source, **options)
        running = exporter.run()
        for _ in range(stop + 1):
            next(running)
        running.close()
        assert not exporter._target.exists() or unzipped(exporter._target).manifest["finished"]["images"] == 3
        left += exporter._target.exists()
    assert left <= 3
    assert sorted(path for path in source.rglob("*")) == before


def test_case_25_two_jobs_of_one_title_never_share_a_path(tmp_path: Path) -> None:
    source = make_scene(tmp_path / "scene", THINGS, IMAGES)
    jobs = [make_exporter(tmp_path / "jobs", source, formats=("coco",), name="title") for _ in range(2)]
    for _ in zip(*(job.run() for job in jobs), strict=True):
        pass
    first, second = (job.result for job in jobs)
    assert first.path != second.path
    assert first.file_name == second.file_name
    assert first.path.read_bytes() == second.path.read_bytes()


FORMULAS = ["=1+1", "+1", "-1 cell", "@SUM(A1)", "\tx", "\rx", "=cmd|' /C calc'!A0"]


def test_case_25_csv_injection(export: Export, tmp_path: Path) -> None:
    things = [Thing([box(2 * n, 2, 1.5, 9)], category=n + 1, attributes={"note": "=A1"}) for n in range(len(FORMULAS))]
    images = [("=1+1.png", 64, 48), ("-2.png", 20, 20)]
    source = make_scene(tmp_path / "scene", [*things, Thing([[9, 1, 1, 9, 9, 9]])], images, FORMULAS)
    bundle = export(source, formats=("instance_masks",), metrics=("csv", "xlsx"))
    dangerous = set("=+-@\t\r")
    for name in (
        "metrics/objects.csv",
        "metrics/images.csv",
        "metrics/classes.csv",
        "annotations/instance_masks/objects.csv",
    ):
        with (bundle.folder / name).open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                for cell in row:
                    assert not cell or cell[0] not in dangerous or is_number(cell), (name, cell)
    turned = [float(row["orientation_rad"]) for row in bundle.table() if row["orientation_rad"]]
    assert min(turned) < 0
    book = openpyxl.load_workbook(bundle.folder / "metrics/metrics.xlsx")
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert "f" not in kinds
    names = {
        cell.value
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
        if cell.data_type in ("s", "inlineStr")
    }
    assert "=1+1" in names or "'=1+1" in names


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_case_25_excel_rows_and_texts_over_its_limits(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (workbook.MAX_ROWS, sheet_rows.MAX_CHARACTERS) == (1_048_576, 32_767)
    monkeypatch.setattr(workbook, "MAX_ROWS", 4)
    things = [Thing([box(2 * n, 2, 1.5, 9)], attributes={"note": "x" * 40_000}) for n in range(7)]
    bundle = export(make_scene(tmp_path / "scene", things), formats=(), metrics=("csv", "xlsx"))
    book = openpyxl.load_workbook(bundle.folder / "metrics/metrics.xlsx")
    found = [row[0] for name in ("objects", "objects_2", "objects_3") for row in list(book[name].values)[1:]]
    assert found == list(range(1, 8))
    assert all(len(str(value)) <= 32_767 for sheet in book for row in sheet.values for value in row if value)
    assert {len(row["attributes"]) for row in bundle.table()} == {40_011}
    said = bundle.findings(format="xlsx")
    assert said
    assert all("cut to 32767 characters" in each for each in said)
