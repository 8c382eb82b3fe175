"""What is said on the command line, as values of the export options: one function a word, each returning the fields it changes."""

import os
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import click

from labelferry.cli.class_map import mapping_in, read_class_map
from labelferry_protocol.words import Border, OnError

NONE = "none"
"""`--format none`, `--metrics none` and `--split none` leave that part out."""
SOURCE = "source"
"""`--split source`: as the project itself is split."""

Changes = dict[str, Any]
"""Fields of `ExportOptions` with their new values."""


class Seconds(click.FloatRange):
    """A time in seconds, which neither NaN nor infinity is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, in its range."""
        seconds = float(super().convert(value, param, ctx))
        if not isfinite(seconds):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return seconds


def changes_from(said: Changes, *, here: bool) -> Changes:
    """Return the fields that `said` (what was said, by the names of the parameters) changes; raise `click.UsageError` for what cannot be.

    `here` tells that the workers are on this machine, so that a file they are to read must be there.
    """
    changes: Changes = {}
    for name, value in said.items():
        if name in PARSED:
            changes |= PARSED[name](value)
    for name in ("images_from", "objects_from"):
        if name in said:
            changes[name] = _list_file(said[name], here=here)
    if "split_by" in said:
        changes["split_by"] = said["split_by"]
    mappings = [read_class_map(Path(said["class_map_file"]))] if said.get("class_map_file") else []
    if "map_class" in said:
        mappings.append(mapping_in(said["map_class"]))
    if mappings or "class_map_file" in said:
        changes["class_map"] = {old: new for mapping in mappings for old, new in mapping.items()}
    return changes


def _formats(said: tuple[str, ...]) -> Changes:
    return {"formats": _names(said)}


def _metrics(said: tuple[str, ...]) -> Changes:
    return {"metrics": _names(said)}


def _names(said: tuple[str, ...]) -> tuple[str, ...]:
    return () if said == (NONE,) else tuple(dict.fromkeys(said))


def _texts(field: str) -> Callable[[tuple[str, ...]], Changes]:
    """Return what makes a list of texts; an empty one alone empties what a template has."""
    return lambda said: {field: tuple(dict.fromkeys(filter(None, said)))}


def _most(said: float) -> Changes:
    return {"max_area": None if said == float("inf") else said}


def _split(said: str) -> Changes:
    if said in (NONE, SOURCE):
        # Without shares nothing is kept together, whatever a template says of it.
        return {"split": {}, "source_split": said == SOURCE, "split_by": "name"}
    shares: dict[str, float] = {}
    for piece in said.split(","):
        name, mark, share = piece.strip().partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            mark = ""
        if not mark or not name:
            raise click.UsageError(f"--split: {piece.strip()!r} is not NAME=SHARE, as in train=0.8,val=0.2")
        if not 0 < shares[name] <= 1:
            raise click.UsageError(
                f"--split: the share of {name!r} is {share.strip()}; shares are above 0 and at most 1"
            )
    return {"split": shares, "source_split": False}


def _list_file(said: str, *, here: bool) -> str | None:
    """Return the path of a list as the workers see it, None when it is empty."""
    if not said:
        return None
    path = Path.cwd() / os.path.expanduser(said)  # noqa: PTH111 - says nothing of a home that is nobody's
    if here and not os.path.isfile(path):  # noqa: PTH113 - says nothing of a path that is too long
        raise click.UsageError(f"there is no list at {path}: name a file with a name or an id on each line")
    return str(path)


def _options_of(option: str, field: str, example: str) -> Callable[[tuple[str, ...]], Changes]:
    """Return what makes options of single formats or tables, `example` being one of them."""
    return lambda said: {field: _by_name(option, said, example)}


def _by_name(option: str, said: tuple[str, ...], example: str) -> dict[str, dict[str, str | int | float | bool]]:
    options: dict[str, dict[str, str | int | float | bool]] = {}
    for piece in said:
        place, mark, value = piece.partition("=")
        name, dot, key = place.partition(".")
        if not (mark and dot and name and key):
            raise click.UsageError(f"{option}: {piece!r} is not NAME.KEY=VALUE, as in {example}")
        options.setdefault(name, {})[key] = _scalar(value)
    return options


def _scalar(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


PARSED: dict[str, Callable[[Any], Changes]] = {
    "formats": _formats,
    "metrics": _metrics,
    "select": _texts("select"),
    "exclude": _texts("exclude"),
    "classes": _texts("classes"),
    "max_area": _most,
    "split": _split,
    "format_options": _options_of("--format-option", "format_options", "coco.holes=rle"),
    "metric_options": _options_of("--metrics-option", "metric_options", "csv.bom=true"),
    "on_error": lambda said: {"on_error": OnError(said)},
    "border": lambda said: {"border": Border(said)},
}
"""By parameter. What is not here, and is a field of `ExportOptions`, is its own value."""
