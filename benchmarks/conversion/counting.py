"""Counts the objects (of overlays: the pictures) in what a tool wrote, so that only like is compared with like."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

_ROWS = {
    "voc boxes": re.compile(rb"<object>"),
    "voc + masks": re.compile(rb"<object>"),
    "cvat": re.compile(rb"<(?:polygon|mask) "),
    "yolo segment": re.compile(rb"^\d+ [\d.]", re.MULTILINE),
    "yolo boxes": re.compile(rb"^\d+ [\d.]", re.MULTILINE),
}
_SUFFIXES = {"voc boxes": ".xml", "voc + masks": ".xml", "cvat": ".xml", "yolo segment": ".txt", "yolo boxes": ".txt"}


def objects_in(target: Path, kind: str) -> int:
    """Return how many objects of a kind of conversion lie in a folder, in loose files or in one bundle."""
    if kind == "overlays":
        return sum(1 for name, _ in _files(target, ".png"))
    if kind.startswith("coco"):
        trees = [json.loads(data) for name, data in _files(target, ".json") if "instances" in name]
        return sum(len(tree["annotations"]) for tree in trees)
    return sum(len(_ROWS[kind].findall(data)) for _, data in _files(target, _SUFFIXES[kind]))


def _files(target: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    bundle = target / "out.zip"
    if bundle.exists():
        with zipfile.ZipFile(bundle) as archive:
            for name in archive.namelist():
                if name.endswith(suffix):
                    yield name, archive.read(name)
        return
    for path in sorted(target.rglob(f"*{suffix}")):
        yield path.name, path.read_bytes()
