"""Checks export options without touching a project: what the command line and the broker's users ask first."""

from labelferry_export import formats, tables
from labelferry_export.options_check import check_options
from labelferry_protocol.options import ExportOptions


def check(options: ExportOptions) -> None:
    """Raise `ExportError(USAGE)` for an unknown source form, format, metric or format option, a library that is not there, or a split that does not work."""
    check_options(options)
    for name in options.formats:
        formats.check_needs(formats.find(name))
    for name in (*options.formats, *options.format_options):
        formats.resolve(formats.find(name), options.format_options.get(name, {}))
    for name in (*options.metrics, *options.metric_options):
        tables.resolve(tables.find(name), options.metric_options.get(name, {}))
