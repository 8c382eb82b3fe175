"""Bad input gets one sentence that names the file and the thing; with `skip` what can be exported is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelferry_export.errors import ExportError
from labelferry_protocol.errors import Code
from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.export.reading.conftest import CocoProject, Failure, Reader

SQUARE = [10, 10, 20, 10, 20, 20, 10, 20]
NAN = float("nan")

OBJECTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("nan", {"segmentation": [[NAN, 1, 5, 5, 1, 5]]}, "object-dropped", "object 2 of image 'a.png' cannot be exported: it"),
    ("infinity", {"segmentation": [[1, 1, float("inf"), 5, 1, 5]]}, "object-dropped", "not finite"),
    ("two points", {"segmentation": [[1, 1, 5, 5]]}, "object-dropped", "fewer than three distinct points"),
    ("four numbers are no box", {"segmentation": [[5, 5, 25, 25]]}, "object-dropped", "fewer than three"),
    ("one point three times", {"segmentation": [[1, 1, 1, 1, 1, 1]]}, "object-dropped", "fewer than three"),
    ("on one line", {"segmentation": [[1, 1, 2, 2, 3, 3]]}, "object-dropped", "all its points on one line"),
    ("odd numbers", {"segmentation": [[1, 1, 2, 2, 3]]}, "object-dropped", "annotation 2 of instances.json cannot be exported: its outline has 5 numbers"),
    ("outside", {"segmentation": [[50, 50, 60, 50, 60, 60]]}, "object-dropped", "lies outside of the image"),
    ("nothing", {"segmentation": []}, "object-dropped", "neither an outline nor a box"),
    ("an empty box", {"segmentation": [], "bbox": [1, 1, 0, 5]}, "object-dropped", "its box is empty"),
    ("an empty ring", {"segmentation": [[]]}, "object-dropped", "fewer than three"),
    ("words", {"segmentation": [["a", "b"]]}, "object-dropped", "number 2 of the annotations of instances.json (at byte "),
    ("no image id", {"image_id": None}, "object-dropped", "number 2 of the annotations of instances.json"),
    ("an image that is not there", {"image_id": 99}, "reference-broken", "annotation 2 of instances.json belongs to image 99, which the project does not have"),
    ("a class that is not there", {"category_id": 99}, "reference-broken", "annotation 2 of instances.json (image 'a.png') is of class 99"),
    ("rle too short", {"segmentation": {"size": [30, 40], "counts": [5]}}, "object-dropped", "annotation 2 of instances.json cannot be exported: "),
    ("rle of letters", {"segmentation": {"size": [30, 40], "counts": "\u00e9\u00e9"}}, "object-dropped", "annotation 2 of instances.json"),
    ("rle of another size", {"segmentation": {"size": [10, 10], "counts": [0, 100]}}, "object-dropped", "is a mask of 10x10 px, the image has 40x30"),
    ("rle of absurd size", {"segmentation": {"size": [60000, 60000], "counts": [0, 3600000000]}}, "object-dropped", "over the limit of 500 megapixels"),
    ("rle of nothing", {"segmentation": {"size": [30, 40], "counts": [1200]}}, "object-dropped", "its mask is empty"),
]  # fmt: skip
DEGENERATE = {
    "nan", "infinity", "two points", "four numbers are no box", "one point three times", "on one line", "outside", "an empty ring",
}  # fmt: skip
"""Of these there is nothing to draw: they are left out and counted whatever `on_error` says."""
BY_NAME = pytest.mark.parametrize(
    ("said", "code", "sentence"), [row[1:] for row in OBJECTS], ids=[row[0] for row in OBJECTS]
)


@pytest.mark.parametrize(
    ("said", "code", "sentence"),
    [pytest.param(*row[1:], id=row[0]) for row in OBJECTS if row[0] not in DEGENERATE],
)
def test_a_bad_object_ends_the_export_with_its_name(
    coco: CocoProject, fail: Failure, said: dict[str, Any], code: str, sentence: str
) -> None:
    coco.add_image()
    coco.add_object()
    coco.add_object(**{"segmentation": [SQUARE], **said})
    error = fail(coco.write())
    assert error.code is (Code.SOURCE if code == "reference-broken" else Code.ITEM)
    assert sentence in str(error)
    assert str(error).endswith("(--on-error skip leaves it out and goes on)")
    assert "\n" not in str(error)


@BY_NAME
def test_a_bad_object_is_left_out_with_a_finding_and_the_rest_keeps_its_ids(
    coco: CocoProject, read: Reader, request: pytest.FixtureRequest, said: dict[str, Any], code: str, sentence: str
) -> None:
    coco.add_image()
    coco.add_object()
    coco.add_object(**{"segmentation": [SQUARE], **said})
    coco.add_object()
    degenerate = request.node.callspec.id in DEGENERATE
    project = read(coco.write(), on_error=OnError.FAIL if degenerate else OnError.SKIP)
    assert [each.id for each in project.objects] == [1, 3]
    assert [(kind, sentence in message) for kind, message in project.findings] == [(code, True)]


def test_points_outside_are_clipped_and_that_is_said(coco: CocoProject, read: Reader) -> None:
    coco.add_image()
    coco.add_object([[-5, 5, 10, 5, 10, 10, -5, 10]])
    project = read(coco.write())
    outer = project.objects[0].shape.parts[0].outer
    assert (outer.min(axis=0).tolist(), outer.max(axis=0).tolist()) == ([0, 5], [10, 10])
    assert [code for code, _ in project.findings] == ["object-clipped"]
    assert "area 75 px\u00b2 before, 50 after" in project.findings[0][1]


def bad_images(root: Path) -> None:
    images = root / "images"
    (images / "empty.png").write_bytes(b"")
    (images / "text.png").write_text("hello")
    (images / "link.png").symlink_to("/etc/hostname")
    (images / "short.png").write_bytes((images / "good.png").read_bytes()[:20])


IMAGES = [
    ("none.png", "image-missing", "the image 'none.png' is missing: there is no file 'images/none.png' or 'none.png' in the project"),
    ("empty.png", "image-broken", "the image 'empty.png' is empty (0 bytes)"),
    ("text.png", "image-broken", "the image 'text.png' is not an image that can be read"),
    ("short.png", "image-broken", "the image 'short.png' is"),
    ("../secret.png", "image-missing", "the file name '../secret.png' leads out of the project's folder"),
    ("/etc/passwd", "image-missing", "the file name '/etc/passwd' is an absolute path"),
    ("link.png", "image-missing", "is a symbolic link that leads out of the project's folder"),
    ("other.png", "image-size", "the image 'other.png' has 41x30 px, the project says 40x30"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "code", "sentence"), IMAGES, ids=[row[0] for row in IMAGES])
def test_a_bad_image_ends_the_export_or_is_left_out_with_its_objects(
    coco: CocoProject, read: Reader, fail: Failure, name: str, code: str, sentence: str
) -> None:
    coco.add_image("good.png")
    coco.add_image(name, file=False)
    (coco.root.parent / "secret.png").write_bytes(b"x")
    bad_images(coco.root)
    if code == "image-size":
        from PIL import Image as Pillow

        Pillow.new("L", (41, 30)).save(coco.root / "images" / name)
    coco.add_object(image_id=2)
    coco.add_object(image_id=1)
    coco.write()
    error = fail(coco.root)
    assert sentence in str(error)
    project = read(coco.root, on_error=OnError.SKIP)
    assert [image.name for image in project.images] == ["good.png"]
    assert [each.id for each in project.objects] == [2]
    assert [(kind, sentence in message) for kind, message in project.findings] == [(code, True)]


def test_an_image_bomb_is_refused_by_its_header(coco: CocoProject, fail: Failure) -> None:
    import struct
    import zlib

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    data = zlib.compress(b"")
    pixels = struct.pack(">I", len(data)) + b"IDAT" + data + struct.pack(">I", zlib.crc32(b"IDAT" + data))
    coco.add_image("bomb.png", size=(30_000, 30_000), file=False)
    (coco.root / "images").mkdir()
    (coco.root / "images" / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + pixels)
    assert "'bomb.png' says it has 30000x30000 pixels, over the limit" in str(fail(coco.write()))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"images": [', "instances.json is not json: at byte 11"),
        ("", "instances.json is not json: at byte 0: the file is empty"),
        ("[1]", "instances.json is no annotation file: its top level is not a json object"),
        ("{}", "instances.json is not a COCO annotation file: it has no 'categories', 'images', 'annotations'"),
        ('{"images": 1, "categories": [], "annotations": []}', "a list was expected at byte 11"),
        ('{"images": [], "categories": [], "annotations": []}', "project holds no images"),
        ('{"images": [{"id": 1}], "categories": [], "annotations": []}', "number 1 of the images of instances.json (at byte 12) cannot be read"),
        ('{"images": [{"id": 1 "x"}], "categories": [], "annotations": []}', "is not json: at byte 21"),
        ('{"images": [], "categories": [1], "annotations": []}', "number 1 of the categories of instances.json"),
    ],
)  # fmt: skip
def test_json_that_is_not_coco_is_said_in_one_sentence(
    coco: CocoProject, fail: Failure, text: str, sentence: str
) -> None:
    (coco.root / "instances.json").write_text(text)
    error = fail(coco.root)
    assert sentence in str(error)
    assert error.code in (Code.SOURCE, Code.ITEM)


def test_ten_megabytes_of_nested_json_are_a_sentence(coco: CocoProject, fail: Failure) -> None:
    (coco.root / "instances.json").write_text('{"annotations": ' + "[" * 10_000_000)
    assert "more than 64 lists and objects inside one another" in str(fail(coco.root))


def test_an_annotation_file_that_is_a_link_out_of_the_project_is_refused(coco: CocoProject, fail: Failure) -> None:
    coco.add_image()
    coco.write("instances.json")
    (coco.root / "instances.json").rename(coco.root.parent / "elsewhere.json")
    (coco.root / "instances.json").symlink_to("../elsewhere.json")
    assert "'instances.json' is a symbolic link that leads out" in str(fail(coco.root))
    (coco.root / "instances.json").rename(coco.root / "other.json")
    assert "is not a project that can be read" in str(fail(coco.root))


def test_an_annotation_file_that_may_not_be_opened_is_said(
    coco: CocoProject, fail: Failure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    coco.add_image()
    coco.write()
    monkeypatch.setattr("labelferry_export.reading.json_stream.open_plain", refuse)
    assert str(fail(coco.root)) == "instances.json cannot be opened: Permission denied"


def test_what_is_no_project_is_told_what_was_looked_for(tmp_path: Path, fail: Failure) -> None:
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "notes.json").write_text('{"a": 1}')
    error = fail(folder)
    assert error.code is Code.SOURCE
    assert "holiday is not a project that can be read; looked for COCO: instances.json" in str(error)
    assert "labelferry json: " in str(error)
    assert "is not a project of the form COCO" in str(fail(folder, source_format="coco"))


def test_an_archive_is_to_be_unpacked_first(tmp_path: Path, fail: Failure) -> None:
    (tmp_path / "project.tar").write_bytes(b"ustar")
    error = fail(tmp_path / "project.tar")
    assert error.code is Code.SOURCE
    assert str(error).startswith("project.tar is an archive: unpack it, and export the folder that comes out of it")


def test_an_unknown_source_format_names_the_known_ones(coco: CocoProject, fail: Failure) -> None:
    coco.add_image()
    error = fail(coco.write(), source_format="voc2")
    assert (error.code, "no source format 'voc2'; known are 'coco', 'labelferry'" in str(error)) == (Code.USAGE, True)


def test_duplicate_ids_of_images_and_classes_are_broken_references(
    coco: CocoProject, read: Reader, fail: Failure
) -> None:
    coco.categories.append({"id": 1, "name": "second"})
    coco.add_image("a.png")
    coco.add_image("b.png", id=1)
    coco.add_object()
    coco.write()
    assert "two classes have the id 1: 'second' is the second" in str(fail(coco.root))
    project = read(coco.root, on_error=OnError.SKIP)
    assert ([image.name for image in project.images], len(project.objects)) == (["a.png"], 1)
    assert [code for code, _ in project.findings] == ["reference-broken"] * 2


def test_a_project_outside_of_the_roots_is_not_looked_at(coco: CocoProject, read: Reader, tmp_path: Path) -> None:
    coco.add_image()
    with pytest.raises(ExportError) as caught:
        read(coco.write(), roots=[tmp_path / "elsewhere"])
    assert caught.value.code is Code.ACCESS


def test_a_file_whose_images_lie_outside_of_the_roots_is_refused(coco: CocoProject, read: Reader) -> None:
    coco.add_image()
    coco.write("annotations/instances.json")
    with pytest.raises(ExportError) as caught:
        read(coco.root / "annotations" / "instances.json", roots=[coco.root / "annotations"])
    assert caught.value.code is Code.ACCESS


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutated_bytes_raise_anything_but_an_export_error(
    coco: CocoProject, read: Reader, data: st.DataObject
) -> None:
    if not coco.images:
        coco.add_image()
        coco.add_object()
        coco.add_object({"size": [30, 40], "counts": [100, 20, 1080]}, attributes={"a": 1.5})
        coco.add_object([], bbox=[1, 1, 5, 5])
    raw = bytearray(json.dumps(coco.tree).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from(FRAGMENTS) | st.binary(max_size=3)
        )
    (coco.root / "instances.json").write_bytes(raw)
    sentence = ""
    try:
        project = read(coco.root, on_error=data.draw(st.sampled_from(OnError)))
    except ExportError as error:
        sentence = str(error)
    else:
        for each in project.objects:
            assert each.id >= 1
            assert all(np.isfinite(part.outer).all() for part in each.shape.parts)
    assert len(sentence) < 1000


FRAGMENTS = [
    b"null",
    b"NaN",
    b"-1",
    b"1e999",
    b"9" * 30,
    b"[",
    b"]",
    b"{",
    b"}",
    b'"',
    b",",
    b"\\",
    b"\xff",
    b"true",
    b'"x"',
    b"[]",
    b"{}",
]
