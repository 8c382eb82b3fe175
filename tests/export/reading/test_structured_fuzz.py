"""A fuzz target for each source: sound structure with odd values, things left out, doubled and nested. `make fuzz` runs it at length.

Whatever comes: an `ExportError` of one sentence, or a project whose outlines are finite; and no file beside those of the test's own.
"""

from __future__ import annotations

import copy
import io
import json
import math
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from roifile import ImagejRoi

from labelferry_export.errors import ExportError
from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.export.reading.conftest import Reader

ODD: list[Any] = [
    *(None, True, -1, 0, 1, 2, 7, 2**31, 2**53 + 1, 2**63, 10**30, 0.5, 1e308, -1e308, 5e-324, math.nan, math.inf),
    *("", "\0", "a", "1", "x" * 5000, "../../../etc/passwd", "a.png", "\u202e", "\ud800"),
    *([], {}, [[]], [[[[]]]], {"a": {}}, [1, 2], [[1, 2], [3, 4], [5, 6]]),
]
SQUARE = [[10, 10], [20, 10], [20, 20], [10, 20]]
FLAT = [value for point in SQUARE for value in point]


@dataclass(frozen=True)
class Target:
    """A source's file: where it lies, a sound tree of plain values, how such a tree becomes bytes; and where the image lies."""

    file: str
    tree: Any
    dump: Callable[[Any], bytes]
    image: str = "images/a.png"
    others: tuple[tuple[str, bytes], ...] = ()


def as_json(tree: Any) -> bytes:
    return json.dumps(tree).encode()


def as_rows(tree: Any) -> bytes:
    rows = tree if isinstance(tree, list) else [tree]
    return "\n".join(" ".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows).encode(
        errors="replace"
    )


def as_xml(tree: Any) -> bytes:
    """An element is [tag, attributes, children]; anything else is text."""
    return "".join(_element(tree)).encode(errors="replace")


def _element(tree: Any) -> Iterator[str]:
    match tree:
        case [str(tag), dict(attributes), list(children)]:
            shown = "".join(f" {key}={quoteattr(str(value))}" for key, value in attributes.items())
            yield f"<{tag}{shown}>"
            for child in children:
                yield from _element(child)
            yield f"</{tag}>"
        case _:
            yield str(tree)


def as_mask(tree: Any) -> bytes:
    """Rows of numbers as a PNG of 8 or 16 bits; what is no number is 0."""
    rows = tree if isinstance(tree, list) else []
    values = [[_number(cell) for cell in row] for row in rows if isinstance(row, list) and row]
    width = max(map(len, values), default=1)
    padded = [row + [0] * (width - len(row)) for row in values] or [[0]]
    out = io.BytesIO()
    array = np.array(padded, np.uint16)
    Pillow.fromarray(array if array.max() > 255 else array.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def as_rois(tree: Any) -> bytes:
    """ROIs, each a list of bytes, in a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, roi in enumerate(tree if isinstance(tree, list) else [tree]):
            cells = roi if isinstance(roi, list) else []
            archive.writestr(f"{number}.roi", bytes(_number(cell) & 255 for cell in cells))
    return out.getvalue()


def _number(cell: Any) -> int:
    whole = isinstance(cell, int | float) and math.isfinite(cell) and 0 <= cell <= 65535
    return int(cell) if whole else 0


def _roi() -> list[int]:
    return list(ImagejRoi.frompoints(np.array(SQUARE) + 0.5).tobytes())


IMAGE = {"id": 1, "file_name": "a.png", "width": 40, "height": 30}
CLASS = {"id": 1, "name": "cell", "supercategory": "thing"}
POINTS = "1,1;9,1;9,9"
TARGETS: dict[str, Target] = {
    "coco": Target(
        "instances.json",
        {
            "info": {"year": 2020},
            "images": [IMAGE],
            "categories": [CLASS],
            "annotations": [
                {
                    "id": 1,
                    "image_id": 1,
                    "category_id": 1,
                    "segmentation": [FLAT],
                    "iscrowd": 0,
                    "bbox": [1, 1, 5, 5],
                    "attributes": {"a": 1},
                },
                {
                    "id": 2,
                    "image_id": 1,
                    "category_id": 1,
                    "segmentation": {"size": [30, 40], "counts": [100, 20, 1080]},
                },
            ],
        },
        as_json,
    ),
    "labelferry": Target(
        "annotations.json",
        {
            "labelferry": 1,
            "name": "x",
            "info": {"a": 1},
            "categories": [CLASS],
            "images": [
                {"id": 1, "name": "a.png", "file": "images/a.png", "width": 40, "height": 30, "attributes": {"b": "c"}}
            ],
            "instances": [
                {
                    "id": 1,
                    "image_id": 1,
                    "category_id": 1,
                    "parts": [{"outer": FLAT, "holes": [[12, 12, 14, 12, 14, 14]]}],
                    "crowd": False,
                }
            ],
        },
        as_json,
    ),
    "labelme": Target(
        "a.json",
        {
            "version": "5.0",
            "flags": {},
            "imagePath": "a.png",
            "imageData": None,
            "imageWidth": 40,
            "imageHeight": 30,
            "shapes": [
                {"label": "a", "points": SQUARE, "shape_type": "polygon", "group_id": 1, "flags": {"x": True}},
                {"label": "b", "points": SQUARE[:2], "shape_type": "circle", "group_id": None},
            ],
        },
        as_json,
        "a.png",
    ),
    "geojson": Target(
        "a.geojson",
        {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "geometry": {"type": "MultiPolygon", "coordinates": [[[*SQUARE, SQUARE[0]]]]},
                    "properties": {"classification": {"name": "a", "color": [1, 2, 3]}, "measurements": {"x": 1.5}},
                }
            ],
        },
        as_json,
        "a.png",
    ),
    "cvat": Target(
        "annotations.xml",
        [
            "annotations",
            {},
            [
                ["version", {}, ["1.1"]],
                ["meta", {}, [["task", {}, [["labels", {}, [["label", {}, [["name", {}, ["a"]]]]]]]]]],
                [
                    "image",
                    {"id": 0, "name": "a.png", "width": 40, "height": 30},
                    [
                        [
                            "polygon",
                            {"label": "a", "points": POINTS, "z_order": 1},
                            [["attribute", {"name": "n"}, ["4"]]],
                        ],
                        ["box", {"label": "a", "xtl": 1, "ytl": 1, "xbr": 5, "ybr": 5, "rotation": 30}, []],
                        ["mask", {"label": "a", "rle": "1,2,1", "left": 3, "top": 4, "width": 2, "height": 2}, []],
                        ["ellipse", {"label": "a", "cx": 9, "cy": 9, "rx": 3, "ry": 2}, []],
                    ],
                ],
            ],
        ],
        as_xml,
    ),
    "voc": Target(
        "Annotations/a.xml",
        [
            "annotation",
            {},
            [
                ["filename", {}, ["a.png"]],
                ["size", {}, [["width", {}, ["40"]], ["height", {}, ["30"]]]],
                [
                    "object",
                    {},
                    [
                        ["name", {}, ["a"]],
                        [
                            "bndbox",
                            {},
                            [
                                [side, {}, [str(place)]]
                                for side, place in zip(("xmin", "ymin", "xmax", "ymax"), (1, 2, 9, 9), strict=True)
                            ],
                        ],
                    ],
                ],
            ],
        ],
        as_xml,
    ),
    "yolo": Target(
        "labels/a.txt",
        [[0, 0.25, 0.25, 0.5, 0.25, 0.5, 0.5], [1, 0.5, 0.5, 0.2, 0.2]],
        as_rows,
        others=(("data.yaml", b"train: images\nnames: [a, b]\n"),),
    ),
    "masks": Target("masks/a.png", [[(y // 10 + 3 * (x // 20)) % 4 for x in range(40)] for y in range(30)], as_mask),
    "imagej": Target("a_RoiSet.zip", [_roi(), _roi()], as_rois, "a.png"),
}
"""By the source's name."""


def mutated(tree: Any, data: st.DataObject) -> Any:
    """Return a tree with a few of its nodes replaced, left out, doubled, or put into themselves."""
    tree = copy.deepcopy(tree)
    for _ in range(data.draw(st.integers(1, 4))):
        holder, key = _somewhere(tree, data)
        if holder is None:
            return data.draw(st.sampled_from(ODD))
        how = data.draw(st.sampled_from(["replace", "replace", "leave out", "double", "nest"]))
        if how == "replace":
            holder[key] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
        elif how == "leave out":
            del holder[key]
        elif how == "double" and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[key] = [copy.deepcopy(holder[key])]
    return tree


def _somewhere(tree: Any, data: st.DataObject) -> tuple[Any, Any]:
    """Return a container in the tree and one of its keys; None where the tree is none."""
    holder, key = None, None
    here = tree
    while isinstance(here, dict | list) and here and (holder is None or data.draw(st.integers(0, 4))):
        holder = here
        keys = list(here) if isinstance(here, dict) else range(len(here))
        key = data.draw(st.sampled_from(keys))
        here = here[key]
    return holder, key


@pytest.mark.parametrize("source", TARGETS)
def test_odd_values_in_a_sound_structure_are_a_sentence_or_a_sound_project(
    tmp_path: Path, picture: Callable[..., Path], read: Reader, source: str
) -> None:
    target = TARGETS[source]
    root = tmp_path / "project"
    picture(root / target.image)
    for name, content in (*target.others, (target.file, target.dump(target.tree))):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    assert read(root, source_format=source).objects
    before = {str(path) for path in root.rglob("*")}

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        (root / target.file).write_bytes(target.dump(mutated(target.tree, data)))
        sentence = ""
        try:
            project = read(root, source_format=source, on_error=data.draw(st.sampled_from(OnError)))
        except ExportError as error:
            sentence = str(error)
        else:
            assert all(np.isfinite(part.outer).all() for each in project.objects for part in each.shape.parts)
        assert len(sentence) < 1500
        assert "\n" not in sentence

    check()
    assert {str(path) for path in root.rglob("*")} == before
