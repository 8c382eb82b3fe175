"""labelferry as a library, end to end: reading, checks, cleaning, the format, the zip, and the bundle read back."""

import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.conversion.ways import Conversion
from benchmarks.engine import export_by_engine
from labelferry_protocol.options import ExportOptions


def _conversion(**options: object) -> Conversion:
    said = ExportOptions(**{"images": False, "visualizations": False, "metrics": (), "formats": (), **options})  # type: ignore[arg-type]  # mixed kinds

    def convert(project: Path, target: Path) -> None:
        export_by_engine(project, target, said, time.monotonic)

    return convert


CONVERSIONS: Mapping[str, Conversion] = {
    "yolo segment": _conversion(formats=("yolo",)),
    "yolo boxes": _conversion(formats=("yolo_detect",)),
    "coco": _conversion(formats=("coco",)),
    "coco + images": _conversion(formats=("coco",), images=True),
    "voc boxes": _conversion(formats=("voc",), format_options={"voc": {"masks": False}}),
    "voc + masks": _conversion(formats=("voc",)),
    "cvat": _conversion(formats=("cvat",)),
    "overlays": _conversion(visualizations=True),
}
