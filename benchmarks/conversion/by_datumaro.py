"""Datumaro: its own import of COCO, its own exports. Its YOLO has boxes only."""

import logging
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.conversion.ways import Conversion, datumaro_folder

datumaro: Any = import_module("datumaro")
logging.disable(logging.WARNING)


def _conversion(name: str, media: bool = False) -> Conversion:
    def convert(project: Path, target: Path) -> None:
        dataset = datumaro.Dataset.import_from(str(datumaro_folder(project)), "coco")
        dataset.export(str(target / "out"), name, save_media=media)

    return convert


CONVERSIONS: Mapping[str, Conversion] = {
    "yolo boxes": _conversion("yolo"),
    "coco": _conversion("coco_instances"),
    "coco + images": _conversion("coco_instances", media=True),
    "voc boxes": _conversion("voc_detection"),
    "voc + masks": _conversion("voc"),
    "cvat": _conversion("cvat"),
}
