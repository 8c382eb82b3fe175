"""Instance masks, read back by scikit-image and Pillow and compared with pycocotools' masks of the same objects."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow
from pycocotools.coco import COCO
from skimage.io import imread

from labelferry_export.errors import ExportError
from labelferry_export.formats import _painting, find
from labelferry_export.formats._painting import Painting, in_painting_order
from labelferry_export.formats._tiff import encode_tiff
from labelferry_export.formats.instance_masks import InstanceMask, check_count
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.model import Image, Instance

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Make = Callable[..., Path]
Unzip = Callable[[Path], Path]
MASKS = "annotations/instance_masks/masks"


def thing(x: float, y: float, width: float, height: float, image: int = 1, **more: Any) -> tuple[int, Any]:
    return image, {"segmentation": [[x, y, x + width, y, x + width, y + height, x, y + height]], **more}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "annotations/instance_masks/objects.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def findings(folder: Path) -> list[dict[str, Any]]:
    """Return what was lost of single objects, images and classes: not what every object loses."""
    found = json.loads((folder / "manifest.json").read_text())["findings"]
    alike = find("instance_masks").lossiness.alike.values()
    return [each for each in found if each.get("format") == "instance_masks" and each["message"] not in alike]


def test_values_are_objects_and_the_table_says_which(make_scene: Make, export: Make, unzip: Unzip) -> None:
    things = (thing(0, 0, 4, 4, image=2), thing(2, 3, 5, 4), thing(20, 10, 8, 6, category_id=2))
    folder = unzip(export(make_scene(*things, images=("a.png", "=b.png")), formats=("instance_masks",)))
    mask = imread(folder / MASKS / "a.png")
    expected = np.zeros((30, 40), np.uint16)
    expected[3:7, 2:7] = 1
    expected[10:16, 20:28] = 2
    assert mask.dtype == np.uint16
    assert (mask == expected).all()
    assert [tuple(row.values()) for row in rows(folder)] == [
        ("masks/a.png", "1", "2", "1", "cell"),
        ("masks/a.png", "2", "3", "2", "nucleus"),
        ("masks/=b.png", "1", "1", "1", "cell"),
    ]
    assert findings(folder) == []


def test_edge_case_18_more_than_255_objects_each_have_a_value(make_scene: Make, export: Make, unzip: Unzip) -> None:
    things = [thing(3 * (number % 30), 3 * (number // 30), 2, 2) for number in range(600)]
    folder = unzip(export(make_scene(*things, size=(90, 60)), formats=("instance_masks",)))
    mask = imread(folder / MASKS / "a.png")
    assert np.unique(mask).tolist() == list(range(601))
    assert len(rows(folder)) == 600
    with Pillow.open(folder / MASKS / "a.png") as picture:
        assert picture.mode == "I;16"


def test_edge_case_19_what_lies_under_other_objects_is_counted_and_named(
    make_scene: Make, export: Make, unzip: Unzip
) -> None:
    things = (thing(0, 0, 10, 10), thing(20, 0, 4, 4), thing(5, 0, 10, 10), thing(19, 0, 6, 6))
    folder = unzip(export(make_scene(*things), formats=("instance_masks",)))
    mask = imread(folder / MASKS / "a.png")
    assert np.bincount(mask.reshape(-1)).tolist() == [1200 - 50 - 100 - 36, 50, 0, 100, 36]
    whole, hidden = findings(folder)
    assert whole["message"].startswith("66 px of objects")
    assert (hidden["object_id"], "wholly" in hidden["message"]) == (2, True)


def test_a_crowd_is_left_out_and_reported(make_scene: Make, export: Make, unzip: Unzip) -> None:
    folder = unzip(export(make_scene(thing(0, 0, 9, 9, iscrowd=1), thing(2, 2, 4, 4)), formats=("instance_masks",)))
    assert np.bincount(imread(folder / MASKS / "a.png").reshape(-1)).tolist() == [1200 - 16, 16]
    assert [row["object_id"] for row in rows(folder)] == ["2"]
    assert [each["object_id"] for each in findings(folder)] == [1]


def test_the_preview_shows_objects_in_colour_and_can_be_left_out(make_scene: Make, export: Make, unzip: Unzip) -> None:
    scene = make_scene(thing(2, 3, 5, 4), thing(20, 10, 8, 6))
    folder = unzip(export(scene, formats=("instance_masks",)))
    with Pillow.open(folder / "annotations/instance_masks/preview/a.png") as picture:
        colours = {picture.convert("RGB").getpixel(place) for place in ((0, 0), (3, 4), (21, 11))}
    assert (0, 0, 0) in colours
    assert len(colours) == 3
    options = {"instance_masks": {"preview": False}}
    plain = unzip(export(scene, formats=("instance_masks",), format_options=options))
    assert not (plain / "annotations/instance_masks/preview").exists()


def test_edge_case_20_an_image_without_objects_has_a_mask_of_zeros(
    make_scene: Make, export: Make, unzip: Unzip
) -> None:
    folder = unzip(export(make_scene(images=("a.png",)), formats=("instance_masks",)))
    assert not imread(folder / MASKS / "a.png").any()
    assert rows(folder) == []


def test_more_objects_than_16_bits_can_number_are_refused_in_a_sentence() -> None:
    image = Image(id=5, name="a.png", path=Path("a.png"), width=400, height=400)
    check_count(image, 65535)
    with pytest.raises(ExportError, match=r"'a\.png' has 65536 objects.*tiles"):
        check_count(image, 65536)


def test_every_object_equals_the_mask_that_pycocotools_makes_of_it(
    make_project: Make, export: Make, unzip: Unzip
) -> None:
    folder = unzip(export(make_project(6), formats=("coco", "instance_masks"), split={"train": 0.5, "val": 0.5}))
    annotations: dict[str, tuple[COCO, Any]] = {}
    for split in ("train", "val"):
        coco = COCO(str(folder / f"annotations/coco/instances_{split}.json"))
        annotations |= {str(number): (coco, each) for number, each in coco.anns.items()}
    assert len(rows(folder)) == len(annotations) == 18
    for row in rows(folder):
        coco, each = annotations[row["object_id"]]
        mask = imread(folder / "annotations/instance_masks" / row["file"])
        assert ((mask == int(row["value"])) == (coco.annToMask(each) == 1)).all()


boxes = st.tuples(st.integers(0, 19), st.integers(0, 19), st.integers(1, 9), st.integers(1, 9), st.booleans())


@given(st.lists(boxes, max_size=12))
def test_a_painting_equals_masks_laid_over_each_other_and_counts_what_they_hide(
    given_boxes: list[tuple[int, int, int, int, bool]],
) -> None:
    instances = []
    for number, (x, y, width, height, crowd) in enumerate(given_boxes, start=1):
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        shape = Shape((Part(np.array(corners, np.float64).clip(0, 20)),))
        instances.append(Instance(number, 1, 1 + number % 3, shape, crowd))
    order = in_painting_order(instances)
    painting = Painting(20, 20, len(order))
    painting.add(order[:5])
    painting.add(order[5:])
    values = [0, *(0 if each.crowd else each.category_id for each in order)]
    laid = np.zeros((20, 20), np.int64)
    covered = {value: np.zeros((20, 20), np.bool_) for value in (1, 2, 3)}
    for place, each in enumerate(order, start=1):
        mask = runs_of(each.shape, 20, 20).mask()
        laid[mask] = place
        if not each.crowd:
            covered[each.category_id] |= mask
    seen: NDArray[np.int64] = np.array(values, np.int64)[laid]
    assert (painting.mask(np.arange(len(order) + 1, dtype=np.uint16)) == laid).all()
    counts = {value: int(mask.sum() - (seen == value).sum()) for value, mask in covered.items()}
    assert painting.hidden(values) == {value: count for value, count in counts.items() if count}


@pytest.mark.parametrize("bits", [16, 32])
def test_a_mask_is_made_block_by_block_with_a_piece_between_two(monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    monkeypatch.setattr(_painting, "BLOCK", 100)
    image = Image(1, "a.png", Path("a.png"), 40, 30, bundle_name="a.png")
    square = Shape((Part(np.array([(2, 2), (9, 2), (9, 9), (2, 9)], np.float64)),))
    pieces = list(InstanceMask(preview=False, bits=bits)(image, [Instance(1, 1, 1, square)]))
    assert [piece.file is not None for piece in pieces].index(True) >= 40 * 30 // 100
    assert all(piece.is_empty for piece in pieces[:-1])


@pytest.mark.parametrize("size", [(1, 1), (40, 30), (7, 300)])
def test_a_tiff_of_32_bits_is_read_by_other_people_with_every_number(tmp_path: Path, size: tuple[int, int]) -> None:
    values = np.random.default_rng(3).integers(0, 2**32, size, np.uint32)
    (tmp_path / "a.tif").write_bytes(encode_tiff(values))
    tifffile = pytest.importorskip("tifffile")
    assert (tifffile.imread(tmp_path / "a.tif") == values).all()
    with Pillow.open(tmp_path / "a.tif") as picture:
        assert (np.asarray(picture).view(np.uint32) == values).all()


def test_a_tiff_that_32_bits_cannot_address_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold 40000 x 40000"):
        encode_tiff(np.broadcast_to(np.uint32(0), (40_000, 40_000)))
