"""Small real projects, and the one call that exports them."""

import itertools
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from labelferry_export.exporter import Exporter
from labelferry_export.keeping.settings import NO_REUSE, Reuse
from labelferry_protocol.options import ExportOptions


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Path]:
    """Make a COCO folder of so many images, each with a square, a two-part object and (as run lengths) one with a hole."""

    def make(images: int = 3, side: int = 32, name: str = "project") -> Path:
        root = tmp_path / name
        (root / "images").mkdir(parents=True)
        random = np.random.default_rng(7)
        records: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        ids = itertools.count(1)
        for number in range(1, images + 1):
            file_name = f"image_{number:03}.png"
            Pillow.fromarray(random.integers(0, 255, (side, side, 3), np.uint8)).save(root / "images" / file_name)
            records.append({"id": number, "file_name": file_name, "width": side, "height": side})
            for segmentation in _segmentations(side):
                annotations.append(
                    {
                        "id": next(ids),
                        "image_id": number,
                        "category_id": 1 + len(annotations) % 2,
                        "segmentation": segmentation,
                        "iscrowd": 0,
                        "area": 1,
                        "bbox": [0, 0, 1, 1],
                        "attributes": {"round": number % 2 == 0},
                    }
                )
        categories = [{"id": 1, "name": "cell"}, {"id": 2, "name": "yes: # no"}]
        document = {"images": records, "annotations": annotations, "categories": categories}
        (root / "instances.json").write_text(json.dumps(document))
        return root

    return make


def _segmentations(side: int) -> list[Any]:
    square = [[2, 2, 10, 2, 10, 10, 2, 10]]
    parts = [[12.5, 2, 15, 2, 15, 6], [18, 2, 22, 2, 22, 6, 18, 6]]
    ring = np.zeros((side, side), np.uint8)
    ring[14:24, 4:20] = 1
    ring[17:20, 8:12] = 0
    edges = np.flatnonzero(np.diff(ring.T.reshape(-1), prepend=0, append=0))
    counts = np.diff([0, *edges, side * side]).tolist()
    return [square, parts, {"size": [side, side], "counts": counts}]


@pytest.fixture
def make_exporter(tmp_path: Path) -> Callable[..., Exporter]:
    """Make an exporter with a staging directory and a target of its own, and a clock that ticks a millisecond a look."""
    numbers = itertools.count()

    def make(source: Path, *, lanes: int | None = None, reuse: Reuse = NO_REUSE, **options: Any) -> Exporter:
        number = next(numbers)
        staging = tmp_path / f"staging-{number}"
        staging.mkdir()
        ticks = itertools.count()
        return Exporter(
            source,
            staging / "bundle.zip",
            ExportOptions(**options),
            staging=staging,
            roots=[tmp_path],
            clock=lambda: next(ticks) / 1000,
            lanes=lanes,
            reuse=reuse,
        )

    return make


@pytest.fixture
def export(make_exporter: Callable[..., Exporter]) -> Callable[..., Path]:
    """Export a project and return the bundle."""

    def run(source: Path, **options: Any) -> Path:
        exporter = make_exporter(source, **options)
        for _ in exporter.run():
            pass
        return exporter.result.path

    return run


@pytest.fixture
def unzip(tmp_path: Path) -> Callable[[Path], Path]:
    """Unzip a bundle into a folder of its own."""
    numbers = itertools.count()

    def extract(bundle: Path) -> Path:
        folder = tmp_path / f"unzipped-{next(numbers)}"
        with zipfile.ZipFile(bundle) as archive:
            assert archive.testzip() is None
            archive.extractall(folder)
        return folder

    return extract
