"""The kinds of exports that a soak asks for: projects, options, and the digest that the engine as a library makes of each."""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.projects import make_coco_project

from labelferry import ExportOptions
from labelferry_export.exporter import Exporter

OPTIONS = (
    ExportOptions(formats=("coco",), metrics=("csv",)),
    ExportOptions(formats=("coco", "yolo"), metrics=("csv", "xlsx")),
    ExportOptions(formats=("json",), visualizations=False, metrics=()),
)


@dataclass(frozen=True)
class Kind:
    """One export that is asked for again and again, and must have the same bytes each time."""

    project: Path
    options: ExportOptions
    sha256: str


def make_kinds(folder: Path) -> list[Kind]:
    """Make three projects, one that takes an instant, one of large bundles, and one that takes some seconds, so that kills hit it; export each with each of the options, far from any service."""
    projects = [
        make_coco_project(_made(folder / "small"), images_wanted=12, size=(200, 160)),
        make_coco_project(_made(folder / "large"), images_wanted=40),
        make_coco_project(_made(folder / "long"), images_wanted=150, smooth=True),
    ]
    staging = _made(folder / "staging")
    return [
        Kind(project, options, _digest(project, options, _made(staging / f"{number}.{place}")))
        for number, project in enumerate(projects)
        for place, options in enumerate(OPTIONS)
    ]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _digest(project: Path, options: ExportOptions, staging: Path) -> str:
    exporter = Exporter(
        project, staging / "out.zip", options, staging=staging, roots=[project.parent], clock=time.monotonic
    )
    for _ in exporter.run():
        pass
    return exporter.result.sha256
