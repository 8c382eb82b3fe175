"""Edge cases 7 to 11: parts, nesting, and outlines that are no outlines, read back by pycocotools, supervision and shapely."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from PIL import Image as Pillow
from tests.edge_cases.conftest import Export
from tests.edge_cases.oracles import EMPTY
from tests.support.scenes import Bundle, Thing, box, decoded, write_coco

with warnings.catch_warnings():
    # It says at import that it works without OpenCV.
    warnings.simplefilter("ignore")
    from supervision import DetectionDataset

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FOUR = Thing([box(x, y, 6, 6) for x, y in ((2, 2), (30, 2), (2, 30), (30, 30))])
SQUARE = box(10, 10, 10, 10)


def supervised(bundle: Bundle) -> Any:
    """Return the detections that supervision reads from the YOLO tree, of its first image."""
    dataset = DetectionDataset.from_yolo(
        images_directory_path=str(bundle.folder / "images"),
        annotations_directory_path=str(bundle.folder / "labels"),
        data_yaml_path=str(bundle.folder / "data.yaml"),
        force_masks=True,
    )
    return dataset[0][2]


def rows(bundle: Bundle) -> list[list[float]]:
    """Return the rows of the first label file as numbers."""
    (name,) = bundle.names("labels")
    return [[float(each) for each in row.split()] for row in (bundle.folder / "labels" / name).read_text().splitlines()]


def geometries(bundle: Bundle) -> list[Any]:
    """Return the features' geometries as shapely reads them."""
    (name,) = bundle.names("annotations/geojson")
    document = json.loads((bundle.folder / "annotations/geojson" / name).read_text())
    return [shapely.from_geojson(json.dumps(each["geometry"])) for each in document["features"]]


def test_case_07_multi_part_instance_in_coco(export_scene: Export) -> None:
    bundle = export_scene(FOUR, formats=("coco",))
    (each,) = bundle.annotations()
    assert len(each["segmentation"]) == 4
    wanted = np.zeros((40, 40), bool)
    for x, y in ((2, 2), (30, 2), (2, 30), (30, 30)):
        wanted[y : y + 6, x : x + 6] = True
    assert (bundle.coco().annToMask(each).astype(bool) == wanted).all()


def test_case_07_multi_part_instance_in_yolo_is_bridged_and_reported(export_scene: Export) -> None:
    bundle = export_scene(FOUR, formats=("yolo",))
    (row,) = rows(bundle)
    ring = (np.array(row[1:]).reshape(-1, 2) * 40).round(3).reshape(-1).tolist()
    assert decoded([ring], 40, 40).sum() == 4 * 36
    assert bundle.findings(format="yolo", image="a.png") == ["object 1: 4 parts joined to one ring"]
    assert len(supervised(bundle)) == 1


def test_case_07_multi_part_instance_in_yolo_is_split_and_reported(export_scene: Export) -> None:
    bundle = export_scene(FOUR, formats=("yolo",), format_options={"yolo": {"parts": "split"}})
    assert [len(row) for row in rows(bundle)] == [9] * 4
    assert bundle.findings(format="yolo", image="a.png") == ["object 1: 4 rows, which readers take for 4 objects"]
    assert len(supervised(bundle)) == 4


def test_case_08_nested_objects_from_a_mask(export: Export, tmp_path: Path) -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[5:35, 5:35] = 1
    mask[10:30, 10:30] = 0
    mask[15:25, 15:25] = 2
    for folder, picture in (("images", np.zeros_like(mask)), ("masks", mask)):
        (tmp_path / "project" / folder).mkdir(parents=True)
        Pillow.fromarray(picture).save(tmp_path / "project" / folder / "a.png")
    bundle = export(tmp_path / "project", formats=("coco", "geojson"), metrics=("csv",))
    assert [float(row["area_px2"]) for row in bundle.table()] == [900 - 400, 100]
    assert [each["area"] for each in bundle.annotations()] == [500, 100]
    assert [each.area for each in geometries(bundle)] == [500, 100]
    assert [len(each.interiors) for each in geometries(bundle)] == [1, 0]


def test_case_08_nested_objects_whose_hole_belongs_to_the_smallest_ring_around_it(
    export: Export, tmp_path: Path
) -> None:
    """A, a hole in A, B (a part of the same object) within the hole, and a hole in B: as LabelMe's rings of one group."""
    rings = [
        (box(2, 2, 36, 36), False),
        (box(6, 6, 28, 28), True),
        (box(10, 10, 20, 20), False),
        (box(15, 15, 5, 5), True),
    ]
    shapes = [
        {
            "label": "cell",
            "points": np.array(ring).reshape(-1, 2).tolist(),
            "group_id": 1,
            "shape_type": "polygon",
            "flags": {"hole": True} if hole else {},
        }
        for ring, hole in rings
    ]
    (tmp_path / "project").mkdir()
    Pillow.new("L", (40, 40)).save(tmp_path / "project/a.png")
    page = {"shapes": shapes, "imagePath": "a.png", "imageData": None, "imageWidth": 40, "imageHeight": 40}
    (tmp_path / "project/a.json").write_text(json.dumps({**page, "version": "5.5.0", "flags": {}}))
    bundle = export(tmp_path / "project", formats=("geojson",), metrics=("csv",))
    (whole,) = geometries(bundle)
    assert sorted(part.area for part in whole.geoms) == [400 - 25, 36 * 36 - 28 * 28]
    assert float(bundle.table()[0]["area_px2"]) == 36 * 36 - 28 * 28 + 400 - 25


DEGENERATE = {
    **EMPTY,
    "two distinct points": [5, 5, 9, 9, 5, 5, 9, 9],
    "no area": [5, 5, 9, 5, 5, 5, 9, 5],
    "infinite": [5, 5, float("inf"), 5, 9, 9],
    "odd count": [5, 5, 9, 5, 9, 9, 5],
    "no point": [],
}
DROPPED = [name for name in DEGENERATE if name != "sub-pixel triangle"]
UNREADABLE = {"odd count", "infinite"}
"""Of these `on_error` decides, as of all that cannot be understood (json has no infinity)."""


def test_case_09_degenerate_geometry(export: Export, tmp_path: Path) -> None:
    closed = [*SQUARE, 10, 10]
    segmentations = [[SQUARE], *([ring] for ring in DEGENERATE.values()), [closed]]
    bundle = export(
        write_coco(tmp_path / "project", segmentations), formats=("coco", "yolo"), metrics=("csv",), on_error="skip"
    )
    kept = [1, 2 + list(DEGENERATE).index("sub-pixel triangle"), len(segmentations)]
    assert [each["id"] for each in bundle.annotations()] == kept
    assert [int(row["object_id"]) for row in bundle.table()] == kept
    assert len(bundle.findings(code="object-dropped")) == len(DROPPED)
    assert all(len(ring) >= 6 for each in bundle.annotations() for ring in each["segmentation"])
    assert bundle.annotations()[-1]["segmentation"] == [SQUARE]
    assert len(rows(bundle)) == 3


@pytest.mark.parametrize("name", [name for name in DROPPED if name not in UNREADABLE])
def test_case_09_degenerate_geometry_is_left_out_whatever_on_error_says(
    export: Export, tmp_path: Path, name: str
) -> None:
    bundle = export(write_coco(tmp_path / "project", [[SQUARE], [DEGENERATE[name]], [SQUARE]]), formats=("coco",))
    assert [each["id"] for each in bundle.annotations()] == [1, 3]
    assert len(bundle.findings(code="object-dropped")) == 1


@pytest.mark.parametrize(
    ("ring", "area"),
    [
        ([10, 10, 20, 20, 20, 10, 10, 20], 50),
        ([5, 5, 35, 5, 35, 20, 5, 20, 5, 5, 10, 5, 10, 30, 20, 30, 20, 5], None),
        ([20, 2, 32, 38, 2, 15, 38, 15, 8, 38], None),
    ],
    ids=["bow-tie", "an ear", "pentagram"],
)
def test_case_10_self_intersection(export: Export, tmp_path: Path, ring: list[float], area: float | None) -> None:
    bundle = export(write_coco(tmp_path / "project", [[ring]]), formats=("geojson", "coco"), metrics=("csv",))
    (geometry,) = geometries(bundle)
    assert shapely.is_valid(geometry)
    assert 0 < geometry.area < shapely.convex_hull(geometry).area
    assert area is None or geometry.area == area
    assert float(bundle.table()[0]["area_px2"]) == pytest.approx(geometry.area)
    (said,) = bundle.findings(code="object-repaired")
    assert "repaired by the even-odd rule" in said
    assert f"{geometry.area:.6g} after" in said
    before = decoded([ring], 40, 40)
    after = bundle.coco().annToMask(bundle.annotations()[0]).astype(bool)
    assert (before ^ after).sum() <= 0.02 * before.sum()


def test_case_10_self_intersection_of_parts_that_overlap_is_valid_geojson(export_scene: Export) -> None:
    bundle = export_scene(Thing([box(5, 5, 10, 10), box(10, 10, 10, 10)]), formats=("geojson",))
    (geometry,) = geometries(bundle)
    assert shapely.is_valid(geometry)
    assert geometry.area == 175
    assert bundle.findings(format="geojson") == [
        "object 1: its parts overlap, which GeoJSON's polygons must not: joined"
    ]


def test_case_11_out_of_image_vertices(export: Export, tmp_path: Path) -> None:
    legs = [-10, 5, 20, 5, 20, 15, -5, 15, -5, 25, 20, 25, 20, 35, -10, 35]
    beyond = [30, 30, 60, 30, 60, 60, 30, 60]
    away = [50, 50, 60, 50, 60, 60]
    project = write_coco(tmp_path / "project", [[legs], [beyond], [away]])
    bundle = export(project, formats=("coco", "yolo", "yolo_detect", "voc", "geojson"), on_error="skip")
    first, second = bundle.annotations()
    assert len(first["segmentation"]) == 2
    assert [first["area"], second["area"]] == [400, 100]
    for each in (first, second):
        numbers = np.concatenate([np.array(ring) for ring in each["segmentation"]])
        assert numbers.min() >= 0
        assert numbers.max() <= 40
    shares = [number for row in rows(bundle) for number in row[1:]]
    assert min(shares) >= 0
    assert max(shares) <= 1
    (labels,) = bundle.names("annotations/yolo_detect/labels")
    for row in (bundle.folder / "annotations/yolo_detect/labels" / labels).read_text().splitlines():
        _, x, y, width, height = map(float, row.split())
        assert min(x - width / 2, y - height / 2) >= -1e-9
        assert max(x + width / 2, y + height / 2) <= 1 + 1e-9
    assert all(shapely.box(0, 0, 40, 40).covers(each) for each in geometries(bundle))
    assert len(bundle.findings(code="object-clipped")) == 2
    (said,) = bundle.findings(code="object-dropped")
    assert "outside of the image" in said
