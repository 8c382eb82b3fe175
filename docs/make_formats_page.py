"""Draws docs/formats.md from the code: `python docs/make_formats_page.py`. A test sees that the page is as it would be drawn now."""

from pathlib import Path

from labelferry_export import formats
from labelferry_export.catalogue import catalogue
from labelferry_export.format import Format, Properties

PAGE = Path(__file__).with_name("formats.md")
HEAD = """# Formats

What is read and written, drawn from the code by `python docs/make_formats_page.py`. What a format cannot say of an object is a warning in
the job, the manifest and the README of the bundle; nothing is lost silently.

"""
COLUMNS = Properties.__dataclass_fields__


def page() -> str:
    """Return the page as it should be."""
    known = formats.known()
    parts = [HEAD, "## Read\n\n| name | form |\n|---|---|\n"]
    parts += [f"| {entry.name} | {entry.title} |\n" for entry in catalogue()["sources"]]
    parts.append("\n## Written\n\n" + _row(["name", "format", *COLUMNS]) + _row(["---"] * (len(COLUMNS) + 2)))
    parts += [
        _row([name, each.title, *(getattr(each.properties, column) for column in COLUMNS)])
        for name, each in known.items()
    ]
    parts.append(
        "\n## Options of formats\n\n`--format-option NAME.OPTION=VALUE`\n\n| option | default | values | what it does |\n|---|---|---|---|\n"
    )
    parts += [row for name, each in known.items() for row in _options(name, each)]
    parts.append("\n## Metric tables\n\n| name | table |\n|---|---|\n")
    parts += [f"| {entry.name} | {entry.title} |\n" for entry in catalogue()["metrics"]]
    return "".join(parts)


def _options(name: str, each: Format) -> list[str]:
    return [
        _row(
            [
                f"{name}.{key}",
                _said(option.default),
                ", ".join(map(_said, option.choices)) or type(option.default).__name__,
                option.help,
            ]
        )
        for key, option in each.options.items()
    ]


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
