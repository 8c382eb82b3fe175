"""The self-check of every format: whatever is wrong in its files, by whatever fault of ours, the bundle is not published."""

import io
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import deflate
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from tests.support.scenes import Thing, box, make_exporter, make_scene

from labelferry_export import formats, tables
from labelferry_export.bundle.archive import Archive, EntryWriter
from labelferry_export.bundle.packed import PackedFile, pack, stretch
from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter
from labelferry_export.formats._recounts import masks, strips, voc
from labelferry_export.formats._recounts.coco import AnnotationRow, CocoRecount
from labelferry_export.formats._recounts.masks import ALL_BY_PILLOW, EVERY_BY_PILLOW, Decoder
from labelferry_export.formats._recounts.plain_png import plain_png
from labelferry_export.formats._tiff import encode_tiff
from labelferry_export.formats._voc_colours import voc_colours
from labelferry_export.lanes import Piece
from labelferry_export.model import Image, Instance
from labelferry_export.overlays.png import Extras, encode_png
from labelferry_export.snapshot import Snapshot
from labelferry_export.tables import Measurements, workbook
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


def test_every_table_is_recounted() -> None:
    assert [each.name for each in tables.ours().values() if each.recount is None] == []


@pytest.mark.parametrize("name", tables.ours())
def test_a_table_that_loses_a_row_is_caught(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    named: dict[str, Any] = {"formats": (), "metrics": (name,), "scale": 0.5}
    right = make_exporter(tmp_path / "exports", project, **named)
    list(right.run())
    assert right.result.path.exists()
    whole = Measurements.take
    lost: list[Piece] = []

    def without_the_first(measurements: Measurements, piece: Piece) -> None:
        if piece.objects and not lost:
            lost.append(piece)
        else:
            whole(measurements, piece)

    monkeypatch.setattr(Measurements, "take", without_the_first)
    assert f"{name} holds" in refused(make_exporter(tmp_path / "exports", project, **named))


@pytest.mark.parametrize(
    ("name", "right", "wrong", "said"),
    [
        ("csv", b"\r\n2,", b"\r\n2,,", "metrics/objects.csv: row 2 has"),
        ("csv", b"\r\n2,", b'\r\n2,"', "metrics/objects.csv: "),
        ("json", b'{"object_id":2,', b'{"object_id"2,', "metrics/metrics.json: a record cannot be read"),
    ],
)
def test_a_table_that_cannot_be_read_is_caught(
    project: Path, tmp_path: Path, damage: Damage, name: str, right: bytes, wrong: bytes, said: str
) -> None:
    damage(lambda _, data: data.replace(right, wrong))
    assert said in refused(make_exporter(tmp_path / "exports", project, formats=(), metrics=(name,)))


def test_a_workbook_whose_sheets_go_on_is_counted_over_all_of_them(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MAX_ROWS", 3)
    exporter = make_exporter(tmp_path / "exports", project, formats=(), metrics=("xlsx",))
    list(exporter.run())
    assert exporter.result.path.exists()


def test_names_with_quotes_and_line_ends_are_one_row(tmp_path: Path) -> None:
    project = make_scene(tmp_path / "scene", THINGS, IMAGES, ('a "cell", wide', "two\nlines\r\nor three"))
    exporter = make_exporter(tmp_path / "exports", project, formats=(), metrics=("csv", "json", "xlsx"))
    list(exporter.run())
    assert exporter.result.path.exists()


def polygon(number: int, area: int = 100) -> AnnotationRow:
    return AnnotationRow(number, 1, 1, [box(2, 2, 10, 10)], area, (2, 2, 10, 10), 0)


@pytest.mark.parametrize(("wrong", "found"), [(1, True), (1000, True), (1001, True), (1002, False), (1009, True)])
def test_the_first_polygons_are_all_drawn_again_and_then_every_eighth(wrong: int, found: bool) -> None:
    recount = CocoRecount("annotations/coco/", 1)
    with pytest.raises(ValueError, match=f"object {wrong}: its area 99") if found else nullcontext():
        for number in range(1, 2001):
            recount.check(polygon(number, 99 if number == wrong else 100))


RUNS = b'"size":[40,40],"counts":['
WRONG: dict[str, tuple[str, bytes, bytes, str]] = {
    "a coco area": ("coco", b'"area":100,', b'"area":99999,', "its area 99999 and box"),
    "a coco box": ("coco", b'"bbox":[2,2,10,10]', b'"bbox":[2,9,10,10]', "are not those of its rings"),
    "a coco box that is no box": ("coco", b'"bbox":[2,2,10,10]', b'"bbox":[2,2,0,0]', "are not those of its rings"),
    "a coco area by a pixel": ("coco", b'"area":100,', b'"area":101,', "its area 101 and box"),
    "a coco box by a pixel": ("coco", b'"bbox":[2,2,10,10]', b'"bbox":[2,3,10,10]', "are not those of its rings"),
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
    "voc's width": ("voc", b"<width>40</width>", b"", "annotations/voc/Annotations/a.xml: it lacks 'width'"),
    "voc's width where there is no object": ("voc", b"<width>20</width>", b"", "it does not say the size of its image"),
    "an edge of a box of voc": ("voc", b"<xmin>21</xmin>", b"", "it lacks 'xmin'"),
    "no label of cvat": ("cvat", b'<polygon label="wall"', b"<polygon", "annotations.xml: it lacks 'label'"),
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


def ours(value: int) -> Callable[[bytes], bytes]:
    """Return what writes a value into the corner of a mask, as masks are written here."""

    def paint(data: bytes) -> bytes:
        with Pillow.open(io.BytesIO(data)) as picture:
            pixels, palette = np.array(picture), picture.getpalette()
        pixels[0, 0] = value
        if pixels.dtype == np.int32:
            return encode_tiff(pixels.astype(np.uint32))
        colours = np.array(palette, np.uint8).reshape(-1, 3) if palette else None
        return b"".join(encode_png(pixels, Extras(palette=colours)))

    return paint


BITS_32 = {"instance_masks": {"bits": 32}}
STRIPS: list[tuple[str, dict[str, Any], Callable[[bytes], bytes], str]] = [
    ("semantic_masks", {}, ours(17), "it has the value 17, which is no class"),
    ("instance_masks", {}, ours(9), "instance_masks holds 3 images and"),
    ("instance_masks", BITS_32, ours(70_000), "instance_masks holds 3 images and"),
    ("instance_masks", {}, lambda data: data[:-30], "it ends before its pixels do"),
    ("instance_masks", {}, lambda data: data + b"more of it", "something comes after its end"),
    ("instance_masks", {}, lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:], "it is no mask"),
    ("instance_masks", BITS_32, lambda data: data[:-1], "it ends before its pixels do"),
    ("instance_masks", BITS_32, lambda data: data + b"more", "something comes after its pixels"),
    ("voc", {}, ours(9), "holds the number 9, and its xml 4 objects"),
]


@pytest.mark.parametrize(("name", "options", "alter", "said"), STRIPS)
def test_a_large_mask_is_read_in_strips_and_what_is_wrong_with_it_is_caught(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Damage,
    name: str,
    options: dict[str, Any],
    alter: Callable[[bytes], bytes],
    said: str,
) -> None:
    monkeypatch.setattr(masks, "MOST_PIXELS", 60)
    monkeypatch.setattr(strips, "STRIP_BYTES", 90)
    right = make_exporter(tmp_path / "exports", project, formats=(name,), format_options=options)
    list(right.run())
    assert right.result.path.exists()
    damage(lambda file, data: alter(data) if "/masks/" in file or "Object/a" in file else data)
    assert said in refused(make_exporter(tmp_path / "exports", project, formats=(name,), format_options=options))


def pixel(place: tuple[int, int], value: int) -> Callable[[bytes], bytes]:
    """Return what writes a value into one pixel of a palette mask."""

    def paint(data: bytes) -> bytes:
        with Pillow.open(io.BytesIO(data)) as picture:
            pixels = np.array(picture)
        pixels[place] = value
        return b"".join(encode_png(pixels, Extras(palette=voc_colours())))

    return paint


def without(number: int) -> Callable[[bytes], bytes]:
    """Return what takes an object out of a palette mask."""

    def take(data: bytes) -> bytes:
        with Pillow.open(io.BytesIO(data)) as picture:
            pixels = np.array(picture)
        return b"".join(encode_png(np.where(pixels == number, np.uint8(0), pixels), Extras(palette=voc_colours())))

    return take


@pytest.mark.parametrize(
    ("kind", "alter", "said"),
    [
        ("Object", pixel((0, 39), 1), "SegmentationObject/a.png: where it has the number 1, the mask of classes has 0"),
        ("Class", pixel((3, 3), 1), "where it has the number 1, the mask of classes has 1"),
        ("Class", pixel((3, 3), 3), "SegmentationClass/a.png: it has the value 3, which is no class"),
        ("Object", pixel((3, 21), 1), "the number 1 lies outside of its box"),
        ("both", pixel((39, 0), 2), "the number 2 lies outside of its box"),
        ("Object", pixel((3, 3), 7), "it holds the number 7, and its xml 4 objects"),
        ("both", without(2), "it lacks objects of its xml, of which nothing was said"),
        ("Object", eight_bit, "its pixels are L, not rows of a palette"),
    ],
)
def test_masks_of_voc_are_held_to_their_xml_and_to_each_other(
    tmp_path: Path, damage: Damage, kind: str, alter: Callable[[bytes], bytes], said: str
) -> None:
    """In both masks of the scene, what is of the class 2 has the number 2 too: only so does one change fit both."""
    things = [Thing([box(2, 2, 10, 10)], category=2), Thing([box(20, 2, 10, 10)], category=2), *THINGS[2:4]]
    things[0] = Thing([box(2, 2, 10, 10)], category=1 if kind == "both" else 2)
    project = make_scene(tmp_path / "voc", things, IMAGES, ("cell", "wall"))
    exporter = make_exporter(tmp_path / "exports", project, formats=("voc",))
    places = ("Object", "Class") if kind == "both" else (kind,)
    damage(lambda file, data: alter(data) if file.endswith("/a.png") and any(each in file for each in places) else data)
    assert said in refused(exporter)


@pytest.mark.parametrize(
    ("first", "every", "found"), [(voc.ALL_COMPARED, 8, True), (2, 3, True), (1, 2, True), (1, 3, False)]
)
def test_the_masks_of_the_first_images_are_all_compared_and_then_those_of_a_share(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Damage, first: int, every: int, found: bool
) -> None:
    """What is wrong is in the masks of the second of three images."""
    monkeypatch.setattr(voc, "ALL_COMPARED", first)
    monkeypatch.setattr(voc, "COMPARED_EVERY", every)
    exporter = make_exporter(tmp_path / "exports", project, formats=("voc",))
    alter = pixel((0, 0), 1)
    damage(lambda file, data: alter(data) if file.endswith("SegmentationObject/b.png") else data)
    if found:
        assert "SegmentationObject/b.png: where it has the number 1" in refused(exporter)
    else:
        list(exporter.run())
        assert exporter.result.path.exists()


def test_the_first_masks_are_all_decoded_by_pillow_and_then_a_share_and_all_that_are_not_of_our_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_pillow: list[int] = []
    opened = Pillow.open

    def count(*given: Any, **named: Any) -> Any:
        by_pillow.append(number)
        return opened(*given, **named)

    ours_form = b"".join(encode_png(np.eye(9, dtype=np.uint8)))
    filtered = b"".join(encode_png(np.zeros((9, 9, 3), np.uint8)))
    monkeypatch.setattr(Pillow, "open", count)
    decoder = Decoder()
    for number in range(1, ALL_BY_PILLOW + 4 * EVERY_BY_PILLOW):
        mask = decoder.decode(filtered if number == ALL_BY_PILLOW + 1 else ours_form)
        assert number == ALL_BY_PILLOW + 1 or (mask.pixels is not None and np.array_equal(mask.pixels, np.eye(9)))
    first = [*range(1, ALL_BY_PILLOW + 2)]
    assert by_pillow[: len(first)] == first
    assert len(by_pillow) > len(first) + 2
    assert all(each % EVERY_BY_PILLOW == 0 for each in by_pillow[len(first) :])


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.uint8, np.uint16]), st.booleans(), st.data())
def test_a_mask_of_our_form_is_decoded_as_pillow_does_and_a_damaged_one_is_left_to_it(
    seed: int, kind: type[np.unsignedinteger], palette: bool, data: st.DataObject
) -> None:
    dice = np.random.default_rng(seed)
    pixels = dice.integers(0, np.iinfo(kind).max, dice.integers(1, 40, 2), endpoint=True).astype(kind)
    colours = voc_colours() if palette and kind is np.uint8 else None
    file = b"".join(encode_png(pixels, Extras(palette=colours)))
    found = plain_png(file)
    assert found is not None
    with Pillow.open(io.BytesIO(file)) as picture:
        assert found[0] == picture.mode
        assert np.array_equal(found[1], np.asarray(picture))
    place = data.draw(st.integers(0, len(file) - 1))
    assert plain_png(file[:place]) is None
    assert plain_png(file[:place] + bytes([file[place] ^ 1]) + file[place + 1 :]) is None
    assert plain_png(file + b"x") is None


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.uint8, np.uint16, np.uint32]), st.integers(1, 3000))
def test_strips_find_the_values_that_a_decoder_finds_however_the_file_is_cut(
    seed: int, kind: type[np.unsignedinteger], cut: int
) -> None:
    dice = np.random.default_rng(seed)
    pixels = dice.integers(0, min(np.iinfo(kind).max, 70_000), dice.integers(1, 90, 2), endpoint=True).astype(kind)
    file = encode_tiff(pixels.astype(np.uint32)) if kind is np.uint32 else b"".join(encode_png(pixels))
    reader = strips.strips_of(file[: strips.HEAD_BYTES])
    assert reader is not None
    for start in range(0, len(file), cut):
        reader.take(file[start : start + cut])
    assert reader.pixels == pixels.size
    assert np.array_equal(reader.values(), np.unique(pixels))
