"""The self-check of every format: whatever is wrong in its files, by whatever fault of ours, the bundle is not published."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import deflate
import numpy as np
import pytest
from PIL import Image as Pillow
from tests.support.scenes import Thing, box, make_exporter, make_scene

from labelferry_export import formats
from labelferry_export.bundle.archive import Archive, EntryWriter
from labelferry_export.bundle.packed import PackedFile, pack, stretch
from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter
from labelferry_export.model import Image, Instance
from labelferry_export.snapshot import Snapshot
from labelferry_protocol.errors import Code

Alter = Callable[[str, bytes], bytes]
Damage = Callable[[Alter], None]
IMAGES = [("a.png", 40, 40), ("b.png", 40, 30), ("empty.png", 20, 20)]
THINGS = [
    Thing([box(2, 2, 10, 10)], category=2, attributes={"round": True}),
    Thing([box(20, 2, 10, 10)], [[box(23, 5, 3, 3)]]),
    Thing([box(2, 20, 6, 6), box(12, 20, 6, 6)]),
    Thing([[30.5, 20.25, 38, 22, 34, 31]], image=2 - 1),
    Thing([box(5, 5, 12, 12)], image=2),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_scene(tmp_path / "scene", THINGS, IMAGES, ("cell", "wall"))


@pytest.fixture
def damage(monkeypatch: pytest.MonkeyPatch) -> Damage:
    """Have what is written into the archive altered: by the name of the file and the bytes of each write."""
    write, write_stretch, add_packed = EntryWriter.write, EntryWriter.write_stretch, Archive.add_packed

    def alter_with(alter: Alter) -> None:
        def add(archive: Archive, file: PackedFile) -> Any:
            data = bytes(deflate.deflate_decompress(file.data, file.size)) if file.method else file.data
            return add_packed(archive, pack(file.name, alter(file.name, data)))

        def lay(entry: EntryWriter, data: bytes, _: bytes) -> None:
            altered = alter(entry._name, data)
            write_stretch(entry, altered, stretch(altered))

        monkeypatch.setattr(EntryWriter, "write_stretch", lay)
        monkeypatch.setattr(EntryWriter, "write", lambda self, data: write(self, alter(self._name, bytes(data))))
        monkeypatch.setattr(Archive, "add_packed", add)

    return alter_with


def refused(exporter: Exporter) -> str:
    """Run an export that must fail its self-check; return what it says."""
    with pytest.raises(ExportError) as caught:
        list(exporter.run())
    assert caught.value.code is Code.INTERNAL
    assert not exporter._target.exists()
    said = caught.value.message
    assert said.startswith("the bundle failed its self-check and is not published: ")
    assert said.endswith(": export again, and tell us if it stays")
    return said


def test_every_format_is_recounted() -> None:
    assert [each.name for each in formats.ours().values() if each.recount is None] == []


@pytest.mark.parametrize("name", formats.ours())
def test_what_is_right_passes_also_with_splits_and_every_choice_of_options(
    project: Path, tmp_path: Path, name: str
) -> None:
    each = formats.find(name)
    chosen: list[dict[str, Any]] = [{}] + [
        {key: choice}
        for key, option in each.options.items()
        for choice in option.choices or ((not option.default,) if isinstance(option.default, bool) else ())
    ]
    for options in chosen:
        for split in ({}, {"train": 0.5, "val": 0.5}):
            exporter = make_exporter(
                tmp_path / "exports", project, formats=(name,), format_options={name: options}, split=split
            )
            list(exporter.run())
            assert exporter.result.path.exists()


@pytest.mark.parametrize("name", [name for name in formats.ours() if name != "semantic_masks"])
def test_a_format_that_loses_an_object_is_caught(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    exporter = make_exporter(tmp_path / "exports", project, formats=(name,))
    whole = Snapshot.instances

    def without_one(snapshot: Snapshot, image_id: int) -> list[Instance]:
        return [each for each in whole(snapshot, image_id) if each.id != 2]

    monkeypatch.setattr(Snapshot, "instances", without_one)
    assert f"{name} holds" in refused(exporter)


@pytest.mark.parametrize("name", formats.ours())
def test_a_format_that_loses_an_image_is_caught(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    exporter = make_exporter(tmp_path / "exports", project, formats=(name,))
    whole = Snapshot.images

    def without_one(snapshot: Snapshot, split: str | None = None) -> Iterator[Image]:
        return (each for each in whole(snapshot, split) if each.name != "b.png")

    monkeypatch.setattr(Snapshot, "images", without_one)
    assert f"{name} holds" in refused(exporter)


RUNS = b'"size":[40,40],"counts":['
WRONG: dict[str, tuple[str, bytes, bytes, str]] = {
    "a coco area": ("coco", b'"area":100,', b'"area":99999,', "its area 99999 and box"),
    "a coco box": ("coco", b'"bbox":[2,2,10,10]', b'"bbox":[2,9,10,10]', "are not those of its rings"),
    "a coco box that is no box": ("coco", b'"bbox":[2,2,10,10]', b'"bbox":[2,2,0,0]', "are not those of its rings"),
    "a coco ring": ("coco", b"[[2,2,12,2,12,12,2,12]]", b"[[2,2,12,2]]", "a ring of its segmentation is none of three"),
    "a coco ring cut in half": (
        "coco",
        b"[[2,2,12,2,12,12,2,12]]",
        b"[[2,2,12,2,12,12,2]]",
        "a ring of its segmentation",
    ),
    "no coco ring": ("coco", b"[[2,2,12,2,12,12,2,12]]", b"[]", "a ring of its segmentation is none of three"),
    "a coco mask's area": ("coco", b'"area":91,', b'"area":92,', "its mask has 91 pixels, its area says 92"),
    "a coco mask's box": ("coco", b'"bbox":[20,2,10,10]', b'"bbox":[20,2,10,11]', "is not that of its mask"),
    "coco run lengths": (
        "coco",
        RUNS + b"802,",
        RUNS + b"801,",
        "its run lengths add up to 1599, not to 40 x 40 = 1600",
    ),
    "a coco class": ("coco", b'"category_id":2', b'"category_id":9', "is of the class 9"),
    "a ring of labelferry's json": ("json", b'"outer":[2.0,2.0,', b'"outer":[2.0,', "a ring of it is none of three"),
    "a row of yolo": ("yolo", b"1 0.050000 ", b"1 1.050000 ", "is none that YOLO reads"),
    "a class of yolo": ("yolo", b"1 0.050000 ", b"7 0.050000 ", "is none that YOLO reads"),
    "a box among yolo's boxes": ("yolo_detect", b"1 0.1", b"1 0.5 0.5 0.5 0.5 0.5 0.1", "is none that YOLO reads"),
    "a corner of yolo's rectangles": ("yolo_obb", b"1 0.", b"1 0.5 0.", "is none that YOLO reads"),
    "a shape of labelme": ("labelme", b'"shape_type":"mask"', b'"shape_type":"polygon"', "none that LabelMe reads"),
    "a labelme file's end": ("labelme", b'"imageWidth"', b'"image_width"', "ends before the size of its image"),
    "a ring of geojson": ("geojson", b"[2,12],[2,2]]", b"[2,12]]", "a ring is not closed"),
    "a geojson file's end": ("geojson", b"]}\n", b"]\n", "annotations/geojson/a.geojson: a record cannot be read"),
    "a label of cvat": ("cvat", b'<polygon label="wall"', b'<polygon label="wand"', "which the file does not declare"),
    "run lengths of cvat": ("cvat", b'rle="0, ', b'rle="1, ', "the run lengths of a mask of image 1 add up to"),
    "cvat's xml": ("cvat", b"</image>", b"</images>", "it is no XML: mismatched tag"),
    "points of cvat": ("cvat", b'points="2,2;12,2;12,12;2,12"', b'points="2,2;12,2"', "fewer than three points"),
    "a box of voc": ("voc", b"<xmin>3</xmin>", b"<xmin>99</xmin>", "is not within the image"),
    "a column of huggingface": ("huggingface", b'"iscrowd":[0,', b'"iscrowd":[', "differ in their length"),
    "a class of huggingface": ("huggingface", b'"category":[1,', b'"category":[5,', "of a class that is not there"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_breaks_a_formats_rules_is_caught_and_named(
    project: Path, tmp_path: Path, damage: Damage, case: str
) -> None:
    name, right, wrong, said = WRONG[case]
    found: list[str] = []

    def alter(file: str, data: bytes) -> bytes:
        if right in data:
            found.append(file)
        return data.replace(right, wrong)

    options = {"coco": {"rle": "uncompressed"}}
    exporter = make_exporter(
        tmp_path / "exports", project, formats=(name,), format_options=options if name == "coco" else {}
    )
    damage(alter)
    assert said in refused(exporter)
    assert found


def painted(value: int) -> Callable[[bytes], bytes]:
    """Return what writes a value into the corner of a PNG."""

    def paint(data: bytes) -> bytes:
        with Pillow.open(io.BytesIO(data)) as picture:
            pixels = np.array(picture)
        pixels[0, 0] = value
        out = io.BytesIO()
        Pillow.fromarray(pixels).save(out, "PNG")
        return out.getvalue()

    return paint


def eight_bit(data: bytes) -> bytes:
    with Pillow.open(io.BytesIO(data)) as picture:
        pixels = np.array(picture).astype(np.uint8)
    out = io.BytesIO()
    Pillow.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "alter", "said"),
    [
        ("semantic_masks", painted(17), "it has the value 17, which is no class"),
        ("semantic_masks", lambda data: data[:-30], "it is no mask"),
        ("instance_masks", painted(9), "instance_masks holds 3 images and"),
        ("instance_masks", eight_bit, "its pixels are L, not I;16"),
    ],
)
def test_a_mask_that_is_wrong_is_caught(
    project: Path, tmp_path: Path, damage: Damage, name: str, alter: Callable[[bytes], bytes], said: str
) -> None:
    exporter = make_exporter(tmp_path / "exports", project, formats=(name,))
    damage(lambda file, data: alter(data) if f"{name}/masks/" in file else data)
    assert said in refused(exporter)


@pytest.mark.parametrize(
    ("name", "ending", "alter", "said"),
    [
        ("imagej", ".zip", lambda data: data.replace(b"PK\x05\x06", b"PK\x05\x07"), "it is no RoiSet"),
        ("webdataset", ".tar", lambda data: data.replace(b"ustar", b"astar"), "it is no tar"),
        (
            "webdataset",
            ".tar",
            lambda data: data.replace(b'"annotations"', b'"annotation5"'),
            "a record cannot be read",
        ),
        ("parquet", ".parquet", lambda data: data.replace(b"PAR1", b"PAR2"), "it is no Parquet table"),
    ],
)
def test_a_file_within_a_file_that_is_wrong_is_caught(
    project: Path, tmp_path: Path, damage: Damage, name: str, ending: str, alter: Callable[[bytes], bytes], said: str
) -> None:
    exporter = make_exporter(tmp_path / "exports", project, formats=(name,))
    damage(lambda file, data: alter(data) if file.endswith(ending) else data)
    assert said in refused(exporter)


def test_a_mask_too_large_to_decode_is_left_uncounted(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labelferry_export.formats._recounts import masks

    for limit in ("MOST_BYTES", "MOST_PIXELS"):
        monkeypatch.setattr(masks, limit, 60)
        exporter = make_exporter(tmp_path / "exports", project, formats=("instance_masks",))
        list(exporter.run())
        assert exporter.result.path.exists()
