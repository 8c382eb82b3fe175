"""Mutated bytes, for every source: what is read is sound, what is not is one sentence, and nothing else is ever raised."""

from __future__ import annotations

import base64
import io
import json
import shutil
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from roifile import ROI_TYPE, ImagejRoi

from labelferry_export.errors import ExportError
from labelferry_export.sources.outlines import Unusable
from labelferry_export.sources.roi_form import decode_roi
from labelferry_export.sources.xml_elements import xml_elements
from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.export.reading.conftest import Mutate, Reader

LABELS = np.zeros((30, 40), np.uint8)
LABELS[5:15, 8:20] = 1
LABELS[20:25, 3:9] = 2
SQUARE = [[10, 10], [20, 10], [20, 20], [10, 20]]


def png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def roi() -> bytes:
    made = ImagejRoi.frompoints(np.array(SQUARE) + 0.5)
    made.props = "class: cell\nobject_id: 4\n"
    data: bytes = made.tobytes()
    return data


def composite() -> bytes:
    made = ImagejRoi()
    made.roitype = ROI_TYPE.RECT
    path = [0, 1, 1, 1, 20, 1, 1, 20, 20, 4, 0, 3, 3, 2, 9, 3, 9, 9, 3, 3, 9, 2, 8, 2, 7, 4]
    made.shape_roi_size = len(path)
    made.multi_coordinates = np.array(path, np.float32)
    data: bytes = made.tobytes()
    return data


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.roi", roi())
        archive.writestr("2.roi", composite())
    return out.getvalue()


def labelme() -> bytes:
    mask = base64.b64encode(png(LABELS[4:8, 8:12])).decode()
    shapes = [
        {"label": "a", "points": SQUARE, "shape_type": "polygon", "group_id": 1, "flags": {"x": True}},
        {"label": "a", "points": SQUARE[:2], "shape_type": "circle", "group_id": 1},
        {"label": "b", "points": [[1, 1], [4, 4]], "shape_type": "mask", "mask": mask, "id": 3},
    ]
    tree = {"imagePath": "a.png", "imageData": None, "imageWidth": 40, "imageHeight": 30, "shapes": shapes}
    return json.dumps(tree).encode()


CVAT = b"""<?xml version="1.0"?><annotations><meta><task><labels><label><name>a</name><attributes><attribute><name>n</name>
<input_type>number</input_type></attribute></attributes></label></labels></task></meta><image id="0" name="a.png" width="40"
height="30"><polygon label="a" points="1,1;9,1;9,9" z_order="1"><attribute name="n">4</attribute></polygon>
<box label="a" xtl="1" ytl="1" xbr="5" ybr="5" rotation="30"/><mask label="a" rle="1,2,1" left="3" top="4" width="2" height="2"/>
<ellipse label="a" cx="9" cy="9" rx="3" ry="2"/></image></annotations>"""
VOC = b"""<annotation><filename>a.png</filename><size><width>40</width><height>30</height></size><object><name>a</name>
<id>4</id><truncated>1</truncated><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"""
GEOJSON = json.dumps(
    {
        "type": "FeatureCollection",
        "features": [
            {
                "geometry": {"type": "MultiPolygon", "coordinates": [[[*SQUARE, SQUARE[0]]]]},
                "properties": {"classification": {"name": "a"}, "name": "4", "measurements": {"x": 1.5}},
            }
        ],
    }
).encode()
YAML = b"path: .\ntrain: images # here\nval: [images]\nnames:\n  0: a\n  1: 'b'\n"
ROWS = b"0 0.25 0.25 0.5 0.25 0.5 0.5\n1 0.5 0.5 0.2 0.2\n"

CASES: dict[str, tuple[str, dict[str, bytes]]] = {
    "cvat": ("annotations.xml", {"annotations.xml": CVAT}),
    "geojson": ("a.geojson", {"a.geojson": GEOJSON}),
    "imagej": ("a_RoiSet.zip", {"a_RoiSet.zip": zipped()}),
    "labelme": ("a.json", {"a.json": labelme()}),
    "masks": ("masks/a.png", {"masks/a.png": png(LABELS)}),
    "voc": ("Annotations/a.xml", {"Annotations/a.xml": VOC}),
    "voc masks": ("SegmentationObject/a.png", {"Annotations/a.xml": VOC, "SegmentationObject/a.png": png(LABELS % 2)}),
    "yolo": ("data.yaml", {"data.yaml": YAML, "labels/a.txt": ROWS}),
    "yolo rows": ("labels/a.txt", {"data.yaml": YAML, "labels/a.txt": ROWS}),
    "table": (
        "annotations/instance_masks/objects.csv",
        {
            "annotations/instance_masks/objects.csv": b'file,value,object_id,category_id,category\nmasks/a.png,1,4,1,"a"\nmasks/a.png,2,6,1,a\n',
            "annotations/instance_masks/masks/a.png": png(LABELS),
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_no_mutated_bytes_raise_anything_but_an_export_error(
    tmp_path: Path, picture: Callable[..., Path], read: Reader, mutate: Mutate, case: str
) -> None:
    target, files = CASES[case]
    root = tmp_path / "project"
    flat = case in ("geojson", "imagej", "labelme")
    picture(root / ("a.png" if flat else "images/a.png"))
    for name, raw in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(raw)
    assert read(root).objects

    @settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        (root / target).write_bytes(mutate(files[target], data))
        sentence = ""
        try:
            project = read(
                root,
                on_error=data.draw(st.sampled_from(OnError)),
                source_format=case.split(" ", maxsplit=1)[0] if case != "table" else "masks",
            )
        except ExportError as error:
            sentence = str(error)
        else:
            for each in project.objects:
                assert each.id >= 1
                assert all(np.isfinite(part.outer).all() for part in each.shape.parts)
        assert len(sentence) < 1000
        assert "\n" not in sentence

    check()
    shutil.rmtree(root)


@settings(max_examples=400)
@given(
    start=st.sampled_from([roi(), composite()]),
    changes=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4))),
)
def test_a_mutated_roi_is_a_shape_or_unusable(start: bytes, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(start)
    for place, put in changes:
        data[place : place + len(put)] = put
    with suppress(Unusable):
        assert all(len(part.outer) >= 3 for part in decode_roi(bytes(data)).shape.parts)


def test_a_file_of_one_endless_attribute_is_refused_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelferry_export.sources.xml_elements.MAX_SILENT_BYTES", 1 << 20)
    (tmp_path / "a.xml").write_bytes(b'<a b="' + b"x" * (3 << 20))
    with pytest.raises(ExportError, match="more than 1 MB without an element"):
        list(xml_elements(tmp_path, "a.xml", [("a",)]))


def test_cyclic_links_to_folders_are_not_followed(tmp_path: Path, picture: Callable[..., Path], read: Reader) -> None:
    root = tmp_path / "project"
    picture(root / "images" / "a.png")
    (root / "masks").mkdir()
    (root / "masks" / "a.png").write_bytes(png(LABELS))
    (root / "masks" / "again").symlink_to("..")
    (root / "images" / "again").symlink_to(".")
    assert len(read(root).objects) == 2


def test_names_that_are_odd_on_some_system_are_read(tmp_path: Path, picture: Callable[..., Path], read: Reader) -> None:
    root = tmp_path / "project"
    stems = ["CON", ".dot", "e\u0301", "\u202egnp", "a b", "\U0001f52c", "x" * 200]
    (root / "labels").mkdir(parents=True)
    for stem in stems:
        picture(root / "images" / f"{stem}.png")
        (root / "labels" / f"{stem}.txt").write_bytes(ROWS)
    (root / "data.yaml").write_text("train: images\nnames: [a, b]\n")
    project = read(root)
    assert len(project.images) == len(stems)
    assert len(project.objects) == 2 * len(stems)
