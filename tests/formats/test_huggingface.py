"""Hugging Face imagefolder, read back by `datasets` from this machine alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.formats._objects import Objects, rings_of
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.shape import Part, Ring, Shape
from labelferry_export.geometry.trace import shape_of_mask
from labelferry_export.model import Image, Instance

# Arrow and pycocotools are at odds with NumPy 2's deprecations; nothing of ours is looked away from.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

IMAGE = Image(id=5, name="a.png", path=Path("a.png"), width=40, height=30)
Load = Callable[..., Any]


def box(x: float, y: float, width: float, height: float) -> Ring:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def objects(*parts: Part, segmentation: str = "polygons", crowd: bool = False) -> tuple[Objects, list[Finding]]:
    found = Objects()
    instance = Instance(id=7, image_id=5, category_id=2, shape=Shape(parts), crowd=crowd, attributes={"round": True})
    losses = found.add(IMAGE, [instance], segmentation, "huggingface")
    return found, [warn.code for warn in losses]


def test_a_square_is_one_ring_with_coco_s_box_and_area() -> None:
    found, losses = objects(Part(box(2, 3, 10, 5)))
    assert (found.id, found.category, found.area, found.iscrowd) == ([7], [1], [50], [0])
    assert found.bbox == [(2.0, 3.0, 10.0, 5.0)]
    assert found.segmentation == [[[2.0, 3.0, 12.0, 3.0, 12.0, 8.0, 2.0, 8.0]]]
    assert found.attributes == ['{"round":true}']
    assert losses == []


def test_every_number_is_a_float_so_that_a_column_has_one_type() -> None:
    found, _ = objects(Part(box(2, 3, 10, 5)), Part(box(20.5, 3, 4, 5)))
    assert all(isinstance(value, float) for value in found.bbox[0])
    rings = found.segmentation[0]
    assert isinstance(rings, list)
    assert all(isinstance(value, float) for ring in rings for value in ring)


def test_a_hole_is_bridged_and_reported_as_a_polygon_and_exact_as_run_lengths() -> None:
    part = Part(box(3, 3, 25, 25), (box(10, 10, 10, 10),))
    bridged, losses = objects(part)
    assert (bridged.area, losses) == ([525], [Finding.FORMAT_LOSS])
    assert int(reference.area(reference.frPyObjects(bridged.segmentation[0], 30, 40)).sum()) == 525
    packed, losses = objects(part, segmentation="rle")
    mask = packed.segmentation[0]
    assert not isinstance(mask, list)
    assert int(reference.area({"size": list(mask.size), "counts": mask.counts})) == 525
    assert losses == []


def test_an_object_without_a_pixel_is_kept_and_reported() -> None:
    found, losses = objects(Part(np.array([(3.6, 3.6), (3.9, 3.6), (3.9, 3.7)])))
    assert found.area == [0]
    assert found.bbox[0] == pytest.approx((3.6, 3.6, 0.3, 0.1))
    assert losses == [Finding.OBJECT_NO_PIXEL]


def test_objects_added_in_batches_are_the_same_as_at_once() -> None:
    instances = [
        Instance(id=number, image_id=5, category_id=1, shape=Shape((Part(box(number, 2, 3, 3)),)))
        for number in range(1, 5)
    ]
    whole, pieces = Objects(), Objects()
    whole.add(IMAGE, instances, "polygons", "huggingface")
    pieces.add(IMAGE, instances[:2], "polygons", "huggingface")
    pieces.add(IMAGE, instances[2:], "polygons", "huggingface")
    assert whole == pieces


masks = st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=7, max_size=7).map(
    lambda rows: np.array(rows, bool)
)


@given(masks)
def test_the_rings_of_any_mask_cover_its_pixels(mask: Any) -> None:
    shape = shape_of_mask(mask)
    if shape is not None:
        rings = tuple(Part(np.array(ring).reshape(-1, 2)) for ring in rings_of(shape))
        assert (runs_of(Shape(rings), 9, 7).mask() == mask).all()


def test_datasets_loads_the_folder_of_images_with_every_object(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path], load_dataset: Load
) -> None:
    folder = unzip(export(odd_project, formats=("huggingface",)))
    rows = {row["image_id"]: row for row in load_dataset("imagefolder", data_dir=str(folder / "images"))["train"]}
    assert sorted(rows) == [1, 2, 3, 4]
    assert rows[1]["objects"]["id"] == [1, 2, 3]
    assert rows[1]["objects"]["category"] == [0, 1, 0]
    assert rows[1]["objects"]["area"] == [100, 28, 295]
    assert json.loads(rows[1]["objects"]["attributes"][0]) == {"round": True, "note": 'a < b & "c"'}
    assert rows[3]["objects"]["id"] == []
    assert rows[4]["objects"]["iscrowd"] == [1]
    for row in rows.values():
        assert row["image"].size == (row["width"], row["height"]) == (40, 30)


def test_splits_are_datasets_own_also_when_one_begins_with_an_image_without_objects(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path], load_dataset: Load
) -> None:
    document = json.loads((odd_project / "instances.json").read_text())
    document["images"].reverse()
    (odd_project / "instances.json").write_text(json.dumps(document))
    for seed in range(40):
        folder = unzip(export(odd_project, formats=("huggingface",), split={"train": 0.5, "test": 0.5}, seed=seed))
        if (folder / "images/train/empty.png").exists() and len(list(folder.glob("images/t*/*.png"))) == 4:
            break
    splits = load_dataset("imagefolder", data_dir=str(folder / "images"))
    assert sorted(splits) == ["test", "train"]
    assert sum(len(rows) for rows in splits.values()) == 4


def test_the_card_at_the_root_names_splits_that_datasets_would_not_guess(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path], load_dataset: Load
) -> None:
    folder = unzip(export(make_project(6), formats=("huggingface",), split={"left": 0.5, "right-side": 0.5}))
    shutil.copy(folder / "annotations/huggingface/README.md", folder / "README.md")
    splits = load_dataset(str(folder))
    assert sorted(splits) == ["left", "right_side"]
    assert sum(len(rows) for rows in splits.values()) == 6
    assert all(len(row["objects"]["id"]) == 3 for rows in splits.values() for row in rows)


def test_without_images_the_table_lies_below_annotations_and_the_bundle_says_so(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(odd_project, formats=("huggingface",), images=False))
    assert (folder / "annotations/huggingface/metadata.jsonl").exists()
    assert "put each metadata.jsonl into the folder of its images" in (folder / "README.md").read_text().replace(
        "\\", ""
    )


def test_an_image_that_is_called_like_the_table_is_refused_with_a_sentence(
    make_project: Callable[..., Path], export: Callable[..., Path]
) -> None:
    project = make_project(1)
    document = json.loads((project / "instances.json").read_text())
    document["images"][0]["file_name"] = "metadata.jsonl"
    (project / "instances.json").write_text(json.dumps(document))
    (project / "images/image_001.png").rename(project / "images/metadata.jsonl")
    with pytest.raises(ExportError, match=r"an image of the project is called metadata\.jsonl"):
        export(project, formats=("huggingface",))
