"""supervision: its dataset class, and its annotators for overlays, written as PNG by OpenCV as its own examples do."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.conversion.ways import Conversion

supervision: Any = import_module("supervision")
cv2: Any = import_module("cv2")


def _dataset(project: Path, masks: bool) -> Any:
    images, file = str(project / "images"), str(project / "instances.json")
    return supervision.DetectionDataset.from_coco(images, file, force_masks=masks)


def _segments(project: Path, target: Path) -> None:
    _dataset(project, masks=True).as_yolo(annotations_directory_path=str(target))


def _boxes(project: Path, target: Path) -> None:
    dataset = _dataset(project, masks=False)
    for detections in dataset.annotations.values():
        # With its masks, an object would become a polygon.
        detections.mask = None
    dataset.as_yolo(annotations_directory_path=str(target))


def _coco(project: Path, target: Path) -> None:
    _dataset(project, masks=True).as_coco(annotations_path=str(target / "instances.json"))


def _voc(project: Path, target: Path) -> None:
    dataset = _dataset(project, masks=False)
    for detections in dataset.annotations.values():
        detections.mask = None
    dataset.as_pascal_voc(annotations_directory_path=str(target))


def _overlays(project: Path, target: Path) -> None:
    masks, labels = supervision.MaskAnnotator(), supervision.LabelAnnotator(text_scale=0.3, text_padding=1)
    for path, image, detections in _dataset(project, masks=True):
        numbers = [str(number) for number in range(1, len(detections) + 1)]
        drawn = labels.annotate(masks.annotate(image.copy(), detections), detections, labels=numbers)
        cv2.imwrite(str(target / f"{Path(path).stem}.png"), drawn)


CONVERSIONS: Mapping[str, Conversion] = {
    "yolo segment": _segments,
    "yolo boxes": _boxes,
    "coco": _coco,
    "voc boxes": _voc,
    "overlays": _overlays,
}
