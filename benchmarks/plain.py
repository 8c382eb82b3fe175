"""The straightforward one-process loop with the same outputs as a full export; what labelferry is compared with. Tables: plain_tables.py.

Copy, draw with Pillow, write COCO, YOLO and Pascal VOC with masks, measure object by object, zip. No checks, no holes, no repairs, no
digests, and the whole project in memory: what one writes for oneself in an afternoon.
"""

import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from benchmarks.plain_tables import csv_files, tables_of, workbook

Annotation = dict[str, Any]
PALETTE = [value for number in range(256) for value in (number * 37 % 256, number * 91 % 256, number * 151 % 256)]


@dataclass
class PlainProject:
    """A COCO folder, read whole."""

    folder: Path
    whole: dict[str, Any]
    by_image: dict[int, list[Annotation]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, folder: Path) -> "PlainProject":
        """Read the json and sort the annotations by image."""
        project = cls(folder, json.loads((folder / "instances.json").read_text()))
        for annotation in project.whole["annotations"]:
            project.by_image[annotation["image_id"]].append(annotation)
        return project

    @property
    def images(self) -> list[dict[str, Any]]:
        """The image records."""
        return list(self.whole["images"])

    def file_of(self, image: dict[str, Any]) -> Path:
        """Return where an image's file lies."""
        beside = self.folder / str(image["file_name"])
        return beside if beside.exists() else self.folder / "images" / str(image["file_name"])


def export_plainly(folder: Path, target: Path, clock: Callable[[], float], png_level: int = 6) -> dict[str, float]:
    """Export a COCO folder the plain way; return the seconds each stage took. `png_level` 6 is Pillow's own default."""
    seconds: dict[str, float] = {}
    begun = clock()

    def lap(stage: str) -> None:
        nonlocal begun
        now = clock()
        seconds[stage] = now - begun
        begun = now

    project = PlainProject.read(folder)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for image in project.images:
            name = f"images/{Path(image['file_name']).name}"
            archive.write(project.file_of(image), name, zipfile.ZIP_STORED)
        lap("images")
        for image in project.images:
            data = png_of(overlay_of(project.file_of(image), project.by_image[image["id"]]), png_level)
            archive.writestr(f"visualizations/{_stem(image)}.png", data, zipfile.ZIP_STORED)
        lap("visualizations")
        archive.writestr("annotations/coco/instances.json", json.dumps(project.whole))
        _write_yolo(archive, project)
        _write_voc(archive, project, png_level)
        lap("annotations")
        tables = tables_of(project.whole)
        for name, text in csv_files(tables).items():
            archive.writestr(f"metrics/{name}.csv", text)
        archive.writestr("metrics/metrics.xlsx", workbook(tables), zipfile.ZIP_STORED)
        lap("metrics")
    lap("compression")
    return seconds


def rings_of(annotation: Annotation) -> list[list[float]]:
    """Return the outlines of an object that is said by polygons."""
    segmentation = annotation["segmentation"]
    return segmentation if isinstance(segmentation, list) else []


def overlay_of(path: Path, annotations: list[Annotation]) -> Image.Image:
    """Draw every object with its number."""
    picture = Image.open(path).convert("RGB")
    draw = ImageDraw.Draw(picture, "RGBA")
    for annotation in annotations:
        for ring in rings_of(annotation):
            draw.polygon(ring, fill=(230, 80, 20, 90), outline=(230, 80, 20, 255), width=2)
            draw.text(tuple(annotation["bbox"][:2]), str(annotation["id"]), fill=(255, 255, 255, 255))
    return picture


def png_of(picture: Image.Image, level: int) -> bytes:
    """Return a picture as Pillow writes it."""
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=level)
    return out.getvalue()


def _stem(image: dict[str, Any]) -> str:
    return Path(image["file_name"]).stem


def _write_yolo(archive: zipfile.ZipFile, project: PlainProject) -> None:
    names = "".join(f"  {number}: {each['name']}\n" for number, each in enumerate(project.whole["categories"]))
    archive.writestr("data.yaml", f"train: images\nval: images\nnames:\n{names}")
    for image in project.images:
        size = (image["width"], image["height"])
        rows = [
            f"{annotation['category_id'] - 1} "
            + " ".join(f"{value / size[place % 2]:.6f}" for place, value in enumerate(ring))
            for annotation in project.by_image[image["id"]]
            for ring in rings_of(annotation)
        ]
        archive.writestr(f"labels/{_stem(image)}.txt", "\n".join(rows))


def _write_voc(archive: zipfile.ZipFile, project: PlainProject, png_level: int) -> None:
    folder = "annotations/voc"
    stems = "".join(f"{_stem(image)}\n" for image in project.images)
    for kind in ("Main", "Segmentation"):
        for name in ("train", "val", "trainval"):
            archive.writestr(f"{folder}/ImageSets/{kind}/{name}.txt", stems)
    names = {each["id"]: each["name"] for each in project.whole["categories"]}
    for image in project.images:
        annotations = project.by_image[image["id"]]
        archive.writestr(f"{folder}/Annotations/{_stem(image)}.xml", _voc_xml(image, annotations, names))
        classes = [annotation["category_id"] for annotation in annotations]
        for mask, values in (("Class", classes), ("Object", list(range(1, len(annotations) + 1)))):
            data = png_of(_voc_mask(image, annotations, values), png_level)
            archive.writestr(f"{folder}/Segmentation{mask}/{_stem(image)}.png", data, zipfile.ZIP_STORED)


def _voc_xml(image: dict[str, Any], annotations: list[Annotation], names: dict[int, str]) -> str:
    objects = []
    for annotation in annotations:
        x, y, width, height = annotation["bbox"]
        objects.append(
            f"\t<object>\n\t\t<name>{names[annotation['category_id']]}</name>\n\t\t<pose>Unspecified</pose>\n"
            "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
            f"\t\t\t<xmin>{int(x) + 1}</xmin>\n\t\t\t<ymin>{int(y) + 1}</ymin>\n"
            f"\t\t\t<xmax>{int(x + width)}</xmax>\n\t\t\t<ymax>{int(y + height)}</ymax>\n"
            "\t\t</bndbox>\n\t</object>\n"
        )
    size = f"\t<size>\n\t\t<width>{image['width']}</width>\n\t\t<height>{image['height']}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
    head = f"<annotation>\n\t<folder>images</folder>\n\t<filename>{Path(image['file_name']).name}</filename>\n"
    return f"{head}{size}\t<segmented>1</segmented>\n{''.join(objects)}</annotation>\n"


def _voc_mask(image: dict[str, Any], annotations: list[Annotation], values: list[int]) -> Image.Image:
    mask = Image.new("P", (image["width"], image["height"]))
    mask.putpalette(PALETTE)
    draw = ImageDraw.Draw(mask)
    for annotation, value in zip(annotations, values, strict=True):
        for ring in rings_of(annotation):
            draw.polygon(ring, fill=value % 255)
    return mask
