"""Edge cases 1 to 6: what COCO says of a mask, read back by pycocotools."""

from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from tests.edge_cases.conftest import Export
from tests.edge_cases.oracles import (
    BLOCK_COUNTS,
    EMPTY,
    FILLED_AREA,
    FINDCONTOURS_RING,
    HOLED_AREA,
    HOLED_HOLE,
    HOLED_OUTER,
    ONES_COUNTS,
    POLYGONS,
    Oracle,
)
from tests.support.scenes import Thing, box, decoded, export_to, write_coco

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

UNCOMPRESSED = {"coco": {"rle": "uncompressed"}}
HOLED = Thing([HOLED_OUTER], [[HOLED_HOLE]])


def write_masks(folder: Path, masks: list[Any]) -> Path:
    """Make a project of label masks, one an image."""
    for number, mask in enumerate(masks):
        for place, picture in (("images", np.zeros_like(mask, np.uint8)), ("masks", mask)):
            (folder / place).mkdir(parents=True, exist_ok=True)
            Pillow.fromarray(picture).save(folder / place / f"{number:03}.png")
    return folder


def column_by_column(counts: list[int], height: int, width: int) -> Any:
    """Decode run lengths the slow way, straight from COCO's description of them."""
    pixels = [run % 2 for run, count in enumerate(counts) for _ in range(count)]
    return np.array([[pixels[x * height + y] for x in range(width)] for y in range(height)], bool)


@pytest.mark.parametrize("rle", ["compressed", "uncompressed"])
def test_case_01_hole_in_coco(export_scene: Export, rle: str) -> None:
    coco = export_scene(HOLED, formats=("coco",), format_options={"coco": {"rle": rle}}).coco()
    (each,) = coco.anns.values()
    assert coco.annToMask(each).sum() == each["area"] == HOLED_AREA
    assert each["iscrowd"] == 0
    counts = reference.decode(coco.annToRLE(each)).T.reshape(-1)
    assert counts.size == 40 * 40
    if rle == "uncompressed":
        said = each["segmentation"]["counts"]
        assert sum(said) == 40 * 40
        assert said[0] == 5 * 40 + 5


def test_case_01_hole_in_coco_would_be_filled_by_two_rings() -> None:
    assert decoded([HOLED_OUTER, HOLED_HOLE], 40, 40).sum() == FILLED_AREA
    assert reference.area(reference.frPyObjects(np.array([[5.0, 5, 25, 25]]), 40, 40))[0] == FILLED_AREA


def test_case_02_mask_starting_at_pixel_0_0(export_scene: Export) -> None:
    images = [("ones.png", 2, 2), ("corner.png", 12, 10)]
    crowd = Thing([box(0, 0, 2, 2)], crowd=True)
    corner = Thing([box(0, 0, 6, 6)], [[box(2, 2, 2, 2)]], image=2)
    bundle = export_scene(crowd, corner, images=images, formats=("coco",), format_options=UNCOMPRESSED)
    first, second = bundle.annotations()
    assert first["segmentation"] == {"size": [2, 2], "counts": ONES_COUNTS}
    assert second["segmentation"]["counts"][0] == 0
    assert bundle.coco().annToMask(second).sum() == second["area"] == 32


def test_case_03_rle_order(export_scene: Export) -> None:
    block = Thing([box(3, 2, 6, 6)], [[box(5, 4, 2, 2)]])
    lopsided = Thing([[1, 0, 11, 0, 11, 1, 4, 1, 4, 9, 1, 9]], [[box(2, 3, 1, 4)]])
    bundle = export_scene(block, lopsided, images=[("a.png", 12, 10)], formats=("coco",), format_options=UNCOMPRESSED)
    coco = bundle.coco()
    for each in bundle.annotations():
        said = each["segmentation"]
        assert said["size"] == [10, 12]
        assert sum(said["counts"]) == 120
        assert (coco.annToMask(each) == column_by_column(said["counts"], 10, 12)).all()
    first, second = bundle.annotations()
    assert first["segmentation"]["counts"][:6] == BLOCK_COUNTS
    assert first["area"] == 32
    mask = coco.annToMask(second)
    assert (mask[0, 1:11].all(), mask[8, 1:4].all(), mask[5, 2], mask[9].any()) == (True, True, 0, False)


@pytest.mark.parametrize("name", POLYGONS)
def test_case_04_area_equals_the_mask_and_case_05_the_box_is_the_masks(
    export: Export, tmp_path: Path, name: str
) -> None:
    oracle: Oracle = POLYGONS[name]
    bundle = export(write_coco(tmp_path / "project", [[oracle.ring]]), formats=("coco",))
    coco = bundle.coco()
    (each,) = coco.anns.values()
    rle = coco.annToRLE(each)
    assert each["area"] == oracle.area == int(reference.area(rle)) == coco.annToMask(each).sum()
    assert tuple(each["bbox"]) == oracle.bbox == tuple(reference.toBbox(rle))


@pytest.mark.parametrize("name", POLYGONS)
def test_case_04_area_equals_the_mask_by_the_reference_itself(name: str) -> None:
    rle = reference.frPyObjects([POLYGONS[name].ring], 40, 40)
    assert int(reference.area(rle)[0]) == POLYGONS[name].area
    assert tuple(reference.toBbox(rle)[0]) == POLYGONS[name].bbox


def test_case_05_bbox_contains_segmentation(export_scene: Export) -> None:
    shapes = [Thing([each.ring]) for name, each in POLYGONS.items() if name[:3] not in ("out", "bow")]
    sliver = Thing([EMPTY["sub-pixel triangle"]])
    bundle = export_scene(*shapes, HOLED, sliver, formats=("coco",))
    coco = bundle.coco()
    for each in bundle.annotations():
        x, y, width, height = each["bbox"]
        assert width > 0
        assert height > 0
        inside = np.zeros((40, 40), bool)
        inside[int(y) : int(np.ceil(y + height)), int(x) : int(np.ceil(x + width))] = True
        assert not (coco.annToMask(each).astype(bool) & ~inside).any()
    assert [each["area"] for each in bundle.annotations()][-1] == 0
    assert any("covers no pixel centre" in said for said in bundle.findings(format="coco"))


def test_case_06_half_pixel_contract(export: Export, tmp_path: Path) -> None:
    mask = np.zeros((40, 40), np.uint16)
    mask[10:20, 10:20] = 1
    (each,) = export(write_masks(tmp_path / "project", [mask]), formats=("coco",)).annotations()
    assert each["segmentation"] == [[10, 10, 20, 10, 20, 20, 10, 20]]
    assert decoded(each["segmentation"], 40, 40).sum() == 100
    assert decoded([FINDCONTOURS_RING], 40, 40).sum() == 81


labels = st.lists(st.lists(st.sampled_from([0, 0, 1, 2]), min_size=14, max_size=14), min_size=9, max_size=9).map(
    lambda rows: np.array(rows, np.uint16)
)


@settings(max_examples=8)
@given(masks=st.lists(labels.filter(lambda mask: bool(mask.any())), min_size=4, max_size=12))
def test_case_06_half_pixel_contract_for_any_mask(masks: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("masks")
    bundle = export_to(folder / "exports", write_masks(folder / "project", masks), formats=("coco", "instance_masks"))
    coco = bundle.coco()
    for number, mask in enumerate(masks):
        rows = coco.imgToAnns[number + 1]
        found = {tuple(coco.annToMask(each).reshape(-1).tolist()) for each in rows}
        wanted = {tuple((mask == value).reshape(-1).astype(int).tolist()) for value in np.unique(mask[mask > 0])}
        assert found == wanted
        again = bundle.array(f"annotations/instance_masks/masks/{number:03}.png")
        assert ((again > 0) == (mask > 0)).all()
