"""Images converted on request: what is in the bundle agrees with itself, whatever the format and the size."""

import csv
import hashlib
import io
import json
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from tests.support.pictures import DEEP, HEIGHT, KINDS, WIDTH

from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter
from labelferry_protocol.options import OverlayStyle
from labelferry_protocol.words import OnError

Export = Callable[..., Path]
Unzip = Callable[[Path], Path]
SOLID = OverlayStyle(fill_opacity=1, stroke_width=0, numbers=False)
BOX = (200, 90, 600, 330)


def write(root: Path, images: list[tuple[str, bytes, tuple[int, int], list[float]]]) -> Path:
    """Write a COCO folder of images (name, file, size), each with one outline."""
    (root / "images").mkdir(parents=True)
    records, annotations = [], []
    for number, (name, data, (width, height), ring) in enumerate(images, 1):
        (root / "images" / name).write_bytes(data)
        records.append({"id": number, "file_name": name, "width": width, "height": height})
        annotations.append({"id": number, "image_id": number, "category_id": 1, "segmentation": [ring], "iscrowd": 0})
    tree = {"images": records, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
    (root / "instances.json").write_text(json.dumps(tree))
    return root


def boxed(left: float, top: float, right: float, bottom: float) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A project of one dark photograph of 1000x667 px with one bright box in it."""
    picture = Pillow.new("RGB", (1000, 667), (20, 30, 40))
    picture.paste((230, 220, 210), BOX)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=95, subsampling=0)
    return write(tmp_path / "photo", [("a.jpg", out.getvalue(), (1000, 667), boxed(*BOX))])


def coco(bundle: Path) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((bundle / "annotations/coco/instances.json").read_text())
    return tree


def manifest(bundle: Path) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())
    return tree


def opened(path: Path) -> Pillow.Image:
    picture = Pillow.open(path)
    picture.load()
    return picture


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "tiff"])
def test_every_kind_of_pixels_becomes_every_format(tmp_path: Path, export: Export, unzip: Unzip, form: str) -> None:
    images = [
        (name.replace(".", "-", name.count(".") - 1), make(), (WIDTH, HEIGHT), boxed(4, 20, 20, 30))
        for name, make in KINDS.items()
    ]
    bundle = unzip(export(write(tmp_path / "kinds", images), metrics=(), visualizations=False, image_format=form))
    records = coco(bundle)["images"]
    assert len(records) == len(KINDS)
    for record in records:
        picture = opened(bundle / "images" / record["file_name"])
        assert picture.format == {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "tiff": "TIFF"}[form]
        assert picture.size == (record["width"], record["height"])
        # What was of the format already is as it was, palettes and all.
        values = np.asarray(picture.convert("RGBA") if picture.mode in ("P", "CMYK") else picture).astype(float)
        row = (
            values[2] if values.ndim == 2 else values[2, :, :3].mean(axis=1) if values.shape[2] > 2 else values[2, :, 0]
        )
        row = (row - row.min()) / np.ptp(row)
        assert row[:4].max() < 0.15, record
        assert row[-4:].min() > 0.85, record
    made = {each["from"] for each in manifest(bundle)["conversions"]}
    windowed = {each["image"] for each in manifest(bundle)["findings"] if each["code"] == "contrast-window"}
    assert windowed <= made
    if form == "jpeg":
        assert windowed == set(DEEP)
    if form == "tiff":
        assert windowed == set()


def test_a_larger_image_is_scaled_and_everything_with_it(photo: Path, export: Export, unzip: Unzip) -> None:
    formats = ("coco", "yolo", "voc", "instance_masks", "labelme", "json")
    bundle = unzip(export(photo, formats=formats, metrics=("csv",), max_side=300, style=SOLID))
    picture = np.asarray(opened(bundle / "images/a.jpg"))
    assert picture.shape == (200, 300, 3)
    (record,), (annotation,) = coco(bundle)["images"], coco(bundle)["annotations"]
    assert (record["width"], record["height"], record["file_name"]) == (300, 200, "a.jpg")
    x, y = 300 / 1000, 200 / 667
    exact = [200 * x, 90 * y, 600 * x, 330 * y]
    ring = np.array(annotation["segmentation"][0]).reshape(-1, 2)
    assert [*ring.min(axis=0), *ring.max(axis=0)] == pytest.approx(exact, abs=1e-9)
    yolo = [float(each) for each in (bundle / "labels/a.txt").read_text().split()[1:]]
    assert [min(yolo[::2]), min(yolo[1::2])] == pytest.approx([0.2, 90 / 667], abs=1e-6)
    size = ET.parse(bundle / "annotations/voc/Annotations/a.xml").getroot().find("size")
    assert size is not None
    assert [each.text for each in size] == ["300", "200", "3"]
    labelme = json.loads(next((bundle / "annotations/labelme").rglob("*.json")).read_text())
    assert (labelme["imageWidth"], labelme["imageHeight"]) == (300, 200)
    mask = np.asarray(opened(bundle / "annotations/instance_masks/masks/a.png")) > 0
    assert mask.shape == (200, 300)
    assert picture[mask].min() > 100
    assert picture[~mask].max() < 150
    overlay = np.asarray(opened(bundle / "visualizations/a.png"))
    assert overlay.shape == picture.shape
    assert (overlay[mask] == overlay[mask][0]).all()


def rows(bundle: Path, table: str) -> list[dict[str, str]]:
    with (bundle / f"metrics/{table}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_lengths_in_pixels_are_those_of_the_scaled_image(photo: Path, export: Export, unzip: Unzip) -> None:
    (row,) = rows(unzip(export(photo, max_side=300, metrics=("csv",))), "objects")
    assert float(row["area_px2"]) == pytest.approx(400 * 240 * 0.3 * 200 / 667)
    assert float(row["bbox_width_px"]) == pytest.approx(120)
    assert float(row["centroid_x_px"]) == pytest.approx(120)
    assert int(row["mask_pixels"]) == 120 * 72


def test_micrometres_stay_right_however_an_image_is_scaled(photo: Path, export: Export, unzip: Unzip) -> None:
    (whole,) = rows(unzip(export(photo, metrics=("csv",), scale=0.25)), "objects")
    (scaled,) = rows(unzip(export(photo, metrics=("csv",), scale=0.25, max_side=300)), "objects")
    for key, value in whole.items():
        if key.endswith(("_um", "_um2")):
            assert float(scaled[key]) == pytest.approx(float(value), rel=1e-12), key
    assert float(scaled["centroid_x_px"]) == pytest.approx(0.3 * float(whole["centroid_x_px"]))


def test_an_image_is_never_made_larger(photo: Path, export: Export, unzip: Unzip) -> None:
    bundle = unzip(export(photo, max_side=5000, metrics=()))
    assert (bundle / "images/a.jpg").read_bytes() == (photo / "images/a.jpg").read_bytes()
    assert manifest(bundle)["conversions"] == []


def test_a_turned_photograph_is_written_upright(tmp_path: Path, export: Export, unzip: Unzip) -> None:
    picture = Pillow.new("RGB", (60, 40), "black")
    picture.paste("white", (0, 0, 20, 10))
    tags = Pillow.Exif()
    tags[0x0112] = 6
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=95, exif=tags)
    source = write(tmp_path / "turned", [("a.jpg", out.getvalue(), (40, 60), boxed(30, 0, 40, 20))])
    bundle = unzip(export(source, image_format="jpeg", metrics=()))
    upright = opened(bundle / "images/a.jpg")
    assert (upright.size, upright.getexif().get(0x0112)) == ((40, 60), None)
    assert np.asarray(upright)[3:15, 33:38].min() > 200
    assert np.asarray(upright)[30:, :].max() < 50


def test_the_manifest_says_what_became_of_each_image(photo: Path, export: Export, unzip: Unzip) -> None:
    bundle = unzip(export(photo, image_format="webp", image_quality=80, max_side=500, metrics=()))
    original = (photo / "images/a.jpg").read_bytes()
    assert manifest(bundle)["conversions"] == [
        {
            "id": 1,
            "from": "a.jpg",
            "to": "a.webp",
            "factor": [0.5, 334 / 667],
            "original": {
                "size": len(original),
                "sha256": hashlib.sha256(original).hexdigest(),
                "width": 1000,
                "height": 667,
                "orientation": 1,
                "page": 1,
            },
            "written": {"format": "webp", "quality": 80, "width": 500, "height": 334},
        }
    ]
    readme = (bundle / "README.md").read_text()
    assert "1 images as webp, at most 500 px a side, outlines scaled along; 1 made anew" in readme


def test_a_page_that_is_chosen_is_what_is_written(tmp_path: Path, export: Export, unzip: Unzip) -> None:
    source = write(tmp_path / "pages", [("a.tif", KINDS["pages.tif"](), (WIDTH, HEIGHT), boxed(1, 1, 9, 9))])
    bundle = unzip(export(source, image_format="tiff", page=3, metrics=()))
    picture = opened(bundle / "images/a.tif")
    assert (getattr(picture, "n_frames", 1), picture.getextrema()) == (1, (255, 255))


@pytest.mark.parametrize("form", ["png", "jpeg", "tiff"])
def test_the_bytes_do_not_depend_on_the_lanes(
    make_project: Callable[..., Path], make_exporter: Callable[..., Exporter], form: str
) -> None:
    source = make_project(60, side=200)
    digests = set()
    for lanes in (1, 2, 3):
        exporter = make_exporter(source, lanes=lanes, image_format=form, image_quality=None, max_side=150)
        for _ in exporter.run():
            pass
        digests.add(exporter.result.sha256)
    assert len(digests) == 1


def test_an_image_whose_pixels_are_broken_ends_the_job_or_is_left_out(
    make_project: Callable[..., Path], export: Export, unzip: Unzip
) -> None:
    source = make_project(3)
    path = source / "images/image_002.png"
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ExportError, match=r"the image 'image_002\.png' is broken or cut off"):
        export(source, image_format="jpeg")
    bundle = unzip(export(source, image_format="jpeg", on_error=OnError.SKIP))
    assert sorted(path.name for path in (bundle / "images").iterdir()) == ["image_001.jpg", "image_003.jpg"]
    assert [record["file_name"] for record in coco(bundle)["images"]] == ["image_001.jpg", "image_003.jpg"]
    assert [each["from"] for each in manifest(bundle)["conversions"]] == ["image_001.png", "image_003.png"]


def test_formats_that_hold_the_images_hold_the_converted_ones(
    photo: Path, export: Export, unzip: Unzip, tmp_path: Path
) -> None:
    bundle = unzip(export(photo, image_format="png", max_side=100, formats=("webdataset", "parquet"), metrics=()))
    written = (bundle / "images/a.png").read_bytes()
    with tarfile.open(bundle / "annotations/webdataset/shard-000000.tar") as shard:
        member = shard.extractfile("a.png")
        assert member is not None
        assert member.read() == written
    import pyarrow.parquet as parquet

    (table,) = (bundle / "annotations/parquet").glob("*.parquet")
    (row,) = parquet.read_table(table).to_pylist()
    assert row["image"] == {"bytes": written, "path": "a.png"}


def test_a_converted_bundle_is_read_again_as_it_is(photo: Path, export: Export, unzip: Unzip) -> None:
    first = unzip(export(photo, image_format="png", max_side=333, metrics=()))
    second = unzip(export(first, metrics=()))
    name = "annotations/coco/instances.json"
    assert (second / name).read_bytes() == (first / name).read_bytes()
    assert (second / "images/a.png").read_bytes() == (first / "images/a.png").read_bytes()


def test_what_is_converted_by_then_is_in_a_partial_bundle(
    make_project: Callable[..., Path], make_exporter: Callable[..., Exporter], unzip: Unzip
) -> None:
    exporter = make_exporter(make_project(5), image_format="jpeg", keep_partial=True)
    with closing(exporter.run()) as updates:
        for update in updates:
            if update.message.startswith("Converting images (2/5)"):
                break
    result = exporter.pack_partial()
    assert result is not None
    assert result.partial
    bundle = unzip(result.path)
    assert sorted(path.name for path in (bundle / "images").iterdir()) == ["image_001.jpg", "image_002.jpg"]
    assert all(each["original"]["sha256"] for each in manifest(bundle)["conversions"])


def test_a_dry_run_tells_about_how_large_the_images_will_be(
    tmp_path: Path, make_exporter: Callable[..., Exporter], export: Export, unzip: Unzip
) -> None:
    y, x = np.mgrid[:300, :400]
    noise = np.random.default_rng(3).normal(0, 4, (300, 400, 3))
    waves = 120 + 60 * np.sin(x / 23) * np.cos(y / 31)
    out = io.BytesIO()
    Pillow.fromarray(np.clip(waves[..., None] + noise, 0, 255).astype(np.uint8)).save(out, "PNG")
    source = write(tmp_path / "waves", [("a.png", out.getvalue(), (400, 300), boxed(1, 1, 9, 9))])
    for options in ({"image_format": "jpeg"}, {"image_format": "png"}, {"max_side": 100}):
        steps = make_exporter(source, **options).preview()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                told = end.value.sizes["images"]
                break
        bundle = unzip(export(source, metrics=(), **options))
        real = sum(path.stat().st_size for path in (bundle / "images").iterdir())
        assert real / 3 < told < real * 3, options
