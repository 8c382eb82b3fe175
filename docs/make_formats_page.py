"""Draws docs/formats.md from the code: `python docs/make_formats_page.py`. A test sees that the page is as it would be drawn now."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from labelferry_export import formats, sources, tables
from labelferry_export.findings import LOSSES, Loss
from labelferry_export.format import Format, Option
from labelferry_export.source import Reads

PAGE = Path(__file__).with_name("formats.md")
HEAD = """# Formats

What is read and written, drawn from the code by `python docs/make_formats_page.py`. What a format cannot say of an object is a warning in
the job, the manifest and the README of the bundle; nothing is lost silently.

"""
PACKED = """
A project may be a folder, a file, or a zip of either (`labelferry export project.zip -o out.zip`); a bundle too. A zip with one top folder is read as that folder. A zip is
refused, in one sentence, when it is encrypted or damaged, when it names files outside of it, holds links or two files of one name, or unpacks to too much: more than 400,000 entries,
256 GB, 200 times its size, or what the disk has room for. Zips inside of it are not unpacked. Other archives are to be unpacked first.

"""
LOSSES_HEAD = """
## Losses

What a format does to what it cannot say is an entry of the loss report, which is in the job's warnings, the manifest and the README of the
bundle: one of each object (or image) it happens to, or, where it happens to all of them, one of the project.

"""
WRITTEN = {
    "holes": "holes",
    "parts": "parts",
    "crowds": "crowds",
    "attributes": "attributes",
    "splits": "splits",
    "depth": "16-bit",
    "coordinates": "coordinates",
}
"""The columns of `Properties`, as they are headed."""


def page() -> str:
    """Return the page as it should be."""
    known = formats.ours()
    parts = [HEAD, "## Read\n\n", _table(["name", "form", *Reads.__dataclass_fields__], map(_read, sources.BUILT_IN))]
    parts += [
        PACKED.rstrip("\n"),
        "\n\n## Written\n\n",
        _table(["name", "format", *WRITTEN.values(), "loss report"], map(_written, known.values())),
    ]
    parts += [
        LOSSES_HEAD,
        _table(["loss", "what it is"], ([kind.value, LOSSES[kind]] for kind in Loss)),
        "\n## Options of formats\n\n`--format-option NAME.OPTION=VALUE`\n\n",
        _table(
            ["option", "default", "values", "what it does"],
            (row for each in known.values() for row in _options(each.name, each.options)),
        ),
        "\n## Metric tables\n\n",
        _table(["name", "table"], ([each.name, each.title] for each in tables.ours().values())),
        "\n`--metrics-option NAME.OPTION=VALUE`\n\n",
        _table(
            ["option", "default", "values", "what it does"],
            (row for each in tables.ours().values() for row in _options(each.name, each.options)),
        ),
    ]
    return "".join(parts)


def _read(name: str) -> list[str]:
    source = sources.find_source(name)
    reads = getattr(source, "reads", Reads())
    return [name, source.title, *(getattr(reads, column) for column in Reads.__dataclass_fields__)]


def _written(each: Format) -> list[str]:
    return [each.name, each.title, *(getattr(each.properties, key) for key in WRITTEN), each.lossiness.in_words()]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "".join(map(_row, [heads, ["---"] * len(heads), *rows]))


def _options(name: str, options: Mapping[str, Option]) -> list[list[str]]:
    return [
        [
            f"{name}.{key}",
            _said(option.default),
            ", ".join(map(_said, option.choices)) or type(option.default).__name__,
            option.help,
        ]
        for key, option in options.items()
    ]


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
