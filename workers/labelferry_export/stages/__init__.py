"""The stages of an export in their order: one file here each, and those of third parties by the entry point group `labelferry.stages`.

A third party's stage runs wherever its package is installed, right after ours that is told as the same stage.
"""

from functools import cache
from importlib.metadata import entry_points

from labelferry_export.stage import StageWork
from labelferry_export.stages import annotations, compression, conversion, images, metrics, visualizations

GROUP = "labelferry.stages"

ORDER: tuple[StageWork, ...] = (
    images.STAGE,
    conversion.STAGE,
    visualizations.STAGE,
    annotations.STAGE,
    metrics.STAGE,
    compression.STAGE,
)


@cache
def in_order() -> tuple[StageWork, ...]:
    """Return all stages as they run. What comes after the bundle is closed cannot be: compression has no guests."""
    guests: list[StageWork] = [point.load() for point in sorted(entry_points(group=GROUP), key=lambda each: each.name)]
    ordered: list[StageWork] = []
    for own in ORDER:
        ordered += [own, *(guest for guest in guests if guest.stage is own.stage is not compression.STAGE.stage)]
    return tuple(ordered)
