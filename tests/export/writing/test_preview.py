"""The dry run: it tells what the export then makes, and makes nothing."""

import itertools
from collections.abc import Callable, Generator
from itertools import pairwise
from pathlib import Path

import pytest

from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter, Preview, Update
from labelferry_protocol import limits
from labelferry_protocol.errors import Code

MakeProject = Callable[..., Path]
MakeExporter = Callable[..., Exporter]


def previewed(running: Generator[Update, None, Preview]) -> tuple[list[Update], Preview]:
    updates: list[Update] = []
    while True:
        try:
            updates.append(next(running))
        except StopIteration as end:
            return updates, end.value


def test_a_dry_run_tells_counts_sizes_warnings_and_losses_and_makes_no_bundle(
    make_project: MakeProject, make_exporter: MakeExporter, unzip: Callable[[Path], Path]
) -> None:
    project = make_project(6)
    options = {"formats": ("coco", "yolo", "json"), "split": {"train": 0.5, "val": 0.5}}
    dry = make_exporter(project, **options)
    updates, preview = previewed(dry.preview())
    with pytest.raises(RuntimeError):
        _ = dry.result
    real = make_exporter(project, **options)
    for _ in real.run():
        pass
    assert (preview.total.images, preview.total.objects) == (real.result.counts.images, real.result.counts.objects)
    assert sum(each.images for each in preview.splits.values()) == 6
    assert set(preview.classes) == {"cell", "yes: # no"}
    assert preview.warnings == real.result.warnings
    assert preview.losses["yolo"].kinds == {"bridged": 12, "rounded": 1, "reduced": 1}
    assert preview.losses["yolo"].count == 14
    assert "joined to one ring" in preview.losses["yolo"].example
    assert set(preview.losses) == {"yolo"}
    folder = unzip(real.result.path)
    assert preview.sizes["images"] == sum(path.stat().st_size for path in folder.glob("images/*/*"))
    assert (preview.renamed, preview.names) == (0, ()), "the folder of a split is no other name"
    told = [update.progress for update in updates]
    assert told[-1] == limits.WORKER_SHARE
    assert all(0 <= after - before <= 1 for before, after in pairwise(told))


def test_a_dry_run_names_the_images_that_are_renamed_and_where_they_go(
    make_project: MakeProject, make_exporter: MakeExporter, unzip: Callable[[Path], Path]
) -> None:
    project = make_project(3)
    (project / "images" / "image_002.png").rename(project / "images" / "CON.png")
    annotations = project / "instances.json"
    annotations.write_text(annotations.read_text().replace("image_002.png", "CON.png"))
    options = {"formats": ("coco",), "split": {"train": 1.0}}
    _, preview = previewed(make_exporter(project, **options).preview())
    ((before, after),) = preview.names
    assert (preview.renamed, before) == (1, "CON.png")
    real = make_exporter(project, **options)
    for _ in real.run():
        pass
    assert (unzip(real.result.path) / "images" / after).is_file()


def test_a_dry_run_without_formats_still_counts(make_project: MakeProject, make_exporter: MakeExporter) -> None:
    _, preview = previewed(make_exporter(make_project(2), formats=()).preview())
    assert preview.total.objects == 6
    assert preview.sizes["annotations"] == 0
    assert preview.losses == {}


def test_a_dry_run_says_what_stands_in_the_way(make_exporter: MakeExporter, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        previewed(make_exporter(tmp_path / "nowhere").preview())
    assert caught.value.code is Code.SOURCE


def test_a_stopped_dry_run_leaves_nothing_to_pack(make_project: MakeProject, make_exporter: MakeExporter) -> None:
    exporter = make_exporter(make_project(3))
    running = exporter.preview()
    for _ in itertools.islice(running, 4):
        pass
    running.close()
    assert exporter.pack_partial() is None
