"""Edge case 16, bit depth, pages, alpha: the original bit for bit, and an overlay on which one sees what is there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from tests.support.pictures import DEEP, HEIGHT, KINDS, WIDTH, png, ramp, saved, tiff

from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter
from labelferry_protocol.options import OverlayStyle

FRAME = OverlayStyle(fill_opacity=1, stroke_width=0, numbers=False)
BOX = (20, 10, 28, 20)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """A COCO folder of the given files, each with one box in its middle."""

    def make(files: dict[str, bytes]) -> Path:
        root = tmp_path / "project"
        (root / "images").mkdir(parents=True)
        images, annotations = [], []
        left, top, right, bottom = BOX
        for number, (name, data) in enumerate(files.items(), 1):
            (root / "images" / name).write_bytes(data)
            images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
            ring = [left, top, right, top, right, bottom, left, bottom]
            annotations.append(
                {"id": number, "image_id": number, "category_id": 1, "segmentation": [ring], "iscrowd": 0}
            )
        tree = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
        (root / "instances.json").write_text(json.dumps(tree))
        return root

    return make


def overlay_of(bundle: Path, stem: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Pillow.open(bundle / f"visualizations/{stem}.png"))


@pytest.mark.parametrize("name", KINDS)
def test_the_original_is_bit_for_bit_and_the_overlay_shows_it(
    project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path], name: str
) -> None:
    data = KINDS[name]()
    bundle = unzip(export(project({name: data}), metrics=(), style=FRAME))
    assert (bundle / "images" / name).read_bytes() == data
    overlay = overlay_of(bundle, name.rpartition(".")[0])
    assert overlay.shape == (HEIGHT, WIDTH, 3)
    row = overlay[2].astype(int).mean(axis=1)
    assert row[0] < 25
    assert row[-1] > 230
    assert (np.diff(row) >= -6).all(), "brighter from left to right"
    if "one" not in name:
        assert len(np.unique(row)) >= 24, "not clipped to black and white"
    left, top, right, bottom = BOX
    inside = overlay[top:bottom, left:right].reshape(-1, 3)
    assert (inside == inside[0]).all()
    assert (inside[0] != overlay[2, 24]).any()


@pytest.mark.parametrize("name", DEEP)
def test_the_window_of_deep_pixels_is_in_the_manifest(
    project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path], name: str
) -> None:
    bundle = unzip(export(project({name: KINDS[name]()}), metrics=()))
    findings = json.loads((bundle / "manifest.json").read_text())["findings"]
    (window,) = [each for each in findings if each["code"] == "contrast-window"]
    assert window["image"] == name
    low, high = window["window"]
    known = {"twelve": (0, 4095), "thirty": (1e5, 9e5), "float": (-0.25, 0.75), "rgb": (0, 4095), "rgba": (0, 4095)}
    assert (low, high) == pytest.approx(known.get(name.partition("-")[0].partition(".")[0], (300, 3000)), abs=1e-6)


def test_no_other_finding_has_a_window(
    project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    bundle = unzip(export(project({"pages.tif": KINDS["pages.tif"]()}), metrics=()))
    (finding,) = json.loads((bundle / "manifest.json").read_text())["findings"]
    assert finding["code"] == "image-pages"
    assert "window" not in finding


@pytest.mark.parametrize("name", ["pages.tif", "pages.gif", "pages.webp", "pages.png"])
def test_a_page_is_chosen_by_an_option(
    project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path], name: str
) -> None:
    bundle = unzip(export(project({name: KINDS[name](), "one.png": KINDS["l.png"]()}), metrics=(), page=3))
    assert overlay_of(bundle, "pages")[2].min() == 255
    assert overlay_of(bundle, "one")[2, 0].max() == 0
    (finding,) = json.loads((bundle / "manifest.json").read_text())["findings"]
    assert finding["message"] == f"{name!r} has 3 pages: page 3 is the image (--page chooses)"


def test_what_is_transparent_lies_on_white(
    project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    clear = Pillow.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
    indexed = Pillow.new("P", (WIDTH, HEIGHT), 1)
    indexed.putpalette([0, 0, 0, 10, 20, 30])
    deep = np.zeros((HEIGHT, WIDTH, 4), np.uint16)
    deep[:, ::2, :3] = 4095
    files = {
        "clear.png": saved(clear, "PNG"),
        "clear-grey.png": saved(clear.convert("LA"), "PNG"),
        "clear-palette.png": saved(indexed, "PNG", transparency=1),
        "clear-deep.png": png(deep, 6),
    }
    bundle = unzip(export(project(files), metrics=(), style=FRAME))
    for name in files:
        assert overlay_of(bundle, name.rpartition(".")[0])[2].min() == 255, name


def test_bits_that_cannot_be_read_are_told(
    project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    deep = np.stack([ramp(0, 65535, np.uint16), np.full((HEIGHT, WIDTH), 65535, np.uint16)], axis=2)
    bundle = unzip(export(project({"la.png": png(deep, 4)}), metrics=(), style=FRAME))
    assert overlay_of(bundle, "la")[2, -1].tolist() == [255, 255, 255]
    (finding,) = json.loads((bundle / "manifest.json").read_text())["findings"]
    assert finding["code"] == "image-depth"
    assert "only the upper 8 can be read" in finding["message"]


def test_a_kind_that_cannot_be_read_is_named(
    project: Callable[..., Path], make_exporter: Callable[..., Exporter]
) -> None:
    exporter = make_exporter(project({"odd.tif": tiff(ramp(0, 9, np.uint32), order=">")}), metrics=())
    with pytest.raises(ExportError, match=r"the image 'odd\.tif' is a TIFF .* kind of pixels cannot be read: save it"):
        for _ in exporter.run():
            pass
