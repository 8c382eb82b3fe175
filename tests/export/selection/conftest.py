"""Projects with subsets, attributes and patients, and the one call that exports a selection of them."""

import itertools
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from labelferry_export.exporter import Exporter
from labelferry_protocol.options import ExportOptions

SIDE = 40
CLASSES = ("cat", "dog", "wolf")


def save_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new("RGB", (SIDE, SIDE)).save(path)


def square(left: float, top: float, side: float) -> list[float]:
    return [left, top, left + side, top, left + side, top + side, left, top + side]


def make_zoo(root: Path) -> Path:
    """Make a COCO folder of twelve images of four patients; each has a cat (side 4), a dog (8) and a wolf (12) at the border."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, 13):
        name = f"p{number % 4}/{number:02}.png"
        save_picture(root / "images" / name)
        images.append(
            {"id": 100 + number, "file_name": name, "width": SIDE, "height": SIDE, "patient": f"p{number % 4}"}
        )
        for category, (place, side) in enumerate(((2, 4), (10, 8), (SIDE - 12, 12)), 1):
            annotations.append(
                {
                    "id": 10 * number + category,
                    "image_id": 100 + number,
                    "category_id": category,
                    "iscrowd": 0,
                    "segmentation": [square(place, place, side)],
                    "attributes": {"score": number / 12},
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    tree = {"images": images, "annotations": annotations, "categories": categories}
    (root / "instances.json").write_text(json.dumps(tree))
    return root


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """The folder that `make_zoo` makes."""
    return make_zoo(tmp_path / "zoo")


class Bundle:
    """An unzipped bundle."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = self.json("manifest.json")
        self.readme = (folder / "README.md").read_text()

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    @property
    def findings(self) -> list[tuple[str, str]]:
        """Kind and words of each finding that is not about what a format cannot say."""
        found = [(each["code"], each["message"]) for each in self.manifest["findings"]]
        return [each for each in found if each[0] != "format-loss"]

    @property
    def objects(self) -> dict[int, str]:
        """The class names of the objects by id."""
        tree = self.json("annotations/json/annotations.json")
        names = {each["id"]: each["name"] for each in tree["categories"]}
        return {each["id"]: names[each["category_id"]] for each in tree["instances"]}

    @property
    def images(self) -> list[str]:
        return [each["name"] for each in self.json("annotations/json/annotations.json")["images"]]

    @property
    def splits(self) -> dict[str, str]:
        """The splits of the images by name."""
        return {each["name"]: each["split"] for each in self.json("annotations/json/annotations.json")["images"]}


@pytest.fixture
def export_zip(tmp_path: Path) -> Callable[..., Path]:
    """Export a project, labelferry json alone unless other formats are named; return the zip."""
    numbers = itertools.count()

    def run(source: Path, *, lanes: int = 1, **options: Any) -> Path:
        staging = tmp_path / f"staging-{next(numbers)}"
        staging.mkdir()
        ticks = itertools.count()
        settings = {"formats": ("json",), "metrics": (), "visualizations": False, **options}
        exporter = Exporter(
            source,
            staging / "bundle.zip",
            ExportOptions(**settings),
            staging=staging,
            roots=[tmp_path],
            clock=lambda: next(ticks) / 1000,
            lanes=lanes,
        )
        for _ in exporter.run():
            pass
        return exporter.result.path

    return run


@pytest.fixture
def export(export_zip: Callable[..., Path], tmp_path: Path) -> Callable[..., Bundle]:
    """Export a project as `export_zip` does; return the unzipped bundle."""

    def run(source: Path, **options: Any) -> Bundle:
        bundle = export_zip(source, **options)
        folder = bundle.parent / "unzipped"
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(folder)
        return Bundle(folder)

    return run
