"""Small projects made for one test, and what it takes to read them."""

import importlib.util
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image as Pillow

from labelferry_export.errors import ExportError
from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.ring import signed_area
from labelferry_export.geometry.shape import Shape
from labelferry_export.model import Image, Instance
from labelferry_export.reading.project import ReadStep, read_project
from labelferry_export.snapshot import Snapshot
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import OnError

SQUARE = [10, 10, 20, 10, 20, 20, 10, 20]
SKIP = ExportOptions(on_error=OnError.SKIP)


def save_picture(path: Path, size: tuple[int, int] = (40, 30), mode: str = "RGB", **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new(mode, size).save(path, **how)
    return path


@dataclass
class CocoProject:
    """A COCO folder in the making: one 40x30 image with one square, unless told otherwise."""

    root: Path
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[Any] = field(default_factory=list)
    categories: list[Any] = field(default_factory=lambda: [{"id": 1, "name": "cell", "supercategory": "thing"}])

    def add_image(
        self, name: str = "a.png", *, size: tuple[int, int] = (40, 30), file: bool = True, **more: Any
    ) -> int:
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": name, "width": size[0], "height": size[1], **more})
        if file:
            save_picture(self.root / "images" / name, size)
        return number

    def add_object(self, segmentation: Any = None, **more: Any) -> None:
        number = len(self.annotations) + 1
        said = {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0}
        self.annotations.append({**said, "segmentation": [SQUARE] if segmentation is None else segmentation, **more})

    @property
    def tree(self) -> dict[str, Any]:
        return {"images": self.images, "annotations": self.annotations, "categories": self.categories}

    def write(self, name: str = "instances.json") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.tree))
        return self.root


@pytest.fixture
def coco(tmp_path: Path) -> CocoProject:
    root = tmp_path / "project"
    root.mkdir()
    return CocoProject(root)


@dataclass
class ReadBack:
    """A project after reading."""

    snapshot: Snapshot
    steps: list[ReadStep]

    @property
    def images(self) -> list[Image]:
        return list(self.snapshot.images())

    @property
    def objects(self) -> list[Instance]:
        return [each for image in self.images for each in self.snapshot.instances(image.id)]

    @property
    def findings(self) -> list[tuple[str, str]]:
        return [(warn.code.value, warn.message) for warn in self.snapshot.findings()]


Reader = Callable[..., ReadBack]
Failure = Callable[..., ExportError]


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Reader]:
    """Reads a project below the test's own folder; the options may be given as keywords."""
    turns = itertools.count()
    snapshots: list[Snapshot] = []

    def run(path: Path, roots: list[Path] | None = None, **options: Any) -> ReadBack:
        target = tmp_path / f"snapshot-{next(turns)}.sqlite"
        reading = read_project(path, ExportOptions(**options), target, [tmp_path] if roots is None else roots)
        steps: list[ReadStep] = []
        while True:
            try:
                steps.append(next(reading))
            except StopIteration as end:
                snapshots.append(end.value)
                return ReadBack(end.value, steps)

    yield run
    for snapshot in snapshots:
        snapshot.close()


@pytest.fixture
def fail(read: Reader) -> Failure:
    """Reads a project that cannot be read, and returns the error."""

    def run(path: Path, **options: Any) -> ExportError:
        with pytest.raises(ExportError) as caught:
            read(path, **options)
        return caught.value

    return run


@pytest.fixture
def ramp() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    """16-bit values 1000..4000 from left to right, shape (30, 40)."""
    return np.broadcast_to(np.linspace(1000, 4000, 40).astype(np.uint16), (30, 40)).copy()


@pytest.fixture
def picture() -> Callable[..., Path]:
    """Saves a blank image, 40x30 unless told otherwise."""
    return save_picture


@pytest.fixture
def rings() -> Callable[[Shape], list[list[float]]]:
    """Returns the rings of a shape, each as x, y, x, y, ..."""

    def flat(shape: Shape) -> list[list[float]]:
        return [ring.ravel().tolist() for part in shape.parts for ring in (part.outer, *part.holes)]

    return flat


@pytest.fixture
def pixels() -> Callable[[Shape, int, int], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Returns the mask of a shape in an image of a width and a height."""
    return lambda shape, width, height: runs_of(shape, width, height).mask()


@pytest.fixture
def area() -> Callable[[Shape], float]:
    """Returns the area of a shape."""

    def of(shape: Shape) -> float:
        return sum(
            abs(signed_area(part.outer)) - sum(abs(signed_area(hole)) for hole in part.holes) for part in shape.parts
        )

    return of


Mutate = Callable[[bytes, st.DataObject], bytes]


@pytest.fixture
def mutate() -> Mutate:
    """Changes some bytes of a file, as hypothesis says."""

    def change(raw: bytes, data: st.DataObject) -> bytes:
        changed = bytearray(raw)
        for _ in range(data.draw(st.integers(1, 5))):
            place = data.draw(st.integers(0, max(0, len(changed) - 1)))
            count = data.draw(st.integers(0, 4))
            changed[place : place + count] = data.draw(st.sampled_from(FRAGMENTS) | st.binary(max_size=4))
        return bytes(changed)

    return change


FRAGMENTS = [
    *(b"null", b"NaN", b"-1", b"1e999", b"9" * 30, b"[", b"]", b"{", b"}", b'"', b",", b"\\", b"\xff", b"[]", b"{}"),
    *(b"<", b">", b"</", b"&", b"&amp;", b"<!DOCTYPE a>", b"\0", b"\n", b" ", b": ", b"- ", b"0", b";", b"\x7f\xff"),
]


_spec = importlib.util.spec_from_file_location(
    "writing_fixtures", Path(__file__).parents[1] / "writing" / "conftest.py"
)
assert _spec
assert _spec.loader
_writing = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_writing)

make_exporter = _writing.make_exporter
export = _writing.export
unzip = _writing.unzip
