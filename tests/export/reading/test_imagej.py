"""ImageJ ROIs as an independent writer makes them: every kind of area, composites, zips that lie."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from roifile import ROI_TYPE, ImagejRoi

from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.export.reading.conftest import Failure, Reader

SQUARE = np.array([[10, 10], [20, 10], [20, 20], [10, 20]], np.int32)


def roi(points: Any = SQUARE, kind: ROI_TYPE = ROI_TYPE.POLYGON, **more: Any) -> bytes:
    made = ImagejRoi.frompoints(np.asarray(points), **more)
    made.roitype = kind
    data: bytes = made.tobytes()
    return data


def box(kind: ROI_TYPE) -> bytes:
    made = ImagejRoi()
    made.roitype = kind
    made.top, made.left, made.bottom, made.right = 5, 10, 15, 30
    data: bytes = made.tobytes()
    return data


def composite(*rings: list[tuple[float, float]]) -> bytes:
    path: list[float] = []
    for ring in rings:
        for turn, (x, y) in enumerate(ring):
            path += [0.0 if turn == 0 else 1.0, x, y]
        path.append(4.0)
    made = ImagejRoi()
    made.roitype = ROI_TYPE.RECT
    made.shape_roi_size = len(path)
    made.multi_coordinates = np.array(path, np.float32)
    data: bytes = made.tobytes()
    return data


@pytest.fixture
def rois(tmp_path: Path, picture: Callable[..., Path]) -> Callable[..., Path]:
    """Makes a folder of one 40x30 image with a RoiSet of the ROIs given as bytes."""

    def make(*made: bytes, name: str = "a_RoiSet.zip", image: str = "a.png") -> Path:
        root = tmp_path / "imagej"
        picture(root / image)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(root / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, data in enumerate(made):
                archive.writestr(f"{number:04}.roi", data)
        return root

    return make


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a_RoiSet.zip", "a.png"),
        ("a.zip", "a.png"),
        ("annotations/imagej/a_RoiSet.zip", "images/a.png"),
        ("annotations/imagej/train/a_RoiSet.zip", "images/train/a.png"),
    ],
)
@pytest.mark.parametrize("kind", [ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED])
def test_outlines_of_whole_pixels_are_read(
    rois: Callable[..., Path], read: Reader, rings: Callable[..., Any], name: str, image: str, kind: ROI_TYPE
) -> None:
    project = read(rois(roi(kind=kind, name="first"), name=name, image=image))
    assert project.snapshot.facts.source_format == "imagej"
    assert rings(project.objects[0].shape) == [[10, 10, 20, 10, 20, 20, 10, 20]]
    assert project.objects[0].attributes == {"name": "first"}
    assert project.findings == []


def test_sub_pixel_outlines_keep_their_floats(
    rois: Callable[..., Path], read: Reader, rings: Callable[..., Any]
) -> None:
    points = np.array([[10.25, 10.5], [20.75, 10.5], [15.125, 20.0]], np.float32)
    assert rings(read(rois(roi(points))).objects[0].shape) == [points.ravel().tolist()]


def test_a_single_roi_file_belongs_to_its_image(rois: Callable[..., Path], read: Reader) -> None:
    root = rois(roi())
    (root / "a_RoiSet.zip").unlink()
    (root / "a.roi").write_bytes(roi())
    assert len(read(root).objects) == 1


def test_rectangles_and_ovals_are_polygons(
    rois: Callable[..., Path], read: Reader, rings: Callable[..., Any], area: Callable[..., float]
) -> None:
    first, second = read(rois(box(ROI_TYPE.RECT), box(ROI_TYPE.OVAL))).objects
    assert rings(first.shape) == [[10, 5, 30, 5, 30, 15, 10, 15]]
    assert area(second.shape) == pytest.approx(np.pi * 50, rel=1e-3)


def test_a_composite_is_filled_by_the_even_odd_rule(rois: Callable[..., Path], read: Reader) -> None:
    nested = [[(x, x), (29 - x, x), (29 - x, 29 - x), (x, 29 - x)] for x in (1.0, 4.0, 8.0)]
    (found,) = read(rois(composite(*nested, [(32, 2), (38, 2), (38, 8)]))).objects
    assert sorted(len(part.holes) for part in found.shape.parts) == [0, 0, 1]


def test_properties_name_the_class_and_the_id(rois: Callable[..., Path], read: Reader) -> None:
    made = ImagejRoi.frompoints(SQUARE)
    made.props = "object_id: 17\nclass: cell \\u00e9\\: x\nstain\\ kind: HE\ncrowd: true\n"
    project = read(rois(made.tobytes()))
    (found,) = project.objects
    assert [each.name for each in project.snapshot.facts.categories] == ["cell \u00e9: x"]
    assert (found.id, found.crowd, found.attributes) == (17, True, {"stain kind": "HE"})


def test_images_without_rois_are_images_without_objects(
    rois: Callable[..., Path], picture: Callable[..., Path], read: Reader
) -> None:
    root = rois(roi())
    picture(root / "b.png")
    assert [image.name for image in read(root).images] == ["a.png", "b.png"]


BAD_ROIS = [
    ("line", roi(kind=ROI_TYPE.POLYLINE), "0001.roi of a_RoiSet.zip cannot be exported: it is a polyline, which has no area"),
    ("points", roi(kind=ROI_TYPE.POINT), "it is points, which has no area"),
    ("text", b"hello", "it is no ROI of ImageJ"),
    ("cut", roi()[:70], "its bytes are cut off"),
    ("header only", roi()[:64], "its bytes are cut off"),
    ("two points", roi(SQUARE[:2]), "fewer than three distinct points"),
    ("path", composite([(1, 1), (5, 5)])[:70], "its bytes are cut off"),
    ("mixed", composite([(9e9, 1), (5, 5), (1, 5)]).replace(struct.pack(">f", 4.0), struct.pack(">f", 7.5)), "its path is mixed up"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "sentence"), [row[1:] for row in BAD_ROIS], ids=[row[0] for row in BAD_ROIS])
def test_a_roi_that_is_no_area_is_a_sentence_or_is_left_out(
    rois: Callable[..., Path], read: Reader, fail: Failure, bad: bytes, sentence: str
) -> None:
    root = rois(roi(), bad, roi())
    assert sentence in str(fail(root))
    project = read(root, on_error=OnError.SKIP)
    assert [each.id for each in project.objects] == [1, 3]
    assert [(code, sentence in message) for code, message in project.findings] == [("object-dropped", True)]


def test_a_zip_bomb_is_stopped_by_what_comes_out_of_it(
    rois: Callable[..., Path], fail: Failure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelferry_export.sources.imagej.MAX_ROI_BYTES", 1 << 16)
    root = rois(roi(), roi() + bytes(1 << 20))
    raw = (root / "a_RoiSet.zip").read_bytes()
    (root / "a_RoiSet.zip").write_bytes(raw.replace(struct.pack("<I", (1 << 20) + len(roi())), struct.pack("<I", 200)))
    assert "a_RoiSet.zip" in str(fail(root))


def test_a_zip_whose_directory_is_gone_is_a_sentence(rois: Callable[..., Path], fail: Failure) -> None:
    root = rois(roi())
    raw = (root / "a_RoiSet.zip").read_bytes()
    (root / "a_RoiSet.zip").write_bytes(raw[:-30])
    assert "a_RoiSet.zip is a broken zip" in str(fail(root))
