"""The straightforward loop: copy, draw with Pillow, write COCO and YOLO and a csv, zip. What labelferry is compared with."""

import csv
import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw


def export_plainly(project: Path, target: Path, clock: Callable[[], float]) -> dict[str, float]:
    """Export a COCO folder the plain way; return the seconds each stage took."""
    whole = json.loads((project / "instances.json").read_text())
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in whole["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    seconds: dict[str, float] = {}
    begun = clock()

    def lap(stage: str) -> None:
        nonlocal begun
        now = clock()
        seconds[stage] = now - begun
        begun = now

    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for image in whole["images"]:
            archive.write(_file_of(project, image), f"images/{Path(image['file_name']).name}", zipfile.ZIP_STORED)
        lap("images")
        for image in whole["images"]:
            archive.writestr(
                f"visualizations/{Path(image['file_name']).stem}.png",
                _overlay(_file_of(project, image), by_image[image["id"]]),
            )
        lap("visualizations")
        archive.writestr("annotations/coco/instances.json", json.dumps(whole))
        for image in whole["images"]:
            archive.writestr(
                f"labels/{Path(image['file_name']).stem}.txt", "\n".join(_yolo_rows(image, by_image[image["id"]]))
            )
        lap("annotations")
        archive.writestr("metrics/objects.csv", _table(whole["annotations"]))
        lap("metrics")
    lap("compression")
    return seconds


def _file_of(project: Path, image: dict[str, Any]) -> Path:
    beside = project / str(image["file_name"])
    return beside if beside.exists() else project / "images" / str(image["file_name"])


def _rings(annotation: dict[str, Any]) -> list[list[float]]:
    segmentation = annotation["segmentation"]
    return segmentation if isinstance(segmentation, list) else []


def _overlay(path: Path, annotations: list[dict[str, Any]]) -> bytes:
    picture = Image.open(path).convert("RGB")
    draw = ImageDraw.Draw(picture, "RGBA")
    for annotation in annotations:
        for ring in _rings(annotation):
            draw.polygon(ring, fill=(230, 80, 20, 90), outline=(230, 80, 20, 255), width=2)
            draw.text(tuple(annotation["bbox"][:2]), str(annotation["id"]), fill=(255, 255, 255, 255))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _yolo_rows(image: dict[str, Any], annotations: list[dict[str, Any]]) -> list[str]:
    size = (image["width"], image["height"])
    return [
        f"{annotation['category_id'] - 1} "
        + " ".join(f"{value / size[place % 2]:.6f}" for place, value in enumerate(ring))
        for annotation in annotations
        for ring in _rings(annotation)
    ]


def _table(annotations: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["id", "image", "class", "area", "perimeter", "x", "y", "width", "height"])
    for annotation in annotations:
        perimeter = 0.0
        for ring in _rings(annotation):
            points = list(zip(ring[::2], ring[1::2], strict=True))
            perimeter += sum(
                ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5
                for a, b in zip(points, points[1:] + points[:1], strict=True)
            )
        rows.writerow(
            [
                annotation["id"],
                annotation["image_id"],
                annotation["category_id"],
                annotation["area"],
                perimeter,
                *annotation["bbox"],
            ]
        )
    return out.getvalue()
