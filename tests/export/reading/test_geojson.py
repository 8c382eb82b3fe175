"""GeoJSON of QuPath: old and new forms, holes and parts, classes, features that are no areas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.export.reading.conftest import Failure, Reader

SQUARE = [[10, 10], [20, 10], [20, 20], [10, 20], [10, 10]]
HOLE = [[12, 12], [14, 12], [14, 14], [12, 14], [12, 12]]
FAR = [[30, 20], [35, 20], [35, 25], [30, 25], [30, 20]]


def feature(kind: str = "Polygon", coordinates: Any = None, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": "7d1d0f0e-0000-4000-8000-000000000000",
        "geometry": {"type": kind, "coordinates": [SQUARE] if coordinates is None else coordinates},
        "properties": {
            "objectType": "annotation",
            "classification": {"name": "cell", "color": [1, 2, 3]},
            **properties,
        },
    }


def collection(*features: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


@pytest.fixture
def geojson(tmp_path: Path, picture: Callable[..., Path]) -> Callable[..., Path]:
    """Makes a folder of one 40x30 image and its GeoJSON."""

    def make(tree: Any, name: str = "a.geojson", image: str = "a.tif") -> Path:
        root = tmp_path / "qupath"
        picture(root / image)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(tree))
        return root

    return make


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a.geojson", "a.tif"),
        ("a.tif.geojson", "a.tif"),
        ("a.json", "a.png"),
        ("a.geojson", "images/a.png"),
        ("annotations/geojson/a.geojson", "images/a.png"),
        ("annotations/geojson/train/a.geojson", "images/train/a.png"),
    ],
)
def test_polygons_with_holes_are_read_for_the_image_of_the_same_stem(
    geojson: Callable[..., Path], read: Reader, rings: Callable[..., Any], name: str, image: str
) -> None:
    project = read(geojson(collection(feature(coordinates=[SQUARE, HOLE])), name, image))
    assert project.snapshot.facts.source_format == "geojson"
    (found,) = project.objects
    assert rings(found.shape) == [[10, 10, 20, 10, 20, 20, 10, 20], [12, 12, 14, 12, 14, 14, 12, 14]]
    assert len(found.shape.parts) == 1
    assert project.findings == []


@pytest.mark.parametrize("tree", [collection(feature()), [feature()], feature()], ids=["collection", "array", "one"])
def test_every_form_that_qupath_ever_wrote_is_read(geojson: Callable[..., Path], read: Reader, tree: Any) -> None:
    assert len(read(geojson(tree)).objects) == 1


def test_several_polygons_are_parts_of_one_object(geojson: Callable[..., Path], read: Reader) -> None:
    root = geojson(collection(feature("MultiPolygon", [[SQUARE, HOLE], [FAR]])))
    (found,) = read(root).objects
    assert [len(part.holes) for part in found.shape.parts] == [1, 0]


def test_classes_names_and_measurements_are_kept(geojson: Callable[..., Path], read: Reader) -> None:
    project = read(
        geojson(
            collection(
                feature(name="7", metadata={"crowd": "true", "a": "b"}),
                feature(objectType="detection", name="left", measurements=[{"name": "Area", "value": 2.5}]),
                feature(classification=None, object_type="annotation", measurements={"x": 1}),
                feature(classification={"names": ["Tumor", "Positive"]}),
            )
        )
    )
    names = [each.name for each in project.snapshot.facts.categories]
    assert names == ["Tumor: Positive", "cell", "object"]
    assert [(each.id, names[each.category_id - 1], each.crowd) for each in project.objects] == [
        *((1, "cell", False), (2, "object", False), (3, "Tumor: Positive", False)),
        (7, "cell", True),
    ]
    assert [each.attributes for each in project.objects] == [
        {"Area": 2.5, "name": "left", "object_type": "detection"},
        {"x": 1},
        {},
        {"a": "b"},
    ]


def test_the_nuclei_of_cells_are_counted(geojson: Callable[..., Path], read: Reader) -> None:
    cell = {**feature(objectType="cell"), "nucleusGeometry": {"type": "Polygon", "coordinates": [HOLE]}}
    project = read(geojson(collection(cell)))
    assert "the nuclei of 1 cells are left out" in project.findings[0][1]


BAD_FEATURES = [
    ("point", feature("Point", [1, 2]), "feature 2 of a.geojson cannot be exported: it is a Point, which has no area"),
    ("line", feature("LineString", SQUARE), "it is a LineString, which has no area"),
    ("empty", feature("Polygon", []), "it has no outline"),
    ("number", feature("Polygon", 7), "it has no outline"),
    ("ragged", feature("Polygon", [[[1, 2], [3], [4, 5]]]), "not made of pairs of numbers"),
    ("text", feature("Polygon", [[["a", "b"]] * 4]), "not made of pairs of numbers"),
    ("short", feature("Polygon", [[[1, 1], [2, 2], [1, 1]]]), "fewer than three distinct points"),
    ("no geometry", {"type": "Feature", "geometry": None, "properties": {}}, "it has no geometry"),
    ("no feature", 7, "feature 2 of a.geojson cannot be exported: Expected `object`"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "sentence"), [row[1:] for row in BAD_FEATURES], ids=[row[0] for row in BAD_FEATURES])
def test_a_feature_that_is_no_area_is_a_sentence_or_is_left_out(
    geojson: Callable[..., Path], read: Reader, fail: Failure, bad: Any, sentence: str
) -> None:
    root = geojson(collection(feature(), bad, feature()))
    assert sentence in str(fail(root))
    project = read(root, on_error=OnError.SKIP)
    assert [each.id for each in project.objects] == [1, 3]
    assert [(code, sentence in message) for code, message in project.findings] == [("object-dropped", True)]


def test_a_feature_of_which_nothing_can_be_drawn_is_left_out_and_counted(
    geojson: Callable[..., Path], read: Reader
) -> None:
    nowhere = feature("Polygon", [[[float("nan"), 1], [2, 2], [1, 3]]])
    project = read(geojson(collection(feature(), nowhere, feature())))
    assert [each.id for each in project.objects] == [1, 3]
    assert [(code, "not finite" in message) for code, message in project.findings] == [("object-dropped", True)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "b.geojson is not json: at byte 0"),
        ("{}", "b.geojson is no GeoJSON of QuPath: it has no 'features'"),
        ('{"features": 1}', "b.geojson: a list was expected"),
        ('{"features": [' + "[" * 100_000, "more than 64 lists and objects"),
        ('[{"a": 1}, {"b": }]', "is not json"),
    ],
)
def test_a_broken_file_is_a_sentence_or_its_image_is_left_out(
    geojson: Callable[..., Path], picture: Callable[..., Path], read: Reader, fail: Failure, text: str, sentence: str
) -> None:
    root = geojson(collection(feature()))
    picture(root / "b.tif")
    (root / "b.geojson").write_text(text)
    assert sentence in str(fail(root))
    assert [image.name for image in read(root, on_error=OnError.SKIP).images] == ["a.tif"]


def test_a_file_without_an_image_is_a_sentence(geojson: Callable[..., Path], fail: Failure) -> None:
    assert "a.geojson has no image: none of the project's images has the stem 'a'" in str(
        fail(geojson(collection(feature()), image="b.tif"))
    )
