"""The tools that are compared and what each converts a COCO folder to. How one does it is in its own file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

Conversion = Callable[[Path, Path], None]
"""Converts the project in a folder (`instances.json`, `images/`) into another folder, an empty one."""

TARGETS = ("yolo segment", "yolo boxes", "coco", "coco + images", "voc boxes", "voc + masks", "cvat", "overlays")


@dataclass(frozen=True)
class Way:
    """One tool: its name, the library it needs, the module here that speaks it, and how many images it can hold."""

    name: str
    needs: str
    module: str
    most_images: int | None = None

    @property
    def is_there(self) -> bool:
        """Whether its library is installed."""
        return find_spec(self.needs) is not None

    def conversions(self) -> Mapping[str, Conversion]:
        """Return its conversions by target; imports the library."""
        found: Mapping[str, Conversion] = import_module(f"benchmarks.conversion.{self.module}").CONVERSIONS
        return found


def datumaro_folder(project: Path) -> Path:
    """Return where the same project lies as Datumaro looks for it."""
    return project.with_name(f"{project.name}-for-datumaro")


FULL_MASKS = 120
"""supervision holds a mask of the whole image for every object, also where boxes are all that is asked: 3 GB for 120 images."""
WAYS = (
    Way("labelferry", "labelferry_export", "by_labelferry"),
    Way("plain loop", "json", "by_hand"),
    Way("Datumaro", "datumaro", "by_datumaro"),
    Way("labelformat", "labelformat", "by_labelformat"),
    Way("supervision", "supervision", "by_supervision", FULL_MASKS),
)
