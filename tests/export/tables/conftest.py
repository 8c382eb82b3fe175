"""What the tests of tables share: small measured projects, and a target that keeps what is written."""

import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from labelferry_export.findings import Warn
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.lanes import Piece, Span, SpanTask
from labelferry_export.model import Attribute, Category, Image, Instance
from labelferry_export.tables import Measurements, find
from labelferry_protocol.options import FormatOption

Points = Sequence[tuple[float, float]]
Project = Sequence[tuple[Image, Sequence[Instance]]]


class KeptFile(io.BytesIO):
    """A file in memory."""

    def write_stretch(self, data: bytes, packed: bytes) -> None:
        """Add bytes; that they were packed rightly is seen too."""
        assert zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed) == data
        self.write(data)


class Kept:
    """A target that keeps files and findings in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.warnings: list[Warn] = []
        self.objects = 0
        self.options: dict[str, FormatOption] = {"bom": False}

    @contextmanager
    def open(self, name: str) -> Iterator[KeptFile]:
        file = KeptFile()
        yield file
        self.files[name] = file.getvalue()

    def spread_spans(self, task: SpanTask, spans: Iterable[Span]) -> Iterator[tuple[Span, Iterator[Piece | None]]]:
        for span in spans:
            yield span, iter(task(span))

    def report(self, warn: Warn) -> None:
        self.warnings.append(warn)


@pytest.fixture
def box() -> Callable[[float, float, float, float], Points]:
    def make(left: float, top: float, right: float, bottom: float) -> Points:
        return [(left, top), (right, top), (right, bottom), (left, bottom)]

    return make


@pytest.fixture
def make_object() -> Callable[..., Instance]:
    """Make an object of one part: an outer ring followed by its holes."""

    def make(
        number: int,
        *rings: Points,
        category_id: int = 1,
        crowd: bool = False,
        attributes: dict[str, Attribute] | None = None,
    ) -> Instance:
        outer, *holes = (np.array(ring, np.float64) for ring in rings)
        shape = Shape((Part(outer, tuple(holes)),))
        return Instance(number, 1, category_id, shape, crowd, attributes or {})

    return make


@pytest.fixture
def make_image() -> Callable[..., Image]:
    def make(number: int = 1, name: str = "a.png", width: int = 200, height: int = 100) -> Image:
        return Image(number, name, Path("a.png"), width, height, bundle_name=name)

    return make


@pytest.fixture
def measure(tmp_path: Path) -> Iterator[Callable[..., Measurements]]:
    """Measure a project of pairs of an image and its objects."""
    every: list[Measurements] = []

    def run(
        project: Project, categories: Sequence[Category] = (Category(1, "cell"),), scale: float | None = None
    ) -> Measurements:
        folder = tmp_path / str(len(every))
        folder.mkdir()
        measured = Measurements(folder, categories, scale)
        every.append(measured)
        for image, instances in project:
            assert sum(measured.add(image, instances)) == len(instances)
        for _ in measured.finish():
            pass
        return measured

    yield run
    for measured in every:
        measured.close()


@pytest.fixture
def written() -> Callable[[str, Measurements], Kept]:
    """Write measured tables with the writer of a name."""

    def run(name: str, measured: Measurements) -> Kept:
        kept = Kept()
        kept.objects = sum(find(name).write(kept, measured))
        return kept

    return run


@pytest.fixture
def keep() -> Callable[[], Kept]:
    """Make a target that keeps what is written."""
    return Kept
