"""Annotation files that mean harm: nested, huge, doubled, endless; zips that grow; xml that reaches out."""

import io
import json
import math
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.hostile.case import DONE, SIZE, SQUARE, Case, coco, document, picture

VOC = b"<annotation><filename>%b.png</filename><size><width>40</width><height>30</height></size></annotation>"
LAUGHS = b"".join(
    b'<!ENTITY l%d "%b">' % (level, b"&l%d;" % (level - 1) * 10 if level else b"ha" * 50) for level in range(10)
)


def raw_coco(raw: bytes) -> Case:
    """A COCO file that is no json, or not such json."""
    return Case(
        lambda root: (picture(root / "images/a.png"), (root / "instances.json").write_bytes(raw)),
        r"(instances\.json|File name too long)",
    )


def one(**said: Any) -> Case:
    """A sound annotation and one that says something odd."""

    def make(root: Path) -> None:
        sound = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [SQUARE], "iscrowd": 0}
        coco(root, annotations=[sound, {**sound, "id": 2, **said}])

    return Case(make, "(annotation 2|number 2 of the annotations|object 2)", skips=True)


def left_out(**said: Any) -> Case:
    """A sound annotation and one of which nothing can be drawn."""
    return replace(one(**said), says="object-dropped x 1: object 2 ", ends=DONE, skips=False)


def second_xml(data: bytes) -> Case:
    """A sound annotation of Pascal VOC and another one beside it."""

    def make(root: Path) -> None:
        for stem, content in (("a", VOC % b"a"), ("b", data)):
            picture(root / f"images/{stem}.png")
            document(root, f"Annotations/{stem}.xml", content)

    return Case(make, r"b\.xml is refused", skips=True)


def long_row(root: Path) -> None:
    """A row of YOLO labels with a million numbers, one too many for pairs."""
    document(root, "data.yaml", b"train: images\nnames: [x]\n")
    document(root, "labels/a.txt", b"0" + b" 0.5" * 1_000_001 + b"\n")


def roi_set(entries: list[tuple[str, int]], **changes: int) -> bytes:
    """A zip of zeros; `directory` puts another size of its directory into its end."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, size in entries:
            with archive.open(name, "w", force_zip64=True) as entry:
                for _ in range(size >> 20):
                    entry.write(bytes(1 << 20))
    data = bytearray(out.getvalue())
    if "directory" in changes:
        struct.pack_into("<I", data, len(data) - 10, changes["directory"])
    return bytes(data)


def overlapping(count: int, size: int) -> bytes:
    """A zip whose directory names the same packed bytes many times."""
    data = roi_set([("0.roi", size)])
    start = struct.unpack_from("<I", data, len(data) - 6)[0]
    record = data[start : len(data) - 22]
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, count * len(record), start, 0)
    return data[:start] + record * count + end


def star(vertices: int) -> list[float]:
    ring: list[float] = []
    for turn in range(vertices):
        angle, reach = 2 * math.pi * turn / vertices, 6 + 5 * (turn % 2)
        ring += [20 + reach * math.cos(angle), 15 + reach * math.sin(angle)]
    return ring


def crowded(root: Path) -> None:
    """An image with 20,000 objects of a few pixels."""
    annotations = []
    for number in range(1, 20_001):
        x, y = number % 1000, number // 1000
        ring = [x, y, x + 0.9, y, x + 0.9, y + 0.9]
        annotations.append({"id": number, "image_id": 1, "category_id": 1, "segmentation": [ring], "iscrowd": 0})
    image = {"id": 1, "file_name": "a.png", "width": 1000, "height": 110}
    coco(root, images=[image], annotations=annotations)
    picture(root / "images/a.png", (1000, 110))


DEEP = b'{"images": [], "categories": [], "annotations": ' + b"[" * (10 << 20)
DEEP_OBJECTS = b'{"images": [], "categories": [], "annotations": [' + b'{"a":' * (2 << 20)

CASES: dict[str, Case] = {
    "10 MB of nested lists": raw_coco(DEEP),
    "10 MB of nested objects": raw_coco(DEEP_OBJECTS),
    "json that ends in the middle": raw_coco(b'{"images": [{"id": 1, "file_name": "a.p'),
    "json in utf-16": raw_coco('{"images": [], "annotations": [], "categories": []}'.encode("utf-16")),
    "json of nothing": raw_coco(b""),
    "json of nul bytes": raw_coco(bytes(1 << 20)),
    "one string of 20 MB": raw_coco(
        b'{"images": [{"id": 1, "file_name": "' + b"x" * (20 << 20) + b'"}], "annotations": [], "categories": []}'
    ),
    "json with two lists of images": Case(
        lambda root: (
            coco(root),
            (root / "instances.json").write_text(
                (root / "instances.json").read_text().replace('{"images"', '{"images": [], "images"', 1)
            ),
        ),
        r"instances\.json",
    ),
    "nan": left_out(segmentation=[[math.nan, 1, 5, 5, 1, 5]]),
    "infinity": left_out(segmentation=[[math.inf, 1, 5, 5, 1, 5]]),
    "numbers of 400 digits": one(segmentation=[[10**400, 1, 5, 5, 1, 5]]),
    "numbers of 300 digits": left_out(segmentation=[[10.0**300, 1, 5, 5, 1, 5]]),
    "mask of 60,000 px a side": one(segmentation={"size": [60_000, 60_000], "counts": [0, 3_600_000_000]}),
    "mask of negative runs": one(segmentation={"size": [30, 40], "counts": [-5, 1205]}),
    "mask of a packed text that overflows": one(segmentation={"size": [30, 40], "counts": "o" * 5000}),
    "box of nan": left_out(segmentation=[], bbox=[math.nan, 0, 5, 5]),
    "an id of 400 digits": Case(
        lambda root: coco(
            root, annotations=[{"id": 10**400, "image_id": 1, "category_id": 1, "segmentation": [SQUARE]}]
        ),
        "object-renumbered",
        ends=DONE,
    ),
    "an id that is taken": Case(
        lambda root: coco(root, annotations=[{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [SQUARE]}] * 2),
        "object-renumbered",
        ends=DONE,
    ),
    "a dense outline of 300,000 vertices": Case(
        lambda root: coco(
            root, annotations=[{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [star(300_000)]}]
        ),
        ends=DONE,
    ),
    "20,000 objects": Case(crowded, ends=DONE),
    "a width of 400 digits": Case(
        lambda root: coco(root, images=[{"id": 1, "file_name": "a.png", "width": 10**400, "height": 30}]),
        ends=DONE,
    ),
    "a class of half a character": Case(
        lambda root: coco(root, categories=[{"id": 1, "name": "c\ud800"}]), "(unicode|class|categories)"
    ),
    "a formula for a class": Case(
        lambda root: coco(root, categories=[{"id": 1, "name": "=cmd|' /C calc'!A0"}]), ends=DONE
    ),
    "billion laughs": second_xml(b"<!DOCTYPE a [" + LAUGHS + b"]>" + VOC % b"&l9;"),
    "xml that reads a file": second_xml(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + VOC % b"&x;"),
    "xml that asks the network": second_xml(b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">' + VOC % b"a"),
    "xml with a document type alone": Case(
        lambda root: document(root, "annotations.xml", b"<!DOCTYPE a []><annotations/>"),
        r"annotations\.xml is refused: line 1: it has a document type",
    ),
    "xml of 6,000 document types": second_xml(b"<!DOCTYPE a [" + b"<!DOCTYPE[" * 6_553),
    "xml of 100,000 levels": Case(
        lambda root: document(root, "annotations.xml", b"<annotations>" + b"<image>" * 100_000), r"annotations\.xml is"
    ),
    "empty xml": replace(second_xml(b""), says=r"b\.xml is not xml"),
    "roi zip that grows to 200 MB": Case(
        lambda root: document(root, "a_RoiSet.zip", roi_set([("1.roi", 200 << 20)])),
        "unpacks to far more than it should",
    ),
    "roi zip that names the same bytes often": Case(
        lambda root: document(root, "a_RoiSet.zip", overlapping(60, 15 << 20)), "a_RoiSet.zip"
    ),
    "roi zip with a directory of 1 GB": Case(
        lambda root: document(root, "a_RoiSet.zip", roi_set([("1.roi", 1 << 20)], directory=1 << 30)),
        "says it has a directory",
    ),
    "yaml that refers to itself": Case(
        lambda root: document(root, "data.yaml", b"a: &a [*a, *a]\ntrain: images\nnames: [x]\n"), r"data\.yaml"
    ),
    "rows of a million numbers": Case(long_row, r"row 1 of labels/a\.txt", skips=True),
    "geojson of strings": Case(
        lambda root: document(
            root,
            "a.geojson",
            json.dumps(
                {
                    "type": "FeatureCollection",
                    "features": [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": "x"}}],
                }
            ).encode(),
        ),
        "",
        skips=True,
    ),
    "a table without an end": Case(
        lambda root: (
            picture(root / "images/a.png", SIZE),
            picture(root / "annotations/instance_masks/masks/a.png", SIZE),
            (root / "annotations/instance_masks/objects.csv").write_bytes(
                b'file,value,object_id,category_id,category\n"' + b"x" * (4 << 20)
            ),
        ),
        r"objects\.csv cannot be read",
    ),
}
