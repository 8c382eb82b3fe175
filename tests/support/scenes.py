"""Scenes for tests: a labelferry project of any images and outlines, and the unzipped bundle that an export makes of a project."""

import csv
import itertools
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as reference
from PIL import Image as Pillow
from pycocotools.coco import COCO

from labelferry_export.exporter import Exporter
from labelferry_export.model import Attribute
from labelferry_protocol.options import ExportOptions

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
FlatRing = Sequence[float]


@dataclass(frozen=True)
class Thing:
    """An object of a scene: the outer ring of each part, the holes of each, x and y in turn."""

    outers: Sequence[FlatRing]
    holes: Sequence[Sequence[FlatRing]] = ()
    image: int = 1
    category: int = 1
    crowd: bool = False
    attributes: dict[str, Attribute] = field(default_factory=dict)

    @property
    def parts(self) -> list[dict[str, Any]]:
        """As labelferry's json has them."""
        pairs = itertools.zip_longest(self.outers, self.holes, fillvalue=())
        return [{"outer": list(outer), "holes": [list(hole) for hole in holes]} for outer, holes in pairs]


def box(x: float, y: float, width: float, height: float) -> list[float]:
    """Return an upright box as a ring."""
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def make_scene(
    folder: Path,
    things: Sequence[Thing],
    images: Sequence[tuple[str, int, int]] = (("a.png", 40, 40),),
    classes: Sequence[str] = ("cell",),
) -> Path:
    """Make a labelferry project of blank images (name, width, height); objects are numbered from 1 in their order."""
    for name, width, height in images:
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.new("RGB", (width, height), (90, 120, 60)).save(path)
    document = {
        "labelferry": 1,
        "name": "scene",
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes, 1)],
        "images": [
            {"id": number, "name": name, "file": name, "width": width, "height": height}
            for number, (name, width, height) in enumerate(images, 1)
        ],
        "instances": [
            {
                "id": number,
                "image_id": each.image,
                "category_id": each.category,
                "crowd": each.crowd,
                "parts": each.parts,
                "attributes": each.attributes,
            }
            for number, each in enumerate(things, 1)
        ],
    }
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def write_coco(folder: Path, segmentations: Sequence[Any], size: tuple[int, int] = (40, 40)) -> Path:
    """Make a COCO folder of one blank image whose objects have these segmentations; infinity is written as 1e999."""
    (folder / "images").mkdir(parents=True)
    Pillow.new("RGB", size, (90, 120, 60)).save(folder / "images" / "a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": size[0], "height": size[1]}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": each}
            for number, each in enumerate(segmentations, 1)
        ],
        "categories": [{"id": 1, "name": "cell"}],
    }
    (folder / "instances.json").write_text(json.dumps(document).replace("Infinity", "1e999"))
    return folder


@dataclass(frozen=True)
class Bundle:
    """An unzipped bundle, and the zip it came from."""

    path: Path
    folder: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """manifest.json."""
        document: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return document

    def findings(self, **wanted: str) -> list[str]:
        """Return the sentences of the manifest's findings whose keys have these values."""
        found = self.manifest["findings"]
        return [each["message"] for each in found if all(each.get(key) == value for key, value in wanted.items())]

    def coco(self, stem: str = "instances") -> COCO:
        """Return what pycocotools loads."""
        return COCO(str(self.folder / f"annotations/coco/{stem}.json"))

    def annotations(self) -> list[dict[str, Any]]:
        """Return COCO's annotations as they stand."""
        document = json.loads((self.folder / "annotations/coco/instances.json").read_text())
        rows: list[dict[str, Any]] = document["annotations"]
        return rows

    def table(self, name: str = "objects") -> list[dict[str, str]]:
        """Return the rows of a metrics table."""
        with (self.folder / f"metrics/{name}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def names(self, folder: str) -> list[str]:
        """Return the files below a folder, relative to it, in order."""
        root = self.folder / folder
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    def array(self, name: str) -> Any:
        """Return an image file as Pillow decodes it."""
        with Pillow.open(self.folder / name) as picture:
            return np.asarray(picture)


def export_to(folder: Path, project: Path, lanes: int | None = 1, **options: Any) -> Bundle:
    """Export a project into `folder` and unzip the bundle there; without overlays and tables unless they are asked for."""
    exporter = make_exporter(folder, project, lanes, **options)
    for _ in exporter.run():
        pass
    return unzipped(exporter.result.path)


def make_exporter(folder: Path, project: Path, lanes: int | None = 1, **options: Any) -> Exporter:
    """Make an exporter with a staging directory and a target of its own, and a clock that ticks a millisecond a look."""
    staging = folder / f"staging-{len(list(folder.iterdir())) if folder.exists() else 0}"
    staging.mkdir(parents=True)
    ticks = itertools.count()
    wanted = ExportOptions(**{"visualizations": False, "metrics": (), **options})
    return Exporter(
        project,
        staging / "bundle.zip",
        wanted,
        staging=staging,
        roots=[project, *project.parents],
        clock=lambda: next(ticks) / 1000,
        lanes=lanes,
    )


def unzipped(path: Path) -> Bundle:
    """Unzip a bundle beside itself."""
    folder = path.parent / "unzipped"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return Bundle(path, folder)


def decoded(rings: Sequence[FlatRing], width: int, height: int) -> Mask:
    """Return what pycocotools makes of rings: their union."""
    mask: Mask = reference.decode(reference.merge(reference.frPyObjects(list(rings), height, width))).astype(bool)
    return mask
