"""Edge case 15, EXIF orientation 1 to 8: sizes are those that loaders see, and every outline and overlay hits its object."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from labelferry_export.geometry.placement import Placement
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.shape import Part, Shape
from labelferry_protocol.options import OverlayStyle

STORED = (48, 32)
BOX = (5, 3, 17, 11)
"""Where the object is in the stored pixels: left, top, right, bottom."""
SOLID = OverlayStyle(fill_opacity=1, stroke_width=0, numbers=False)


def ring_of(left: float, top: float, right: float, bottom: float) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """A COCO folder with one white object on black, `orientation` as EXIF says; outlines drawn on `drawn` pixels."""

    def make(orientation: int, drawn: str) -> Path:
        root = tmp_path / "project"
        (root / "images").mkdir(parents=True)
        picture = Pillow.new("RGB", STORED)
        picture.paste("white", BOX)
        tags = Pillow.Exif()
        tags[0x0112] = orientation
        picture.save(root / "images" / "a.jpg", quality=100, subsampling=0, exif=tags)
        upright = STORED[::-1] if orientation >= 5 else STORED
        size = STORED if drawn == "stored" else upright
        ring = np.array(ring_of(*BOX), float).reshape(-1, 2)
        if drawn != "stored":
            ring = Placement(STORED, upright, orientation).place(Shape((Part(ring),))).parts[0].outer
        image: dict[str, Any] = {"id": 1, "file_name": "a.jpg"}
        if drawn != "unsaid":
            image |= {"width": size[0], "height": size[1]}
        annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [ring.ravel().tolist()], "iscrowd": 0}
        tree = {"images": [image], "annotations": [annotation], "categories": [{"id": 1, "name": "cell"}]}
        (root / "instances.json").write_text(json.dumps(tree))
        return root

    return make


# What is drawn on stored pixels can be told by its size alone: only quarter turns change it.
CASES = [(orientation, "upright") for orientation in range(1, 9)]
CASES += [(orientation, "unsaid") for orientation in range(1, 9)]
CASES += [(orientation, "stored") for orientation in (1, 5, 6, 7, 8)]


@pytest.mark.parametrize(("orientation", "drawn"), CASES)
def test_outline_and_overlay_hit_the_object_as_loaders_see_it(
    project: Callable[..., Path],
    export: Callable[..., Path],
    unzip: Callable[[Path], Path],
    orientation: int,
    drawn: str,
) -> None:
    source = project(orientation, drawn)
    bundle = unzip(export(source, metrics=(), style=SOLID))
    assert (bundle / "images/a.jpg").read_bytes() == (source / "images/a.jpg").read_bytes()
    loaded = np.asarray(ImageOps.exif_transpose(Pillow.open(bundle / "images/a.jpg")))
    tree = json.loads((bundle / "annotations/coco/instances.json").read_text())
    assert (tree["images"][0]["height"], tree["images"][0]["width"]) == loaded.shape[:2]
    ring = np.array(tree["annotations"][0]["segmentation"][0]).reshape(-1, 2)
    mask = runs_of(Shape((Part(ring),)), loaded.shape[1], loaded.shape[0]).mask()
    assert mask.sum() == 96
    assert loaded[mask].min() > 200
    assert loaded[~mask].max() < 50
    overlay = np.asarray(Pillow.open(bundle / "visualizations/a.png"))
    assert overlay.shape == loaded.shape
    assert (overlay[mask] == overlay[mask][0]).all()
    assert overlay[~mask].max() < 50


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_bundle_is_read_again_as_it_was_written(
    project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path], orientation: int
) -> None:
    first = unzip(export(project(orientation, "upright"), metrics=(), visualizations=False))
    second = unzip(export(first, metrics=(), visualizations=False))
    name = "annotations/coco/instances.json"
    assert (second / name).read_bytes() == (first / name).read_bytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_border_stays_a_border_however_it_is_turned_and_scaled(orientation: int) -> None:
    whole = Shape((Part(np.array([[0, 0], [997, 0], [997, 613], [0, 613]], float)),))
    canvas = (31, 50) if orientation >= 5 else (50, 31)
    placed = Placement((997, 613), canvas, orientation).place(whole)
    assert placed.bounds == (0, 0, *canvas)
