"""An update of the engine as a report that fits the wire: texts cut and clean, numbers finite and within their bounds."""

import math

from labelferry_protocol import limits
from labelferry_protocol.events import StageProgress
from labelferry_protocol.work import Holding
from labelferry_workers.engine import Update
from labelferry_workers.reports import Moved

_MAX_COUNT = 2**53
_MAX_SECONDS = 1e9


def moved_of(key: Holding, update: Update) -> Moved:
    """Return the report of an update about an attempt."""
    left = update.estimated_time_remaining
    known = left is not None and math.isfinite(left)
    there = update.stage_progress
    item = there.current_item
    return Moved(
        key=key,
        progress=_bounded(update.progress, limits.WORKER_SHARE),
        stage=update.stage,
        message=clean(update.message, limits.MESSAGE_CHARACTERS),
        stage_progress=StageProgress(
            current=min(max(there.current, 0), _MAX_COUNT),
            total=min(max(there.total, 0), _MAX_COUNT),
            current_item=None if item is None else clean(item, limits.ITEM_CHARACTERS),
        ),
        estimated_time_remaining=_bounded(left, _MAX_SECONDS) if known and left is not None else None,
    )


def clean(text: str, characters: int) -> str:
    """Return the text without what UTF-8 cannot say (file names may hold it), and not longer than `characters`."""
    return text.encode("utf-8", "replace").decode("utf-8")[:characters]


def _bounded(number: float, most: float) -> float:
    return min(max(float(number), 0.0), most) if math.isfinite(number) else 0.0
