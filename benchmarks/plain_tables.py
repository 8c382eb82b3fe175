"""The plain loop's tables: the same columns as labelferry's, measured object by object with shapely and numpy, in csv and xlsx."""

import csv
import io
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import shapely

Cell = str | int | float | None
Rows = list[list[Cell]]
Tables = dict[str, Rows]

MEASURES = (
    *("area", "perimeter", "equivalent_diameter", "circularity", "compactness", "feret_max", "feret_min"),
    *("feret_orthogonal", "feret_aspect_ratio", "major_axis", "minor_axis", "orientation", "eccentricity"),
    *("bbox_width", "bbox_height", "extent", "convexity", "solidity", "sphericity", "centroid_x", "centroid_y"),
)
MAIN = ("area", "perimeter", "equivalent_diameter", "circularity", "feret_max", "feret_min", "eccentricity", "solidity")
STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "std": lambda values: statistics.stdev(values) if len(values) > 1 else math.nan,
    "min": min,
    "max": max,
}
OBJECT_HEADER = ["object_id", "image_id", "image", "class_id", "class", "parts", "mask_pixels"]


def tables_of(whole: dict[str, Any]) -> Tables:
    """Return the tables of objects, images and classes, each with its header."""
    images = {image["id"]: image for image in whole["images"]}
    names = {each["id"]: each["name"] for each in whole["categories"]}
    objects: Rows = [[*OBJECT_HEADER, *MEASURES]]
    by_image: dict[int, list[dict[str, float]]] = defaultdict(list)
    by_class: dict[int, list[dict[str, float]]] = defaultdict(list)
    for annotation in whole["annotations"]:
        rings = annotation["segmentation"] if isinstance(annotation["segmentation"], list) else []
        points = np.array(rings[0] if rings else [0.0] * 6).reshape(-1, 2)
        if not shapely.Polygon(points).area:
            continue
        measured = measures_of(points)
        image, category = annotation["image_id"], annotation["category_id"]
        row: list[Cell] = [annotation["id"], image, Path(images[image]["file_name"]).name, category, names[category]]
        objects.append([*row, len(rings), annotation["area"], *(measured[key] for key in MEASURES)])
        by_image[image].append(measured)
        by_class[category].append(measured)
    header: list[Cell] = [f"{key}_{name}" for key in MAIN for name in STATISTICS]
    of_images: Rows = [["image_id", "image", "width", "height", "objects", *header]]
    for number, each in images.items():
        found = by_image[number]
        of_images.append([number, each["file_name"], each["width"], each["height"], len(found), *_summed_up(found)])
    of_classes: Rows = [["class_id", "class", "objects", *header]]
    of_classes += [
        [number, name, len(by_class[number]), *_summed_up(by_class[number])] for number, name in names.items()
    ]
    return {"objects": objects, "images": of_images, "classes": of_classes}


def _summed_up(measured: list[dict[str, float]]) -> Iterable[Cell]:
    for key in MAIN:
        values = [each[key] for each in measured]
        for summary in STATISTICS.values():
            yield summary(values) if values else None


def measures_of(points: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    """Measure one outline, vertices (n, 2)."""
    polygon = shapely.Polygon(points)
    hull = polygon.convex_hull
    area, perimeter = polygon.area, polygon.length
    corners = shapely.get_coordinates(hull)
    apart = corners[:, None] - corners
    distance = np.hypot(apart[..., 0], apart[..., 1])
    one, other = np.unravel_index(distance.argmax(), distance.shape)
    greatest = float(distance[one, other])
    along = apart[one, other] / greatest
    sides = np.diff(corners, axis=0)
    sides /= np.hypot(sides[:, 0], sides[:, 1])[:, None]
    least = float(np.ptp(sides[:, 0, None] * corners[:, 1] - sides[:, 1, None] * corners[:, 0], axis=1).min())
    left, top, right, bottom = polygon.bounds
    return {
        "area": area,
        "perimeter": perimeter,
        "equivalent_diameter": math.sqrt(4 * area / math.pi),
        "circularity": 4 * math.pi * area / perimeter**2,
        "compactness": perimeter**2 / (4 * math.pi * area),
        "feret_max": greatest,
        "feret_min": least,
        "feret_orthogonal": float(np.ptp(along[0] * corners[:, 1] - along[1] * corners[:, 0])),
        "feret_aspect_ratio": greatest / least,
        **_ellipse(points),
        "bbox_width": right - left,
        "bbox_height": bottom - top,
        "extent": area / ((right - left) * (bottom - top)),
        "convexity": hull.length / perimeter,
        "solidity": area / hull.area,
        "sphericity": 2 * math.sqrt(math.pi * area) / perimeter,
        "centroid_x": polygon.centroid.x,
        "centroid_y": polygon.centroid.y,
    }


def _ellipse(points: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    x, y = (points - points[0]).T
    p, q = np.roll(x, -1), np.roll(y, -1)
    cross = x * q - p * y
    area = cross.sum() / 2
    mean_x, mean_y = ((x + p) * cross).sum() / 6 / area, ((y + q) * cross).sum() / 6 / area
    xx = ((x * x + x * p + p * p) * cross).sum() / 12 / area - mean_x**2
    yy = ((y * y + y * q + q * q) * cross).sum() / 12 / area - mean_y**2
    xy = ((x * q + 2 * x * y + 2 * p * q + p * y) * cross).sum() / 24 / area - mean_x * mean_y
    mean, half = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    large, small = mean + half, max(mean - half, 0.0)
    return {
        "major_axis": 4 * math.sqrt(large),
        "minor_axis": 4 * math.sqrt(small),
        "orientation": math.atan2(2 * xy, yy - xx) / 2,
        "eccentricity": math.sqrt(1 - small / large),
    }


def csv_files(tables: Tables) -> dict[str, str]:
    """Return each table as csv."""
    texts = {}
    for name, rows in tables.items():
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        texts[name] = out.getvalue()
    return texts


def workbook(tables: Tables) -> bytes:
    """Return the tables as a workbook of openpyxl, in its mode for writing only."""
    book = openpyxl.Workbook(write_only=True)
    for name, rows in tables.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
