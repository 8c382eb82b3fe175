"""Edge cases 14 to 16: sizes that do not agree, turned photographs, and pixels of every kind."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps
from tests.edge_cases.conftest import Export
from tests.support.scenes import Bundle

from labelferry_export.errors import ExportError
from labelferry_protocol.options import OverlayStyle

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PLAIN = OverlayStyle(fill_opacity=1.0, stroke_width=0, numbers=False)


def project(folder: Path, picture: Any, name: str, size: tuple[int, int], ring: list[float], **how: Any) -> Path:
    """Make a COCO project of one image, said to be of `size`, with one object."""
    (folder / "images").mkdir(parents=True)
    picture.save(folder / "images" / name, **how)
    document = {
        "images": [{"id": 1, "file_name": name, "width": size[0], "height": size[1]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": [ring]}],
        "categories": [{"id": 1, "name": "cell"}],
    }
    (folder / "instances.json").write_text(json.dumps(document))
    return folder


def overlay(bundle: Bundle) -> Any:
    (name,) = bundle.names("visualizations")
    return bundle.array(f"visualizations/{name}").astype(int)


SQUARE: list[float] = [5, 5, 15, 5, 15, 15, 5, 15]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif", "a.webp"])
def test_case_14_image_size_truth(export: Export, tmp_path: Path, name: str) -> None:
    source = project(tmp_path / "project", Pillow.new("RGB", (48, 36), (9, 9, 9)), name, (48, 36), SQUARE)
    bundle = export(source, formats=("coco", "instance_masks", "voc"), visualizations=True)
    (image,) = bundle.coco().imgs.values()
    shape = (image["height"], image["width"])
    assert bundle.array(f"images/{image['file_name']}").shape[:2] == shape == (36, 48)
    assert bundle.array("annotations/instance_masks/masks/a.png").shape == shape
    assert bundle.array("annotations/voc/SegmentationClass/a.png").shape == shape
    assert overlay(bundle).shape[:2] == shape


def test_case_14_image_size_truth_a_canvas_of_another_size_is_an_error(export: Export, tmp_path: Path) -> None:
    source = project(tmp_path / "project", Pillow.new("RGB", (48, 36)), "a.png", (800, 600), SQUARE)
    with pytest.raises(ExportError, match=r"'a\.png' has 48x36 px, the project says 800x600"):
        export(source, formats=("coco",))


TURNS = [(turn, True) for turn in range(1, 9)] + [(turn, False) for turn in range(5, 9)]
"""Who draws on the stored pixels tells it by the size; a half turn or a mirror image leaves no trace there (docs/decisions/0014)."""


def ring_around_the_bright(pixels: Any) -> tuple[int, int, list[float]]:
    """Return width and height of a picture, and the ring around what is bright in it."""
    rows, columns = np.nonzero(pixels[:, :, 0] > 150)
    left, top, right, bottom = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
    assert (right - left, bottom - top) == (10, 10)
    return pixels.shape[1], pixels.shape[0], [left, top, right, top, right, bottom, left, bottom]


@pytest.mark.parametrize(("orientation", "drawn_upright"), TURNS)
def test_case_15_exif_orientation(export: Export, tmp_path: Path, orientation: int, drawn_upright: bool) -> None:
    """The object is the one bright square of the picture, wherever its orientation puts it."""
    stored = np.full((30, 40, 3), 40, np.uint8)
    stored[4:14, 6:16] = 220
    how: dict[str, Any] = {"exif": Pillow.Exif(), "quality": 95, "subsampling": 0}
    how["exif"][0x0112] = orientation
    Pillow.fromarray(stored).save(tmp_path / "photo.jpg", **how)
    with Pillow.open(tmp_path / "photo.jpg") as photo:
        upright, as_stored = np.asarray(ImageOps.exif_transpose(photo)), np.asarray(photo)
    width, height, ring = ring_around_the_bright(upright if drawn_upright else as_stored)
    source = project(tmp_path / "project", Pillow.fromarray(stored), "photo.jpg", (width, height), ring, **how)
    bundle = export(source, formats=("coco", "instance_masks"), visualizations=True, style=PLAIN)
    (image,) = bundle.coco().imgs.values()
    assert (image["height"], image["width"]) == upright.shape[:2]
    drawn, mask = overlay(bundle), bundle.array("annotations/instance_masks/masks/photo.png")
    assert drawn.shape == upright.shape
    assert mask.shape == upright.shape[:2]
    assert (mask > 0).sum() == 100
    assert (upright[mask > 0] > 150).all()
    changed = np.abs(drawn - upright.astype(int)).sum(axis=2) > 60
    assert (changed == (mask > 0)).all()
    assert (bundle.folder / "images/photo.jpg").read_bytes() == (source / "images/photo.jpg").read_bytes()
    assert len(bundle.findings(code="image-turned")) == (orientation > 1)


def ramp(mode: str) -> Any:
    """A picture of a mode whose values run evenly from dark to bright; 16 bits only from 1000 to 4000."""
    grey = np.broadcast_to(np.linspace(0, 255, 64), (48, 64))
    if mode == "I;16":
        return Pillow.fromarray(np.round(1000 + grey / 255 * 3000).astype(np.uint16))
    if mode == "F":
        return Pillow.fromarray((grey / 255 - 0.5).astype(np.float32))
    picture = Pillow.fromarray(grey.astype(np.uint8)).convert("RGB" if mode in ("P", "CMYK") else "L")
    return picture.convert(mode)


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("1", "a.png"),
        ("L", "a.png"),
        ("LA", "a.png"),
        ("RGBA", "a.png"),
        ("P", "a.png"),
        ("I;16", "a.png"),
        ("I;16", "a.tif"),
        ("F", "a.tif"),
        ("CMYK", "a.jpg"),
        ("CMYK", "a.tif"),
        ("RGB", "a.bmp"),
        ("RGBA", "a.webp"),
        ("P", "a.gif"),
    ],
)
def test_case_16_bit_depth_and_alpha(export: Export, tmp_path: Path, mode: str, name: str) -> None:
    source = project(tmp_path / "project", ramp(mode), name, (64, 48), SQUARE)
    original = (source / "images" / name).read_bytes()
    bundle = export(source, formats=("coco",), visualizations=True)
    copied = (bundle.folder / "images" / name).read_bytes()
    assert hashlib.sha256(copied).digest() == hashlib.sha256(original).digest()
    seen = overlay(bundle)[20:].mean(axis=2)
    columns = seen.mean(axis=0)
    assert columns[:8].mean() < 60
    assert columns[-8:].mean() > 195
    assert ((columns > 10) & (columns < 245)).mean() > 0.8
    recorded = bundle.findings(code="contrast-window")
    assert len(recorded) == (mode in ("I;16", "F"))
    if mode == "I;16":
        assert "shows the values 1000 to 4000 as black to white" in recorded[0]


def test_case_16_pages_the_first_is_drawn_and_that_is_said(export: Export, tmp_path: Path) -> None:
    pages = [Pillow.new("L", (64, 48), value) for value in (80, 250, 10)]
    source = project(tmp_path / "project", pages[0], "a.tif", (64, 48), SQUARE, save_all=True, append_images=pages[1:])
    bundle = export(source, formats=("coco",), visualizations=True)
    assert (bundle.folder / "images/a.tif").read_bytes() == (source / "images/a.tif").read_bytes()
    assert (overlay(bundle)[30:] == 80).all()
    assert bundle.findings(code="image-pages") == ["'a.tif' has 3 pages: page 1 is the image (--page chooses)"]


def test_case_16_alpha_is_laid_on_white_in_the_overlay_alone(export: Export, tmp_path: Path) -> None:
    picture = Pillow.new("RGBA", (64, 48), (200, 0, 0, 0))
    source = project(tmp_path / "project", picture, "a.png", (64, 48), SQUARE)
    bundle = export(source, formats=("coco",), visualizations=True)
    assert (overlay(bundle)[30:] == 255).all()
    assert (bundle.folder / "images/a.png").read_bytes() == (source / "images/a.png").read_bytes()
