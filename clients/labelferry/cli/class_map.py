"""A mapping of classes as it is typed or kept in a file: old names and new ones. What it does to a project is the engine's."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from labelferry_protocol.limits import MAX_LIST

MOST_BYTES = 1 << 20
OLD_HEADERS = frozenset(["old", "from", "class", "name", "source"])
NEW_HEADERS = frozenset(["new", "to", "target", "new_name", "mapped", "label"])


def mapping_in(said: Iterable[str]) -> dict[str, str]:
    """Return what several OLD=NEW say; an empty text alone says nothing. Raise `click.UsageError` for what is none."""
    pairs = []
    for piece in filter(None, said):
        old, mark, new = piece.partition("=")
        if not (mark and old):
            raise click.UsageError(f"--map-class: {piece!r} is not OLD=NEW, as in wolf=dog; OLD= drops a class")
        pairs.append((old, new))
    return _mapping(pairs, "--map-class")


def read_class_map(path: Path) -> dict[str, str]:
    """Return the mapping in a file: json, an object of new names (null drops) by old ones; else rows of old and new, with a header or not.

    Raise `click.UsageError` when it cannot be read, or is no mapping.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise click.UsageError(f"the mapping {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise click.UsageError(f"the mapping {path} is not UTF-8 text: at byte {error.start}") from None
    if len(data) > MOST_BYTES:
        raise click.UsageError(
            f"the mapping {path} has more than {MOST_BYTES >> 20} MiB, which no list of classes needs"
        )
    pairs = _pairs_of_json(text, path) if path.suffix.lower() == ".json" else _pairs_of_rows(text, path)
    return _mapping(pairs, str(path))


def _pairs_of_json(text: str, path: Path) -> list[tuple[str, str]]:
    try:
        found = msgspec.json.decode(text, type=dict[str, str | None])
    except (msgspec.DecodeError, RecursionError) as error:
        message = f'the mapping {path} is no json object of names, as in {{"wolf": "dog", "sky": null}}: {error}'
        raise click.UsageError(message) from None
    return [(old, new or "") for old, new in found.items()]


def _pairs_of_rows(text: str, path: Path) -> list[tuple[str, str]]:
    first = text.partition("\n")[0]
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count)) if row]
    except csv.Error as error:
        raise click.UsageError(f"the mapping {path} cannot be read: {error}") from None
    pairs = []
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if len(cells) != 2 or not cells[0]:
            raise click.UsageError(
                f"the mapping {path}: row {number} is not an old name and a new one, with a comma between"
            )
        if number > 1 or cells[0].lower() not in OLD_HEADERS or cells[1].lower() not in NEW_HEADERS:
            pairs.append((cells[0], cells[1]))
    return pairs


def _mapping(pairs: list[tuple[str, str]], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for old, new in pairs:
        if found.setdefault(old, new) != new:
            raise click.UsageError(f"{where}: the class {old!r} is mapped twice, to {found[old]!r} and to {new!r}")
    if len(found) > MAX_LIST:
        raise click.UsageError(f"{where}: {len(found):,} classes are mapped, more than the {MAX_LIST:,} that can be")
    return found
