"""Projects that come as a zip: unpacked into the export's own staging directory, recognised there, exported as the folder would be."""

import shutil
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter
from labelferry_export.keeping.settings import Reuse
from labelferry_export.unpacking import directory, unpack
from labelferry_protocol.errors import Code

Export = Callable[..., Path]
Project = Callable[..., Path]
MakeExporter = Callable[..., Exporter]


def zip_of(folder: Path, target: Path, below: str = "") -> Path:
    """Zip a folder; its files get `below` before their names."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(path, below + path.relative_to(folder).as_posix())
    return target


def why(export: Export, source: Path, **options: Any) -> ExportError:
    with pytest.raises(ExportError) as caught:
        export(source, **options)
    return caught.value


@pytest.mark.parametrize("below", ["", "project/", "download/2026/project/"])
def test_a_zip_makes_the_bundle_of_the_folder_in_it(
    tmp_path: Path, make_project: Project, export: Export, below: str
) -> None:
    folder = make_project()
    packed = zip_of(folder, tmp_path / "project.zip", below)
    assert export(packed).read_bytes() == export(folder).read_bytes()


def test_backslashes_of_a_zip_separate_folders(tmp_path: Path, make_project: Project, export: Export) -> None:
    folder = make_project()
    with zipfile.ZipFile(tmp_path / "project.zip", "w") as archive:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            info = zipfile.ZipInfo("x")
            info.filename = str(path.relative_to(folder)).replace("/", "\\")
            archive.writestr(info, path.read_bytes())
    assert export(tmp_path / "project.zip").read_bytes() == export(folder).read_bytes()


def test_a_bundle_is_a_project_as_it_came(make_project: Project, export: Export, unzip: Callable[[Path], Path]) -> None:
    bundle = export(make_project(), formats=("coco", "json"))
    assert export(bundle, name="again").read_bytes() == export(unzip(bundle), name="again").read_bytes()


def test_several_candidates_are_a_question(make_project: Project, export: Export) -> None:
    bundle = export(make_project(), formats=("coco", "yolo"))
    error = why(export, bundle)
    assert (error.code, error.message) == (
        Code.USAGE,
        "bundle can be read as 'coco', 'yolo': say which with --source-format",
    )
    assert export(bundle, source_format="coco").exists()


def test_what_a_zip_holds_that_is_no_project_is_said(tmp_path: Path, export: Export) -> None:
    def packed(name: str, *entries: str) -> Path:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for entry in entries:
                archive.writestr(entry, b"x")
        return tmp_path / name

    assert "is a set of ImageJ ROIs and no project" in why(export, packed("set.zip", "1.roi", "2.roi")).message
    assert "holds archives, which are not unpacked" in why(export, packed("outer.zip", "data/inner.zip")).message
    assert why(export, packed("a.zip", "holiday/notes.txt")).message.startswith("a.zip holds no project that can be")
    wanted = why(export, packed("b.zip", "notes.txt"), source_format="coco").message
    assert wanted.startswith("b.zip holds no project of the form COCO: looked for instances.json")


def test_too_many_too_large_and_no_room_are_refused_before_anything_is_written(
    tmp_path: Path, make_project: Project, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = zip_of(make_project(), tmp_path / "project.zip")
    for place, name, value, says, code in (
        (directory, "MOST_ENTRIES", 3, "has more than 3 entries", Code.SOURCE),
        (directory, "MAX_BYTES", 1000, "unpacks to 0 GB, more than 0: export it in parts", Code.SOURCE),
        (directory, "MAX_DIRECTORY_BYTES", 100, "a directory of more than", Code.SOURCE),
        (unpack, "RESERVE_BYTES", 1 << 60, "are free where the worker keeps its files", Code.DISK_FULL),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, value)
            error = why(export, packed)
            assert (error.code, says in error.message) == (code, True), error.message
    assert not list(tmp_path.glob("staging-*/unpacked.part/*/*"))


def test_unpacking_is_told_and_stops_between_two_blocks(
    tmp_path: Path, make_project: Project, make_exporter: MakeExporter
) -> None:
    exporter = make_exporter(zip_of(make_project(images=9), tmp_path / "project.zip"))
    with closing(exporter.run()) as updates:
        for update in updates:
            if update.message.startswith("Unpacking project (4/10)"):
                break
    made = [path for path in tmp_path.glob("staging-0/unpacked.part/**/*") if path.is_file()]
    assert len(made) == 4
    shutil.rmtree(tmp_path / "staging-0")


def test_another_attempt_unpacks_again(tmp_path: Path, make_project: Project, make_exporter: MakeExporter) -> None:
    packed = zip_of(make_project(images=12, side=200), tmp_path / "project.zip")
    reuse = Reuse(checkpoints=tmp_path / "kept", checkpoint_bytes=1 << 30, least_job=0.0, least_result=0.0)
    bundles, said = [], []
    for number in range(2):
        exporter = make_exporter(packed, reuse=reuse)
        said += [update.message for update in exporter.run()]
        bundles.append(exporter.result.path.read_bytes())
        shutil.rmtree(tmp_path / f"staging-{number}")
    assert bundles[0] == bundles[1]
    assert exporter.reused.found > 0
    assert not [each for each in said if "has changed" in each]


def test_a_zip_is_recognised_in_a_staging_directory_that_a_link_leads_to(
    tmp_path: Path, make_project: Project, export: Export, make_exporter: MakeExporter
) -> None:
    bundle = export(make_project(), formats=("yolo",))
    exporter = make_exporter(bundle)
    made = tmp_path / "staging-1"
    made.rename(tmp_path / "elsewhere")
    made.symlink_to(tmp_path / "elsewhere")
    for _ in exporter.run():
        pass
    assert exporter.result.path.read_bytes() == export(bundle).read_bytes()
