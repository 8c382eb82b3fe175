"""Edge case 24: measures against closed forms, their bounds and their scaling, and one number for an object everywhere."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from tests.edge_cases.conftest import Export
from tests.support.scenes import Bundle, Thing, box, make_scene

from labelferry_protocol.options import OverlayStyle

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CORNERS, RADIUS = 360, 50.0
TURNS = [2 * math.pi * corner / CORNERS for corner in range(CORNERS)]
CIRCLE = [each for turn in TURNS for each in (100 + RADIUS * math.cos(turn), 100 + RADIUS * math.sin(turn))]
ANGLE = math.radians(30)
TURNED = [
    each
    for x, y in ((-40, -15), (40, -15), (40, 15), (-40, 15))
    for each in (
        100 + x * math.cos(ANGLE) - y * math.sin(ANGLE),
        100 + x * math.sin(ANGLE) + y * math.cos(ANGLE),
    )
]
SHAPES = {
    "square": Thing([box(20, 20, 80, 80)]),
    "circle": Thing([CIRCLE]),
    "rectangle with a hole": Thing([box(10, 10, 60, 40)], [[box(20, 20, 30, 10)]]),
    "turned rectangle": Thing([TURNED]),
    "two squares": Thing([box(10, 10, 20, 20), box(110, 10, 20, 20)]),
}
HULL_OF_TWO = 120 * 20
CIRCLE_AREA = CORNERS / 2 * RADIUS**2 * math.sin(2 * math.pi / CORNERS)
CIRCLE_LENGTH = 2 * CORNERS * RADIUS * math.sin(math.pi / CORNERS)
CLOSED_FORMS: dict[str, dict[str, float]] = {
    "square": {
        "area": 6400,
        "perimeter": 320,
        "perimeter_with_holes": 320,
        "equivalent_diameter": math.sqrt(4 * 6400 / math.pi),
        "circularity": math.pi / 4,
        "compactness": 4 / math.pi,
        "feret_max": 80 * math.sqrt(2),
        "feret_min": 80,
        "feret_orthogonal": 80 * math.sqrt(2),
        "feret_aspect_ratio": math.sqrt(2),
        "major_axis": 4 * 80 / math.sqrt(12),
        "minor_axis": 4 * 80 / math.sqrt(12),
        "eccentricity": 0,
        "bbox_width": 80,
        "bbox_height": 80,
        "extent": 1,
        "convexity": 1,
        "solidity": 1,
        "sphericity": math.sqrt(math.pi) / 2,
        "centroid_x": 60,
        "centroid_y": 60,
    },
    "circle": {
        "area": CIRCLE_AREA,
        "perimeter": CIRCLE_LENGTH,
        "circularity": 4 * math.pi * CIRCLE_AREA / CIRCLE_LENGTH**2,
        "feret_max": 2 * RADIUS,
        "feret_min": 2 * RADIUS * math.cos(math.pi / CORNERS),
        "eccentricity": 0,
        "solidity": 1,
        "centroid_x": 100,
        "centroid_y": 100,
    },
    "rectangle with a hole": {
        "area": 2400 - 300,
        "perimeter": 200,
        "perimeter_with_holes": 280,
        "feret_max": math.hypot(60, 40),
        "feret_min": 40,
        "extent": 2100 / 2400,
        "convexity": 1,
        "solidity": 2100 / 2400,
        "centroid_x": (2400 * 40 - 300 * 35) / 2100,
        "centroid_y": (2400 * 30 - 300 * 25) / 2100,
    },
    "turned rectangle": {
        "area": 2400,
        "perimeter": 220,
        "feret_max": math.hypot(80, 30),
        "feret_min": 30,
        "major_axis": 4 * 80 / math.sqrt(12),
        "minor_axis": 4 * 30 / math.sqrt(12),
        "eccentricity": math.sqrt(1 - (30 / 80) ** 2),
        "orientation": math.pi / 2 - ANGLE,
        "bbox_width": 80 * math.cos(ANGLE) + 30 * math.sin(ANGLE),
        "extent": 2400
        / ((80 * math.cos(ANGLE) + 30 * math.sin(ANGLE)) * (80 * math.sin(ANGLE) + 30 * math.cos(ANGLE))),
        "solidity": 1,
        "convexity": 1,
    },
    "two squares": {
        "area": 800,
        "perimeter": 160,
        "feret_max": math.hypot(120, 20),
        "feret_min": 20,
        "solidity": 800 / HULL_OF_TWO,
        "convexity": 280 / 160,
    },
}
LENGTHS = (
    "perimeter",
    "perimeter_with_holes",
    "equivalent_diameter",
    "feret_max",
    "feret_min",
    "feret_orthogonal",
    "major_axis",
    "minor_axis",
    "bbox_width",
    "bbox_height",
)
RATIOS = ("circularity", "compactness", "feret_aspect_ratio", "eccentricity", "extent", "convexity", "solidity")


def measured(export: Export, folder: Path, *things: Thing, **options: Any) -> list[dict[str, str]]:
    source = make_scene(folder, things, [("a.png", 200, 200)])
    return export(source, formats=(), metrics=("csv",), **options).table()


@pytest.fixture
def unscaled(export: Export, tmp_path: Path) -> dict[str, dict[str, str]]:
    """The rows of all shapes, without a scale."""
    return dict(zip(SHAPES, measured(export, tmp_path / "plain", *SHAPES.values()), strict=True))


def value(row: dict[str, str], key: str, unit: str) -> float:
    header = next(each for each in (f"{key}_{unit}2", f"{key}_{unit}", f"{key}_px", f"{key}_rad", key) if each in row)
    return float(row[header])


@pytest.mark.parametrize("shape", CLOSED_FORMS)
def test_case_24_metrics_have_their_closed_forms(unscaled: dict[str, dict[str, str]], shape: str) -> None:
    for key, wanted in CLOSED_FORMS[shape].items():
        assert value(unscaled[shape], key, "px") == pytest.approx(wanted, rel=1e-9, abs=1e-6), key


def test_case_24_metrics_feret_of_a_square_of_80(unscaled: dict[str, dict[str, str]]) -> None:
    assert round(value(unscaled["square"], "feret_max", "px"), 2) == 113.14


def test_case_24_metrics_stay_within_their_bounds(unscaled: dict[str, dict[str, str]]) -> None:
    for row in unscaled.values():
        assert 0 < value(row, "circularity", "px") <= 1
        assert value(row, "compactness", "px") >= 1
        assert 0 < value(row, "solidity", "px") <= 1
        assert 0 < value(row, "extent", "px") <= 1
        assert value(row, "feret_max", "px") >= value(row, "feret_min", "px")


@pytest.mark.parametrize("scale", [0.0417, 0.0625, 2.0])
def test_case_24_metrics_scale(
    export: Export, tmp_path: Path, unscaled: dict[str, dict[str, str]], scale: float
) -> None:
    rows = measured(export, tmp_path / "scaled", *SHAPES.values(), scale=scale)
    for row, plain in zip(rows, unscaled.values(), strict=True):
        assert value(row, "area", "um") == pytest.approx(value(plain, "area", "px") * scale**2, rel=1e-12)
        for key in LENGTHS:
            assert value(row, key, "um") == pytest.approx(value(plain, key, "px") * scale, rel=1e-12), key
        for key in RATIOS:
            assert row[key] == plain[key], key


def test_case_24_metrics_missing_is_empty_and_never_0(export: Export, tmp_path: Path) -> None:
    things = [Thing([box(10, 10, 20, 20)]), Thing([box(50, 50, 20, 20)], crowd=True)]
    source = make_scene(tmp_path / "scene", things, [("a.png", 99, 99), ("empty.png", 99, 99)])
    bundle = export(source, formats=(), metrics=("csv", "xlsx", "json"))
    assert bundle.table()[0]["orientation_rad"] == ""
    whole, empty = bundle.table("images")
    assert (whole["objects"], whole["area_mean_px2"], whole["area_std_px2"]) == ("1", "400.0", "")
    assert (empty["objects"], empty["area_mean_px2"], empty["area_min_px2"]) == ("0", "", "")
    frame = pd.read_csv(bundle.folder / "metrics/images.csv")
    assert frame["area_mean_px2"].isna().tolist() == [False, True]
    sheet = pd.read_excel(bundle.folder / "metrics/metrics.xlsx", sheet_name=1)
    assert len(sheet)


def bright(picture: Any) -> Any:
    """Return what is white of a picture, cut to its size."""
    seen = np.asarray(picture.convert("L")) > 170
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return seen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def likeness(seen: Any, text: str) -> float:
    """Return how like the number drawn is to `text` in Pillow's own font, at the size where it is likest: 0 to 1."""
    best = 0.0
    for size in range(10, 60):
        canvas = Pillow.new("L", (200, 100))
        ImageDraw.Draw(canvas).text((10, 10), text, 255, font=ImageFont.load_default(size))
        drawn = bright(canvas)
        if abs(drawn.shape[0] - seen.shape[0]) <= 1:
            shape = np.maximum(drawn.shape, seen.shape)
            first, second = (np.pad(each, [(0, shape[i] - each.shape[i]) for i in (0, 1)]) for each in (drawn, seen))
            best = max(best, float((first & second).sum() / (first | second).sum()))
    return best


@pytest.mark.parametrize("number", [17, 71, 42])
def test_case_24_metrics_the_number_drawn_is_the_id_everywhere(export: Export, tmp_path: Path, number: int) -> None:
    source = make_scene(tmp_path / "scene", [Thing([box(20, 20, 160, 160)])], [("a.png", 200, 200)])
    text = (
        (source / "annotations.json").read_text().replace('"instances": [{"id": 1', f'"instances": [{{"id": {number}')
    )
    (source / "annotations.json").write_text(text)
    style = OverlayStyle(fill_opacity=0, stroke_width=0)
    bundle: Bundle = export(source, formats=("coco",), metrics=("csv",), visualizations=True, style=style)
    assert [each["id"] for each in bundle.annotations()] == [number]
    assert [row["object_id"] for row in bundle.table()] == [str(number)]
    with Pillow.open(bundle.folder / "visualizations/a.png") as picture:
        seen = bright(picture)
    found = max(("17", "71", "42", "1", "24", "11", "77"), key=lambda text: likeness(seen, text))
    assert found == str(number)
    assert likeness(seen, found) > 0.7
