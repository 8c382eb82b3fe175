"""labelferry json: lossless, so that an unzipped bundle exports to the same annotations again."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.formats.json import instances_of
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.model import Image, Instance
from labelferry_export.sources.labelferry_form import FormInstance

IMAGE = Image(id=5, name="a.png", path=Path("a.png"), width=40, height=20)

points = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=3, max_size=8).map(
    lambda each: np.array(each, np.float64)
)
shapes = st.lists(st.builds(Part, points, st.lists(points, max_size=2).map(tuple)), min_size=1, max_size=3).map(
    lambda parts: Shape(tuple(parts))
)
attributes = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.booleans() | st.integers(-9, 9))


@given(shapes, st.booleans(), attributes)
def test_an_object_reads_back_bit_for_bit(
    shape: Shape, crowd: bool, attributes: dict[str, str | int | float | bool]
) -> None:
    instance = Instance(id=7, image_id=5, category_id=2, shape=shape, crowd=crowd, attributes=attributes)
    read = msgspec.json.decode(instances_of(IMAGE, [instance]).data, type=FormInstance)
    assert (read.id, read.image_id, read.category_id, read.crowd) == (7, 5, 2, crowd)
    assert read.attributes == attributes
    for part, form in zip(shape.parts, read.parts, strict=True):
        assert form.outer == part.outer.reshape(-1).tolist()
        assert form.holes == [hole.reshape(-1).tolist() for hole in part.holes]


def test_an_unzipped_bundle_exports_to_the_same_annotations_again(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    formats = ("coco", "yolo", "json")
    first = unzip(export(make_project(4), formats=formats, name="cells"))
    second = unzip(export(first, formats=formats, name="cells", source_format="labelferry"))
    for name in ("annotations/json/annotations.json", "annotations/coco/instances.json", "data.yaml"):
        assert json_of(second / name) == json_of(first / name), name
    for path in (first / "labels").iterdir():
        assert (second / "labels" / path.name).read_bytes() == path.read_bytes()


def json_of(path: Path) -> object:
    text = path.read_text()
    return json.loads(text) if path.suffix == ".json" else text


def test_the_order_of_keys_tells_a_reader_the_form_from_the_first_bytes(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    path = unzip(export(make_project(1), formats=("json",))) / "annotations/json/annotations.json"
    assert path.read_bytes().startswith(b'{"labelferry":1,')
