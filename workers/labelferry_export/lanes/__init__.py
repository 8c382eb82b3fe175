"""Lanes: processes beside the export's own that do the work on single images, so that one job uses more than one core.

What is done is a `Task`: pure, from one image and its objects to pieces. Pieces come back in the order of the images, whatever lane
made them and however many there are, so that a bundle's bytes do not depend on it. Without lanes the same task runs in place.
"""

from labelferry_export.lanes.lanes import MOST_LANES, Lanes
from labelferry_export.lanes.maker import Maker
from labelferry_export.lanes.task import Piece, Span, SpanTask, Task

__all__ = ["MOST_LANES", "Maker", "Lanes", "Piece", "Span", "SpanTask", "Task"]
