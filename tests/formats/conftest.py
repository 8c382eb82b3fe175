"""The projects and the export call of `tests/export/writing`, loaded by path as test folders are no packages; and small scenes."""

import importlib.util
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

_spec = importlib.util.spec_from_file_location(
    "writing_fixtures", Path(__file__).parents[1] / "export" / "writing" / "conftest.py"
)
assert _spec
assert _spec.loader
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)

make_project = _fixtures.make_project
make_exporter = _fixtures.make_exporter
export = _fixtures.export
unzip = _fixtures.unzip


@pytest.fixture
def odd_project(tmp_path: Path) -> Path:
    """Make a COCO folder that has what formats stumble over.

    Image 1 `a.png`: a square (id 1), two parts (id 2), a square with a hole (id 3). Image 2 `deep/b.c.png`: a triangle (id 4).
    Image 3 `empty.png`: nothing. Image 4 `ship 🚢.png`: a crowd (id 5). Images are 40 wide and 30 high.
    """
    root = tmp_path / "odd"
    (root / "images" / "deep").mkdir(parents=True)
    names = ["a.png", "deep/b.c.png", "empty.png", "ship 🚢.png"]
    for number, name in enumerate(names):
        Pillow.new("RGB", (40, 30), (60 * number, 90, 120)).save(root / "images" / name)
    hole = np.zeros((30, 40), np.uint8)
    hole[5:25, 20:36] = 1
    hole[10:15, 25:30] = 0
    edges = np.flatnonzero(np.diff(hole.T.reshape(-1), prepend=0, append=0))
    counts = np.diff([0, *edges.tolist(), 1200]).tolist()
    rows = [
        (1, 1, [[2, 2, 12, 2, 12, 12, 2, 12]], 0, {"round": True, "note": 'a < b & "c"'}),
        (1, 2, [[2, 15, 6, 15, 6, 19, 2, 19], [9.5, 15, 13, 15, 13, 19, 9.5, 19]], 0, {}),
        (1, 1, {"size": [30, 40], "counts": counts}, 0, {"round": False}),
        (2, 2, [[5, 5, 25, 5, 5, 25]], 0, {}),
        (4, 1, {"size": [30, 40], "counts": counts}, 1, {}),
    ]
    annotations = [
        {
            "id": number,
            "image_id": image,
            "category_id": category,
            "segmentation": segmentation,
            "iscrowd": crowd,
            "area": 1,
            "bbox": [0, 0, 1, 1],
            "attributes": attributes,
        }
        for number, (image, category, segmentation, crowd, attributes) in enumerate(rows, start=1)
    ]
    document = {
        "images": [{"id": n, "file_name": name, "width": 40, "height": 30} for n, name in enumerate(names, start=1)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": 'yes: # <no> & "q"'}],
    }
    (root / "instances.json").write_text(json.dumps(document))
    return root


@pytest.fixture
def load_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Load a dataset from this machine alone with Hugging Face's `datasets`, its cache in the test's own folder."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    import datasets

    datasets.disable_progress_bars()
    return lambda *where, **options: datasets.load_dataset(*where, cache_dir=str(tmp_path / "cache"), **options)


@pytest.fixture
def make_scene(tmp_path: Path) -> Callable[..., Path]:
    """Make a COCO folder of images of one size, the objects given as (image number from 1, COCO annotation without its ids)."""
    numbers = itertools.count()

    def make(
        *objects: tuple[int, dict[str, Any]],
        size: tuple[int, int] = (40, 30),
        images: Sequence[str] = ("a.png",),
        classes: Sequence[str] = ("cell", "nucleus"),
    ) -> Path:
        root = tmp_path / f"scene-{next(numbers)}"
        for name in images:
            path = root / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Pillow.new("RGB", size).save(path)
        document = {
            "images": [
                {"id": number, "file_name": name, "width": size[0], "height": size[1]}
                for number, name in enumerate(images, start=1)
            ],
            "annotations": [
                {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, **annotation}
                for number, (image, annotation) in enumerate(objects, start=1)
            ],
            "categories": [{"id": number, "name": name} for number, name in enumerate(classes, start=1)],
        }
        (root / "instances.json").write_text(json.dumps(document))
        return root

    return make
