"""What of a project is exported, and how it is split: names, classes, attributes, sizes and places. How a project is read is not here."""

from labelferry_export.selection.selection import Selection
from labelferry_export.selection.words import listed

__all__ = ["Selection", "listed"]
