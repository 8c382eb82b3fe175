"""labelformat: its inputs and outputs by class. It writes annotations only."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.conversion.ways import Conversion

formats: Any = import_module("labelformat.formats")


def _segments(project: Path, target: Path) -> None:
    source = formats.COCOInstanceSegmentationInput(project / "instances.json")
    formats.YOLOv8InstanceSegmentationOutput(target / "data.yaml", "train").save(source)


def _boxes(project: Path, target: Path) -> None:
    source = formats.COCOObjectDetectionInput(project / "instances.json")
    formats.YOLOv8ObjectDetectionOutput(target / "data.yaml", "train").save(source)


def _coco(project: Path, target: Path) -> None:
    source = formats.COCOInstanceSegmentationInput(project / "instances.json")
    formats.COCOInstanceSegmentationOutput(target / "instances.json").save(source)


def _voc(project: Path, target: Path) -> None:
    source = formats.COCOObjectDetectionInput(project / "instances.json")
    formats.PascalVOCObjectDetectionOutput(target).save(source)


CONVERSIONS: Mapping[str, Conversion] = {
    "yolo segment": _segments,
    "yolo boxes": _boxes,
    "coco": _coco,
    "voc boxes": _voc,
}
