"""From a project to a snapshot: selection, names, splits, counts, steps; and what a snapshot gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from labelferry_export import plugins, sources
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.model import Category
from labelferry_export.options_check import check_options
from labelferry_export.snapshot import Snapshot, Tally, Totals
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Sink, Source
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.export.reading.conftest import CocoProject, Failure, Reader

SQUARE = np.array([[10, 10], [20, 10], [20, 20], [10, 20]], np.float64)


@pytest.fixture
def zoo(coco: CocoProject) -> CocoProject:
    """Four images: a (cat, cat), b (dog), c (nothing), sub/a (dog, cat)."""
    coco.categories = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
    for name in ("a.png", "b.png", "c.png", "sub/a.png"):
        coco.add_image(name)
    for image, category in ((1, 7), (1, 7), (2, 3), (4, 3), (4, 7)):
        coco.add_object(image_id=image, category_id=category)
    coco.write()
    return coco


def test_a_selection_leaves_out_images_and_objects_and_keeps_ids_and_names(zoo: CocoProject, read: Reader) -> None:
    project = read(zoo.root, select=("sub/*",), classes=("dog",))
    assert [(image.id, image.bundle_name) for image in project.images] == [(4, "sub__a.png")]
    assert [(each.id, each.category_id) for each in project.objects] == [(4, 2)]
    assert project.snapshot.facts.categories == (Category(1, "cat"), Category(2, "dog"))


def test_only_annotated_images_are_left_when_that_is_asked_for(zoo: CocoProject, read: Reader) -> None:
    assert [image.name for image in read(zoo.root, annotated_only=True).images] == ["a.png", "b.png", "sub/a.png"]
    assert [image.name for image in read(zoo.root, annotated_only=True, classes=("cat",)).images] == [
        "a.png",
        "sub/a.png",
    ]


def test_a_missing_image_that_is_not_selected_is_nobodys_business(zoo: CocoProject, read: Reader) -> None:
    (zoo.root / "images" / "b.png").unlink()
    assert [image.name for image in read(zoo.root, select=("a.png",)).images] == ["a.png", "sub/a.png"]


def test_a_selection_that_fits_nothing_is_wrong_usage(zoo: CocoProject, fail: Failure) -> None:
    error = fail(zoo.root, select=("x*", "y"))
    assert (error.code, str(error)) == (Code.USAGE, "none of the 4 images of the project is selected by 'x*', 'y'")
    assert fail(zoo.root, classes=("bird",)).code is Code.USAGE
    assert fail(zoo.root, select=("c.png",), annotated_only=True).code is Code.SOURCE


def test_splits_are_written_on_the_images_and_counted(zoo: CocoProject, read: Reader) -> None:
    project = read(zoo.root, split={"train": 0.5, "val": 0.5}, seed=3)
    splits = {image.name: image.split for image in project.images}
    assert set(splits.values()) <= {"train", "val"}
    for split in ("train", "val"):
        names = [image.name for image in project.snapshot.images(split)]
        assert names == [name for name, each in splits.items() if each == split]
    assert sum(tally.images for tally in project.snapshot.tallies if tally.category_id is None) == 4
    assert all(image.bundle_file == f"{image.split}/{image.bundle_name}" for image in project.images)


def test_totals_and_tallies_count_what_is_exported(zoo: CocoProject, read: Reader) -> None:
    snapshot = read(zoo.root).snapshot
    size = sum(path.stat().st_size for path in (zoo.root / "images").rglob("*.png"))
    assert snapshot.totals == Totals(
        images=4, instances=5, pixels=4 * 1200, bytes=size, vertices=20, full_pixels=4 * 1200
    )
    assert snapshot.tallies == (
        Tally(None, None, None, 4, 5),
        Tally(None, None, 1, 2, 3),
        Tally(None, None, 2, 2, 2),
    )


def test_the_fraction_read_never_falls_and_ends_at_one(zoo: CocoProject, read: Reader) -> None:
    steps = read(zoo.root).steps
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert (fractions[-1], steps[-1].current, steps[-1].total, steps[-1].item) == (1.0, 4, 4, "sub/a.png")


def test_reading_twice_gives_the_same(zoo: CocoProject, read: Reader) -> None:
    first, second = read(zoo.root), read(zoo.root)
    assert first.images == second.images
    assert first.snapshot.path.read_bytes() == second.snapshot.path.read_bytes()


def test_reading_can_be_stopped_at_every_step(zoo: CocoProject, tmp_path: Path) -> None:
    from labelferry_export.reading.project import read_project

    steps = 0
    while True:
        target = tmp_path / f"stopped-{steps}"
        reading = read_project(zoo.root, ExportOptions(), target, [tmp_path])
        try:
            for _ in range(steps):
                next(reading)
        except StopIteration as end:
            end.value.close()
            break
        reading.close()
        steps += 1
    assert steps > 4


def test_a_snapshot_is_read_again_by_whoever_opens_its_file(zoo: CocoProject, read: Reader) -> None:
    project = read(zoo.root)
    again = Snapshot(project.snapshot.path)
    try:
        assert list(again.images()) == project.images
        assert (again.facts, again.totals) == (project.snapshot.facts, project.snapshot.totals)
    finally:
        again.close()


def test_images_and_objects_can_be_read_in_turns(zoo: CocoProject, read: Reader) -> None:
    snapshot = read(zoo.root).snapshot
    assert [len(snapshot.instances(image.id)) for image in snapshot.images()] == [2, 1, 0, 2]
    assert len(snapshot.instances(99)) == 0


def test_findings_are_counted_with_an_example_of_each_kind(zoo: CocoProject, read: Reader) -> None:
    for _ in range(50):
        zoo.add_object([[1, 1, 2, 2, 3, 3]], category_id=7)
    log = read(zoo.write(), on_error=OnError.SKIP).snapshot.log
    assert {code.value: count for code, count in log.counts.items()} == {"image-renamed": 1, "object-dropped": 50}
    assert log.tallies[Finding.OBJECT_DROPPED, None].example.object_id == 6
    assert (len(log), len(list(log))) == (51, 51)


def test_the_name_given_is_the_projects_name(zoo: CocoProject, read: Reader) -> None:
    assert read(zoo.root, name="Zoo 2").snapshot.facts.name == "Zoo 2"


def test_options_are_checked_without_a_project() -> None:
    check_options(ExportOptions(source_format="coco", split={"a": 1.0}))
    for wrong in (ExportOptions(source_format="nope"), ExportOptions(split={"a": 0.5})):
        with pytest.raises(ExportError) as caught:
            check_options(wrong)
        assert caught.value.code is Code.USAGE


class Platform:
    """A source of somebody else's: one image, one object, out of order ids."""

    name = "platform"
    title = "the platform"
    looks_for = "a file called platform.txt"

    def recognises(self, path: Path) -> bool:
        return (path / "platform.txt").is_file()

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        sink.begin(FoundProject("from the platform", path, {"plain": 1, "not": []}))
        sink.add_category(FoundCategory("c-1", "cell"))
        yield 0.3
        sink.add_image(FoundImage("i-1", "a.png", folders=("images/",), attributes={"well": "A1"}))
        sink.add_object(FoundObject("i-1", "c-1", Shape((Part(SQUARE),)), "object o-1"))
        yield 1.0


def test_another_package_can_add_a_source(coco: CocoProject, read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    found = plugins.Brought[Source]({"platform": Platform()}, {"platform": plugins.Origin("somewhere")})
    monkeypatch.setattr(sources, "others", lambda: found)
    coco.add_image("a.png")
    (coco.root / "platform.txt").touch()
    project = read(coco.root)
    assert (project.snapshot.facts.source_format, project.snapshot.facts.info) == ("platform", {"plain": 1})
    assert [(image.id, image.width, image.attributes) for image in project.images] == [(1, 40, {"well": "A1"})]
    assert [each.id for each in project.objects] == [1]
    coco.write()
    with pytest.raises(
        ExportError, match="project can be read as 'coco', 'platform': say which with --source-format"
    ) as caught:
        read(coco.root)
    assert caught.value.code is Code.USAGE
    assert read(coco.root, source_format="platform").snapshot.facts.name == "from the platform"
