"""The stages of an export in their order: one file here each, and those of third parties by the entry point group `labelferry.stages`.

A third party's stage runs wherever its package is installed, right after ours that is told as the same stage.
"""

from functools import cache

from labelferry_export.plugins import Brought, brought, checked
from labelferry_export.stage import StageWork
from labelferry_export.stages import annotations, compression, conversion, images, metrics, visualizations

GROUP, NOUN = "labelferry.stages", "stage"

ORDER: tuple[StageWork, ...] = (
    images.STAGE,
    conversion.STAGE,
    visualizations.STAGE,
    annotations.STAGE,
    metrics.STAGE,
    compression.STAGE,
)


@cache
def others() -> Brought[StageWork]:
    """Return the stages of other packages."""
    return brought(GROUP, NOUN, lambda found: checked(StageWork, found), frozenset(own.name for own in ORDER))


def in_order() -> tuple[StageWork, ...]:
    """Return all stages as they run. What comes after the bundle is closed cannot be: compression has no guests."""
    guests = others().things.values()
    ordered: list[StageWork] = []
    for own in ORDER:
        ordered += [own, *(guest for guest in guests if guest.stage is own.stage is not compression.STAGE.stage)]
    return tuple(ordered)
