"""`labelferry export --dry-run`: what an export would hold, told on this machine before anything is made."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from labelferry.cli.show.words import count_in_words, size_in_words, warning_in_words
from labelferry.cli.signals import raise_on_signals
from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter
from labelferry_export.preview import Preview
from labelferry_protocol.errors import Refusal
from labelferry_protocol.options import ExportOptions


def tell_beforehand(location: str, options: ExportOptions, *, as_json: bool) -> None:
    """Read the project at `location`, write its formats on trial, and tell counts, sizes, names, warnings and losses."""
    raise_on_signals()
    try:
        with tempfile.TemporaryDirectory(prefix="labelferry-") as folder:
            preview = _preview(Path(location), Path(folder), options)
    except ExportError as error:
        raise Refusal(error.code, error.message) from None
    if as_json:
        click.echo(msgspec.json.encode({"kind": "preview", **msgspec.to_builtins(preview)}).decode())
        return
    for line in preview_lines(preview):
        click.echo(line)


def _preview(source: Path, staging: Path, options: ExportOptions) -> Preview:
    # Whoever asks reads own files: there is nothing to guard here.
    exporter = Exporter(source, staging / "none.zip", options, staging=staging, roots=[Path("/")], clock=time.monotonic)
    steps = exporter.preview()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            preview: Preview = end.value
            return preview


def preview_lines(preview: Preview) -> Iterator[str]:
    """Give the lines that tell a person what the export would hold."""
    total = preview.total
    yield f"{preview.project} ({preview.source_format}): {count_in_words(total.images, 'image')}, {count_in_words(total.objects, 'object')}"
    yield from _selection_lines(preview)
    for name, count in preview.classes.items():
        yield f"  class {name}: {count_in_words(count.objects, 'object')} in {count_in_words(count.images, 'image')}"
    for name, count in preview.splits.items():
        yield f"  split {name}: {count_in_words(count.images, 'image')}, {count_in_words(count.objects, 'object')}"
    yield from _split_lines(preview)
    if preview.skipped:
        yield f"  {count_in_words(preview.skipped, 'image')} would be left out"
    sizes = ", ".join(f"{part} {size_in_words(size)}" for part, size in preview.sizes.items())
    yield f"About {size_in_words(sum(preview.sizes.values()))}: {sizes}"
    if preview.renamed:
        yield f"{count_in_words(preview.renamed, 'image')} would be renamed:"
        yield from (f"  {old} -> {new}" for old, new in preview.names)
    for warning in preview.warnings:
        yield f"Warning: {warning_in_words(warning)}"
    for name, losses in preview.losses.items():
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in losses.kinds.items())
        yield f"{name} cannot say everything ({kinds}): {losses.example}"
    yield "Nothing was written."


def _selection_lines(preview: Preview) -> Iterator[str]:
    """Give a line for images, and one for objects, that are not all selected: how many are left out, and by which option."""
    for noun, counted in (("images", preview.selection.images), ("objects", preview.selection.objects)):
        if counted.left_out:
            reasons = ", ".join(f"{count:,} by {option_of(reason)}" for reason, count in counted.left_out.items())
            yield f"  selected {counted.selected:,} of {counted.found:,} {noun} (left out: {reasons})"


def _split_lines(preview: Preview) -> Iterator[str]:
    """Give a table of the objects (and the images that have them) by class and split."""
    if not preview.splits:
        return
    rows = [["objects (in images)", *preview.splits]]
    for name in preview.classes:
        counts = [classes[name] for classes in preview.split_classes.values()]
        rows.append([name, *(f"{each.objects:,} ({each.images:,})" if each.images else "-" for each in counts)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for head, *cells in rows:
        yield "    " + "  ".join([head.ljust(widths[0]), *map(str.rjust, cells, widths[1:])])


def option_of(reason: str) -> str:
    """Return the option of the command line that left something out, by its name in the export options."""
    if reason == "image":
        return "the selection of images"
    named = {"classes": "class", "class_map": "map-class", "area": "min-area or --max-area"}.get(reason, reason)
    return f"--{named.replace('_', '-')}"
