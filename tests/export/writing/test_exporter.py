"""The seam: one call, a checked bundle, the same bytes every time; stopped anywhere it leaves only its staging."""

import hashlib
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter, Update, catalogue
from labelferry_export.stages import in_order
from labelferry_protocol import limits
from labelferry_protocol.errors import Code
from labelferry_protocol.words import Stage

MakeProject = Callable[..., Path]
MakeExporter = Callable[..., Exporter]
Export = Callable[..., Path]
Unzip = Callable[[Path], Path]

FORMATS = ("coco", "yolo", "json")


def test_a_bundle_has_what_the_layout_says_and_its_checksums_agree(
    make_project: MakeProject, export: Export, unzip: Unzip
) -> None:
    folder = unzip(export(make_project(), formats=FORMATS))
    subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], check=True, cwd=folder)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    images = {f"image_{number:03}" for number in (1, 2, 3)}
    assert found >= {"README.md", "manifest.json", "SHA256SUMS", "data.yaml"}
    assert found >= {"annotations/coco/instances.json", "annotations/json/annotations.json"}
    for stem in images:
        assert found >= {f"images/{stem}.png", f"visualizations/{stem}.png", f"labels/{stem}.txt"}
    listed = {line.split("  ", 1)[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert listed == found - {"SHA256SUMS"}


def test_originals_are_copied_bit_for_bit(make_project: MakeProject, export: Export, unzip: Unzip) -> None:
    project = make_project()
    folder = unzip(export(project))
    for path in (project / "images").iterdir():
        assert (folder / "images" / path.name).read_bytes() == path.read_bytes()


def test_the_manifest_lists_every_file_with_size_and_digest_and_names_no_place_or_time(
    make_project: MakeProject, export: Export, unzip: Unzip, tmp_path: Path
) -> None:
    folder = unzip(export(make_project(), formats=FORMATS, timeout=60.0))
    manifest = json.loads((folder / "manifest.json").read_text())
    for each in manifest["files"]:
        data = (folder / each["path"]).read_bytes()
        assert (each["size"], each["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert manifest["counts"] == {"images": 3, "objects": 9, "classes": 2, "skipped": 0}
    assert manifest["partial"] is False
    assert sum(each["objects"] for each in manifest["classes"]) == 9
    assert str(tmp_path) not in (folder / "manifest.json").read_text()
    assert "timeout" not in manifest["options"]


def test_two_runs_give_the_same_bytes(make_project: MakeProject, export: Export) -> None:
    project = make_project()
    assert export(project, formats=FORMATS).read_bytes() == export(project, formats=FORMATS).read_bytes()


def test_another_hash_seed_gives_the_same_bytes(make_project: MakeProject, export: Export, tmp_path: Path) -> None:
    project = make_project()
    digests = {hashlib.sha256(export(project, formats=FORMATS).read_bytes()).hexdigest()}
    for seed in ("1", "2"):
        digests.add(_run_apart(project, tmp_path / f"apart-{seed}", PYTHONHASHSEED=seed).stdout.strip())
    assert len(digests) == 1


def _run_apart(project: Path, staging: Path, limit: int = 0, **environment: str) -> "subprocess.CompletedProcess[str]":
    script = f"""
import resource, time
from pathlib import Path
from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter
from labelferry_protocol.options import ExportOptions
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
staging = Path({str(staging)!r})
exporter = Exporter(Path({str(project)!r}), staging / "b.zip", ExportOptions(formats={FORMATS!r}), staging=staging,
                    roots=[staging.parent], clock=time.monotonic)
try:
    for _ in exporter.run():
        pass
    print(exporter.result.sha256)
except ExportError as error:
    print(error.code, error)
"""
    staging.mkdir()
    return subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_the_result_says_what_the_bundle_is(make_project: MakeProject, make_exporter: MakeExporter) -> None:
    exporter = make_exporter(make_project(name="my: cells"), formats=("yolo",))
    with pytest.raises(RuntimeError):
        _ = exporter.result
    for _ in exporter.run():
        pass
    result = exporter.result
    data = result.path.read_bytes()
    assert (result.size, result.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (result.counts.images, result.counts.objects, result.counts.classes) == (3, 9, 2)
    assert result.counts.files == len(zipfile.ZipFile(result.path).namelist())
    assert result.file_name.endswith(".zip")
    assert "/" not in result.file_name
    (warning,) = (each for each in result.warnings if each.code == "format-loss")
    assert (warning.format, warning.losses) == ("yolo", {"bridged": 6, "reduced": 1, "rounded": 1})
    assert (warning.count, warning.example) == (8, "object 2: 2 parts joined to one ring")


def test_progress_over_120_images_is_monotone_in_steps_of_a_point_at_most_through_every_stage(
    make_project: MakeProject, make_exporter: MakeExporter
) -> None:
    updates = list(make_exporter(make_project(120, side=24), formats=FORMATS).run())
    told = [update.progress for update in updates]
    assert told[0] == 0
    assert told[-1] == limits.WORKER_SHARE
    assert all(0 <= after - before <= 1 for before, after in pairwise(told))
    stages = list(dict.fromkeys(update.stage for update in updates))
    assert stages == [stage for stage in Stage if stage in stages]
    assert {Stage.IMAGES, Stage.VISUALIZATIONS, Stage.ANNOTATIONS, Stage.COMPRESSION} <= set(stages)
    assert "Copying images (5/120): image_005.png" in {update.message for update in updates}
    assert "Drawing overlays (120/120): image_120.png" in {update.message for update in updates}
    assert any(update.message.startswith("Reading project") for update in updates)


def test_a_few_images_are_told_in_steps_of_a_point_too(make_project: MakeProject, make_exporter: MakeExporter) -> None:
    told = [update.progress for update in make_exporter(make_project(2), formats=FORMATS).run()]
    assert all(0 <= after - before <= 1 for before, after in pairwise(told))


def _stopped_after(exporter: Exporter, count: int) -> list[Update]:
    updates = []
    running = exporter.run()
    for update in running:
        updates.append(update)
        if len(updates) == count:
            running.close()
            break
    return updates


def test_stopped_between_any_two_updates_it_leaves_nothing_outside_its_staging(
    make_project: MakeProject, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    project = make_project(1)
    total = len(list(make_exporter(project, formats=FORMATS, metrics=("csv",)).run()))
    before = {path for path in tmp_path.iterdir() if not path.name.startswith("staging-")}
    for count in range(1, total):
        exporter = make_exporter(project, formats=FORMATS, metrics=("csv",))
        last = _stopped_after(exporter, count)[-1]
        # What remains to be told when the bundle is whole are the last points of progress.
        if last.stage is not Stage.COMPRESSION:
            with pytest.raises(RuntimeError):
                _ = exporter.result
    assert {path for path in tmp_path.iterdir() if not path.name.startswith("staging-")} == before


def test_a_partial_bundle_is_right_wherever_the_export_was_stopped(
    make_project: MakeProject, make_exporter: MakeExporter, unzip: Unzip
) -> None:
    project = make_project(3)
    updates = list(make_exporter(project, formats=FORMATS, metrics=("csv",)).run())
    copying = {number for number, each in enumerate(updates, start=1) if each.message.startswith("Copying images")}
    seen = set()
    for count in sorted(copying | set(range(1, len(updates), 7))):
        exporter = make_exporter(project, formats=FORMATS, metrics=("csv",))
        _stopped_after(exporter, count)
        result = exporter.pack_partial()
        if result is None:
            seen.add(0)
            continue
        folder = unzip(result.path)
        subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], check=True, cwd=folder)
        images = {path.name for path in (folder / "images").iterdir()}
        coco = json.loads((folder / "annotations/coco/instances.json").read_text())
        own = json.loads((folder / "annotations/json/annotations.json").read_text())
        assert {each["file_name"] for each in coco["images"]} == images
        assert {each["file"] for each in own["images"]} == images
        assert {path.stem for path in (folder / "labels").iterdir()} == {Path(name).stem for name in images}
        assert len(coco["annotations"]) == len(own["instances"]) == 3 * len(images) == result.counts.objects
        assert result.counts.images == len(images)
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["partial"] is result.partial
        seen.add(len(images))
    assert seen == {0, 1, 2, 3}


def test_an_export_stopped_while_its_bundle_is_closed_packs_the_whole_of_it(
    make_project: MakeProject, make_exporter: MakeExporter
) -> None:
    project = make_project(3)
    whole = make_exporter(project, formats=FORMATS, metrics=("csv",))
    updates = list(whole.run())
    closing = [number for number, each in enumerate(updates, start=1) if each.stage is Stage.COMPRESSION]
    for count in (*closing[:3], closing[len(closing) // 2]):
        exporter = make_exporter(project, formats=FORMATS, metrics=("csv",))
        _stopped_after(exporter, count)
        result = exporter.pack_partial()
        assert result is not None
        assert (result.partial, result.sha256) == (False, whole.result.sha256)
    exporter = make_exporter(project, formats=FORMATS, metrics=("csv",))
    _stopped_after(exporter, closing[0] - 1)
    result = exporter.pack_partial()
    assert result is not None
    assert result.partial


def test_a_missing_image_ends_the_export_with_a_sentence_or_is_left_out_of_everything(
    make_project: MakeProject, make_exporter: MakeExporter, unzip: Unzip
) -> None:
    project = make_project(3)
    exporter = make_exporter(project, formats=FORMATS, on_error="skip")
    running = exporter.run()
    for update in running:
        if update.message.startswith("Copying images (1/3)"):
            (project / "images" / "image_002.png").unlink(missing_ok=True)
    folder = unzip(exporter.result.path)
    assert {path.name for path in (folder / "images").iterdir()} == {"image_001.png", "image_003.png"}
    assert {path.stem for path in (folder / "visualizations").iterdir()} == {"image_001", "image_003"}
    assert {path.stem for path in (folder / "labels").iterdir()} == {"image_001", "image_003"}
    coco = json.loads((folder / "annotations/coco/instances.json").read_text())
    assert {each["image_id"] for each in coco["annotations"]} == {1, 3}
    assert (exporter.result.counts.images, exporter.result.counts.skipped) == (2, 1)
    assert "image-missing" in {warning.code for warning in exporter.result.warnings}


def test_an_image_that_changes_under_the_export_ends_it(make_project: MakeProject, make_exporter: MakeExporter) -> None:
    project = make_project(3)
    running = make_exporter(project).run()
    for update in running:
        if update.message.startswith("Copying images (1/3)"):
            break
    (project / "images" / "image_002.png").write_bytes(b"something else")
    with pytest.raises(ExportError, match=r"image_002\.png.*changed"):
        list(running)


def test_broken_pixels_end_the_export_or_cost_the_overlay_alone(
    make_project: MakeProject, make_exporter: MakeExporter, unzip: Unzip
) -> None:
    project = make_project(3)
    path = project / "images" / "image_002.png"
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(ExportError, match=r"image_002\.png"):
        list(make_exporter(project).run())
    exporter = make_exporter(project, on_error="skip")
    list(exporter.run())
    folder = unzip(exporter.result.path)
    assert (folder / "images" / "image_002.png").exists()
    assert {path.stem for path in (folder / "visualizations").iterdir()} == {"image_001", "image_003"}
    assert "image-broken" in {warning.code for warning in exporter.result.warnings}


def test_what_can_be_read_and_written_is_listed() -> None:
    known = {kind: [each.name for each in entries] for kind, entries in catalogue().items()}
    assert {"coco", "labelferry"} <= set(known["sources"])
    assert {"coco", "json", "yolo"} <= set(known["formats"])
    assert {"csv", "json", "xlsx"} <= set(known["metrics"])


def test_the_stages_run_in_the_order_the_protocol_names_them() -> None:
    assert list(dict.fromkeys(each.stage for each in in_order())) == list(Stage)


def test_a_full_disk_is_a_sentence(make_project: MakeProject, tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    said = _run_apart(make_project(40), tmp_path / "apart", limit=120_000)
    assert said.stdout.startswith("disk-full disk full")
    assert said.stderr == ""


def test_a_folder_that_is_not_there_is_said_before_any_work(make_project: MakeProject, tmp_path: Path) -> None:
    from labelferry_protocol.options import ExportOptions

    staging = tmp_path / "staging"
    staging.mkdir()
    target = tmp_path / "nowhere" / "b.zip"
    exporter = Exporter(make_project(), target, ExportOptions(), staging=staging, roots=[tmp_path], clock=lambda: 0.0)
    with pytest.raises(ExportError, match="not there") as caught:
        list(exporter.run())
    assert caught.value.code is Code.OUTPUT
    assert list(staging.iterdir()) == []


def test_with_nothing_wanted_but_annotations_nothing_else_is_made(
    make_project: MakeProject, export: Export, unzip: Unzip
) -> None:
    folder = unzip(export(make_project(), images=False, visualizations=False, formats=("coco",), metrics=()))
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"README.md", "manifest.json", "SHA256SUMS", "annotations/coco/instances.json"}


def test_splits_have_a_folder_each_and_agree_everywhere(
    make_project: MakeProject, export: Export, unzip: Unzip
) -> None:
    folder = unzip(export(make_project(30, side=24), formats=FORMATS, split={"train": 0.7, "val": 0.3}))
    images = {split: {path.name for path in (folder / "images" / split).iterdir()} for split in ("train", "val")}
    assert len(images["train"]) + len(images["val"]) == 30
    for split, names in images.items():
        assert {path.stem for path in (folder / "labels" / split).iterdir()} == {Path(name).stem for name in names}
        coco = json.loads((folder / f"annotations/coco/instances_{split}.json").read_text())
        assert {each["file_name"] for each in coco["images"]} == {f"{split}/{name}" for name in names}
        assert [each["id"] for each in coco["categories"]] == [1, 2]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {name: each["images"] for name, each in manifest["splits"].items()} == {
        split: len(names) for split, names in images.items()
    }


def test_the_readme_tells_a_person_what_is_inside_and_what_was_lost(
    make_project: MakeProject, export: Export, unzip: Unzip
) -> None:
    readme = (unzip(export(make_project(1), formats=FORMATS)) / "README.md").read_text()
    assert "1 image with 3 objects of 2 classes" in readme
    assert "yes: \\# no" in readme
    assert "2 parts joined to one ring" in readme
    assert "1 hole joined to one ring" in readme
    assert "sha256sum -c SHA256SUMS" in readme


def test_a_source_tree_that_is_not_installed_exports_with_a_version_that_says_so(
    make_project: Callable[..., Path], export: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("labelferry_protocol.software.version", missing)
    with zipfile.ZipFile(export(make_project())) as bundle:
        assert json.loads(bundle.read("manifest.json"))["labelferry"] == "unknown"


def test_progress_moves_while_a_large_overlay_is_drawn(
    make_project: MakeProject, make_exporter: MakeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelferry_export.stages.visualizations.WHOLE_BYTES", 1000)
    monkeypatch.setattr("labelferry_export.stages.visualizations.MOMENT_PIXELS", 256)
    monkeypatch.setattr("labelferry_export.overlays.draw.BAND_PIXELS", 512)
    exporter = make_exporter(make_project(images=1, side=128), lanes=1, formats=(), metrics=())
    drawing = [each.progress for each in exporter.run() if each.stage is Stage.VISUALIZATIONS]
    assert len(set(drawing)) > 20
    assert max(after - before for before, after in pairwise(drawing)) <= 1.01
