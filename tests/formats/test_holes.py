"""Holes said by rings alone: bridges, pieces and plain outlines, as pycocotools and YOLO's readers see them."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pycocotools.mask as reference
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.findings import Loss
from labelferry_export.formats._holes import BRIDGE, FILL, SPLIT, rings_of
from labelferry_export.formats.coco import annotations_of
from labelferry_export.formats.yolo import labels_of
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.repair import polygon_of
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.geometry.trace import shape_of_mask
from labelferry_export.model import Image, Instance

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = 40
IMAGE = Image(id=5, name="a.png", path=Path("a.png"), width=SIZE, height=SIZE)


def box(x: float, y: float, width: float, height: float) -> Ring:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


HOLED = Shape((Part(box(5, 5, 25, 25), (box(10, 10, 10, 10),)),))
TWO = Shape((*HOLED.parts, Part(box(32, 2, 5, 5))))


def annotation(shape: Shape, holes: str) -> tuple[dict[str, Any], list[str]]:
    instance = Instance(id=3, image_id=5, category_id=1, shape=shape)
    written = annotations_of(IMAGE, [instance], "compressed", holes)
    return msgspec.json.decode(written.data), [warn.message for warn in written.losses]


def mask_of(rings: list[list[float]]) -> Any:
    return reference.decode(reference.merge(reference.frPyObjects(rings, SIZE, SIZE)))


@pytest.mark.parametrize(
    ("holes", "rings", "area", "said"),
    [
        ("bridge", 1, 525, "object 3: 1 hole joined to the outline by bridges of no width"),
        ("fill", 1, 625, "object 3: 1 hole filled, 100 px more"),
        ("split", 2, 525, "object 3: 1 hole cut open: the object is 2 rings side by side"),
    ],
)
def test_coco_says_a_hole_by_rings_with_the_area_that_its_reader_sees(
    holes: str, rings: int, area: int, said: str
) -> None:
    each, losses = annotation(HOLED, holes)
    assert len(each["segmentation"]) == rings
    assert all(len(ring) >= 6 for ring in each["segmentation"])
    assert mask_of(each["segmentation"]).sum() == each["area"] == area
    assert each["bbox"] == [5, 5, 25, 25]
    assert each["iscrowd"] == 0
    assert losses == [said]


def test_an_object_without_holes_is_the_same_whatever_is_made_of_holes() -> None:
    plain = Shape((Part(box(1, 1, 5, 5)), Part(box(10, 1, 5, 5))))
    assert annotation(plain, "rle") == annotation(plain, "split") == annotation(plain, "bridge")


def test_a_crowd_stays_run_lengths_whatever_is_made_of_holes() -> None:
    crowd = Instance(id=3, image_id=5, category_id=1, shape=HOLED, crowd=True)
    assert b'"counts"' in annotations_of(IMAGE, [crowd], "compressed", "fill").data


BRIDGES = (Loss.BRIDGED, "object 3: 1 hole joined to the outline by bridges of no width")
FILLED = (Loss.FILLED, "object 3: 1 hole filled")
TWO_ROWS = (Loss.SPLIT, "object 3: 2 rows, which readers take for 2 objects")
CUT_OPEN = [
    (Loss.SPLIT, "object 3: 1 hole cut open: the object is 3 rings side by side"),
    (Loss.SPLIT, "object 3: 3 rows, which readers take for 3 objects"),
]


@pytest.mark.parametrize(
    ("parts", "holes", "rows", "said"),
    [
        ("bridge", "bridge", 1, [(Loss.BRIDGED, "object 3: 2 parts and 1 hole joined to one ring")]),
        ("split", "bridge", 2, [BRIDGES, TWO_ROWS]),
        ("bridge", "fill", 1, [FILLED, (Loss.BRIDGED, "object 3: 2 parts joined to one ring")]),
        ("split", "fill", 2, [FILLED, TWO_ROWS]),
        ("bridge", "split", 3, CUT_OPEN),
        ("split", "split", 3, CUT_OPEN),
    ],
)
def test_yolo_has_a_row_for_every_ring_and_says_what_was_done(
    parts: str, holes: str, rows: int, said: list[tuple[Loss, str]]
) -> None:
    written = labels_of(IMAGE, [Instance(id=3, image_id=5, category_id=1, shape=TWO)], parts, holes)
    assert len(written.data.splitlines()) == rows
    assert all(len(row.split()) >= 7 for row in written.data.splitlines())
    assert [(warn.loss, warn.message) for warn in written.losses] == said


def test_only_what_a_shape_has_is_reported_of_parts() -> None:
    parts = Shape((Part(box(1, 1, 5, 5)), Part(box(10, 1, 5, 5))))
    (warn,) = labels_of(IMAGE, [Instance(id=3, image_id=5, category_id=1, shape=parts)], "split", "bridge").losses
    assert warn.message == "object 3: 2 rows, which readers take for 2 objects"


masks = st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=9, max_size=9).map(np.array)


@given(masks)
def test_bridges_and_pieces_of_any_mask_are_the_mask(mask: Any) -> None:
    shape = shape_of_mask(mask, offset=(4, 6))
    if shape is None:
        return
    for holes in (BRIDGE, SPLIT):
        rings = rings_of(shape, holes)
        assert runs_of(Shape(tuple(map(Part, rings))), SIZE, SIZE) == runs_of(shape, SIZE, SIZE)
        assert (mask_of([ring.reshape(-1).tolist() for ring in rings]) != 0).sum() == mask.sum()


@given(st.lists(st.tuples(st.floats(6, 27), st.floats(6, 27), st.floats(0.1, 3)), min_size=1, max_size=8))
def test_pieces_are_simple_rings_that_cover_what_the_object_covers(spots: list[tuple[float, float, float]]) -> None:
    holes = shapely.union_all([shapely.box(x, y, x + side, y + side) for x, y, side in spots])
    outer = np.array([(5.0, 4.0), (31.0, 5.5), (33.0, 32.0), (4.5, 33.0)])
    whole = shapely.difference(shapely.polygons(outer), holes)
    rings = [shapely.get_coordinates(each)[:-1] for each in shapely.get_rings(whole)]
    shape = Shape((Part(rings[0], tuple(rings[1:])),))
    pieces = [polygon_of(Part(ring)) for ring in rings_of(shape, SPLIT)]
    assert all(shapely.is_valid(piece) for piece in pieces)
    assert sum(piece.area for piece in pieces) == pytest.approx(polygon_of(shape.parts[0]).area)
    assert shapely.union_all(pieces).symmetric_difference(polygon_of(shape.parts[0])).area < 1e-6


def test_a_thousand_holes_are_cut_open_in_no_time() -> None:
    holes = tuple(box(3 + 4 * (n % 32), 3 + 4 * (n // 32), 2, 2) for n in range(1000))
    shape = Shape((Part(box(0, 0, 140, 140), holes),))
    rings = rings_of(shape, SPLIT)
    assert sum(polygon_of(Part(ring)).area for ring in rings) == 140 * 140 - 4000
    assert rings_of(shape, FILL)[0] is shape.parts[0].outer
