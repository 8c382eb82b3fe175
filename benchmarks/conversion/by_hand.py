"""The straightforward script: json in, strings out, loose files. No checks, no holes, no repairs, no zip."""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.conversion.ways import Conversion

Record = dict[str, Any]


def _images(project: Path) -> Iterator[tuple[Record, list[Record]]]:
    whole = json.loads((project / "instances.json").read_text())
    by_image: dict[int, list[Record]] = defaultdict(list)
    for annotation in whole["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    for image in whole["images"]:
        yield image, by_image[image["id"]]


def _segments(project: Path, target: Path) -> None:
    for image, annotations in _images(project):
        size = (image["width"], image["height"])
        rows = [
            f"{each['category_id'] - 1} "
            + " ".join(f"{value / size[place % 2]:.6f}" for place, value in enumerate(ring))
            for each in annotations
            for ring in each["segmentation"]
        ]
        (target / f"{Path(image['file_name']).stem}.txt").write_text("\n".join(rows))


def _boxes(project: Path, target: Path) -> None:
    for image, annotations in _images(project):
        width, height = image["width"], image["height"]
        rows = []
        for each in annotations:
            x, y, w, h = each["bbox"]
            share = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            rows.append(f"{each['category_id'] - 1} " + " ".join(f"{value:.6f}" for value in share))
        (target / f"{Path(image['file_name']).stem}.txt").write_text("\n".join(rows))


def _coco(project: Path, target: Path) -> None:
    whole = json.loads((project / "instances.json").read_text())
    (target / "instances.json").write_text(json.dumps(whole))


def _coco_with_images(project: Path, target: Path) -> None:
    _coco(project, target)
    shutil.copytree(project / "images", target / "images")


CONVERSIONS: Mapping[str, Conversion] = {
    "yolo segment": _segments,
    "yolo boxes": _boxes,
    "coco": _coco,
    "coco + images": _coco_with_images,
}
