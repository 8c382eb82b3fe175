"""Random scenes through a whole export and back: parts, holes, overlaps, slivers, vertices out of the image; every format that can be exact is.

Coordinates are whole or have .25 or .75 behind the point, which no rounding of any format moves to another pixel.
"""

import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as reference
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.support.scenes import Bundle, Thing, export_to, make_scene

from labelferry_export.geometry.raster import runs_of
from labelferry_export.model import Image, Instance
from labelferry_export.reading.project import read_project
from labelferry_export.snapshot import Snapshot
from labelferry_protocol.options import ExportOptions

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIDE = 48
IMAGES = [("a.png", SIDE, SIDE), ("b.png", SIDE, SIDE)]
CLASSES = ("cell", "wall")
FORMATS = ("coco", "json", "cvat", "geojson", "imagej", "labelme", "voc", "instance_masks", "yolo")
TABLES = ("huggingface", "parquet", "webdataset")
MOST_JOINED = 24
"""Pixels by which an object may differ whose parts were united: slivers gain and lose some, as their corners are others then."""
MOST_OF_FLOATS = 3
"""Pixels by which an object of ImageJ may differ: its floats have 32 bits, and a corner that was cut off at the border has any coordinate."""
Mask = NDArray[np.bool_]
Masks = dict[int, Mask]
Pieces = tuple[list[float], list[list[float]]]
"""A ring, and its holes."""

numbers = st.builds(lambda whole, part: whole + part, st.integers(-6, SIDE + 6), st.sampled_from([0, 0, 0.25, 0.75]))
points = st.tuples(numbers, numbers)


@st.composite
def stars(draw: st.DrawFn, grid: int = 4, inside: bool = False) -> Pieces:
    """Return a ring around a middle, its corners in the order of their angles, and maybe a hole well within it."""
    places = st.integers(18, SIDE - 18) if inside else st.integers(0, SIDE)
    x, y = draw(places), draw(places)
    corners = draw(st.integers(3, 9))
    reach = [draw(st.integers(5, 18)) for _ in range(corners)]
    turns = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    ring = [(x + r * np.cos(t), y + r * np.sin(t)) for r, t in zip(reach, turns, strict=True)]
    hole = [(x + 2 * np.cos(t), y + 2 * np.sin(t)) for t in turns] if draw(st.booleans()) and corners > 4 else []
    return snapped(ring, grid), [snapped(hole, grid)] if hole else []


def snapped(ring: list[tuple[float, float]], grid: int) -> list[float]:
    """Return a ring on so many steps of a pixel, none of them a half."""
    steps = np.floor(np.array(ring) * grid)
    steps[(steps * 2 / grid) % 2 == 1] += 1
    return list((steps / grid).reshape(-1).tolist())


def is_simple(star: Pieces) -> bool:
    """Return whether a ring and its hole need no repair."""
    rings = [np.array(ring).reshape(-1, 2) for ring in (star[0], *star[1])]
    return bool(shapely.is_valid(shapely.Polygon(rings[0], rings[1:])))


slivers = st.tuples(points, points, st.sampled_from([0.25, 0.75])).map(
    lambda ends: [*ends[0], *ends[1], ends[1][0] + ends[2], ends[1][1]]
)
tangles = st.lists(points, min_size=3, max_size=6).map(lambda ring: [each for point in ring for each in point])
parts: st.SearchStrategy[Pieces] = st.one_of(stars(), st.one_of(slivers, tangles).map(lambda ring: (ring, [])))
things = st.builds(
    lambda pieces, image, category: Thing(
        [ring for ring, _ in pieces], [holes for _, holes in pieces], image, category
    ),
    st.lists(parts, min_size=1, max_size=3),
    st.integers(1, 2),
    st.integers(1, 2),
)
scenes = st.lists(things, min_size=1, max_size=6)


@contextmanager
def exported(scene: list[Thing], *formats: str, **options: Any) -> Iterator[tuple[Path, Bundle]]:
    """Give a folder and the bundle of a scene; what encloses nothing is left out of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = Thing([[1, 1, 5, 1, 5, 5, 1, 5]])
        source = make_scene(folder / "scene", [*scene, whole], IMAGES, CLASSES)
        yield folder, export_to(folder / "exports", source, formats=formats, on_error="skip", **options)


def read(folder: Path, bundle: Bundle, form: str) -> list[tuple[Image, list[Instance]]]:
    """Read a format of a bundle back."""
    options = ExportOptions(source_format=form)
    target = folder / f"{form}.sqlite"
    reading = read_project(bundle.folder, options, target, [folder])
    while True:
        try:
            next(reading)
        except StopIteration as end:
            snapshot: Snapshot = end.value
            found = [(image, list(snapshot.instances(image.id))) for image in snapshot.images()]
            snapshot.close()
            return found


def masks_of(read_back: list[tuple[Image, list[Instance]]]) -> Masks:
    return {each.id: runs_of(each.shape, SIDE, SIDE).mask() for _, objects in read_back for each in objects}


def pictures(read_back: list[tuple[Image, list[Instance]]]) -> list[tuple[str, str, bytes]]:
    """Return image, class and mask of each object that has a pixel, without ids."""
    found = [
        (image.name.rpartition("/")[2], str(each.category_id), runs_of(each.shape, SIDE, SIDE).mask().tobytes())
        for image, objects in read_back
        for each in objects
    ]
    return sorted(each for each in found if any(each[2]))


def without(numbers: set[int], masks: Masks) -> Masks:
    """Return the masks of all other objects."""
    return {number: mask for number, mask in masks.items() if number not in numbers}


def check_same(found: Masks, wanted: Masks) -> None:
    """Every object that has a pixel is there with exactly its pixels, and none that has not any."""
    assert set(found) <= set(wanted)
    for number, mask in wanted.items():
        assert np.array_equal(found.get(number, np.zeros_like(mask)), mask), number


def seen(wanted: list[tuple[Image, list[Instance]]]) -> Masks:
    """Return what of each object can be seen where later ones lie on top."""
    visible: Masks = {}
    for _, objects in wanted:
        covered = np.zeros((SIDE, SIDE), np.bool_)
        for each in sorted(objects, key=lambda each: -each.id):
            mask = runs_of(each.shape, SIDE, SIDE).mask()
            visible[each.id] = mask & ~covered
            covered |= mask
    return {number: mask for number, mask in visible.items() if mask.any()}


@settings(max_examples=12)
@given(scenes)
def test_every_source_reads_back_the_masks_that_its_format_wrote(scene: list[Thing]) -> None:
    with exported(scene, *FORMATS) as (folder, bundle):
        whole = read(folder, bundle, "labelferry")
        wanted = masks_of(whole)
        joined = {each["object_id"] for each in bundle.manifest["findings"] if each.get("loss") == "joined"}
        for form in ("coco", "cvat", "labelme"):
            check_same(masks_of(read(folder, bundle, form)), wanted)
        check_same(masks_of(read(folder, bundle, "masks")), seen(whole))
        geojson, imagej = (masks_of(read(folder, bundle, form)) for form in ("geojson", "imagej"))
        check_same(without(joined, geojson), without(joined, wanted))
        assert set(geojson) == set(imagej) == set(wanted)
        for number, mask in wanted.items():
            most = MOST_JOINED if number in joined else MOST_OF_FLOATS
            assert (geojson[number] ^ mask).sum() <= MOST_JOINED
            assert (imagej[number] ^ mask).sum() <= most


whole_scenes = st.lists(
    st.builds(
        lambda star, image: Thing([star[0]], [star[1]], image),
        stars(grid=1, inside=True).filter(is_simple),
        st.integers(1, 2),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=8)
@given(whole_scenes)
def test_yolo_reads_back_the_masks_of_outlines_on_whole_pixels(scene: list[Thing]) -> None:
    """Six decimals move a vertex by some 1e-5 px: only one that lies where the reference rounds either way can tell."""
    with exported(scene, "yolo", "json") as (folder, bundle):
        assert pictures(read(folder, bundle, "yolo")) == pictures(read(folder, bundle, "labelferry"))


@settings(max_examples=12)
@given(scenes)
def test_areas_boxes_and_masks_are_pycocotools_own(scene: list[Thing]) -> None:
    with exported(scene, "coco", "json") as (folder, bundle):
        wanted = masks_of(read(folder, bundle, "labelferry"))
        coco = bundle.coco()
        assert set(coco.anns) == set(wanted)
        for number, each in coco.anns.items():
            rle = coco.annToRLE(each)
            assert int(reference.area(rle)) == each["area"] == wanted[number].sum()
            assert np.array_equal(reference.decode(rle).astype(bool), wanted[number])
            if each["area"]:
                assert reference.toBbox(rle).tolist() == each["bbox"]


@settings(max_examples=8)
@given(scenes, st.sampled_from(["bridge", "split"]))
def test_rings_that_say_holes_are_the_same_mask(scene: list[Thing], holes: str) -> None:
    """Bridges are exact; a cut adds corners on slanted sides, which the reference rounds to a fifth of a pixel."""
    with exported(scene, "coco", "json", format_options={"coco": {"holes": holes}}) as (folder, bundle):
        wanted = masks_of(read(folder, bundle, "labelferry"))
        coco = bundle.coco()
        for number, each in coco.anns.items():
            assert isinstance(each["segmentation"], list)
            mask = coco.annToMask(each).astype(bool)
            assert mask.sum() == each["area"]
            differing = int((mask ^ wanted[number]).sum())
            assert differing == 0 if holes == "bridge" else differing <= 12


def test_tables_and_shards_hold_the_same_masks() -> None:
    @settings(max_examples=6)
    @given(scenes, st.sampled_from(["polygons", "rle"]))
    def check(scene: list[Thing], segmentation: str) -> None:
        options = {name: {"segmentation": segmentation} for name in ("huggingface", "parquet")}
        with exported(scene, *TABLES, "json", format_options=options) as (folder, bundle):
            wanted = masks_of(read(folder, bundle, "labelferry"))
            for reader in READERS:
                found = {number: decoded(outline).astype(bool) for number, outline in reader(bundle)}
                check_same(found, wanted)
                assert set(found) == set(wanted)

    check()


def decoded(outline: Any) -> Any:
    """Return the mask of an outline, rings or run lengths, as pycocotools makes it."""
    if isinstance(outline, dict):
        return reference.decode({"size": list(outline["size"]), "counts": outline["counts"]})
    return reference.decode(reference.merge(reference.frPyObjects(outline, SIDE, SIDE)))


def from_metadata(bundle: Bundle) -> Iterator[tuple[int, Any]]:
    for line in (bundle.folder / "images/metadata.jsonl").read_text().splitlines():
        objects = json.loads(line)["objects"]
        yield from zip(objects["id"], objects["segmentation"], strict=True)


def from_parquet(bundle: Bundle) -> Iterator[tuple[int, Any]]:
    from pyarrow import parquet

    for row in parquet.read_table(bundle.folder / "annotations/parquet/train.parquet").to_pylist():
        yield from zip(row["objects"]["id"], row["objects"]["segmentation"], strict=True)


def from_shards(bundle: Bundle) -> Iterator[tuple[int, Any]]:
    with tarfile.open(bundle.folder / "annotations/webdataset/shard-000000.tar") as shard:
        for member in shard:
            content = shard.extractfile(member)
            if member.name.endswith(".json") and content:
                yield from ((each["id"], each["segmentation"]) for each in json.load(content)["annotations"])


READERS: tuple[Callable[[Bundle], Iterator[tuple[int, Any]]], ...] = (from_metadata, from_parquet, from_shards)
