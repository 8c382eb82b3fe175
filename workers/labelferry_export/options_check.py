"""Checks of the export options that need no project: what reading goes by. Formats and metrics are checked where they are registered."""

from labelferry_export.conversion.plan import check_quality
from labelferry_export.selection.selection import check_selection
from labelferry_export.selection.splits import check_split
from labelferry_export.sources import find_source
from labelferry_protocol.options import ExportOptions


def check_options(options: ExportOptions) -> None:
    """Raise `ExportError(USAGE)` for an unknown source format, a selection or split that does not work, or an image quality of nothing."""
    if options.source_format is not None:
        find_source(options.source_format)
    check_selection(options)
    check_split(options)
    check_quality(options)
