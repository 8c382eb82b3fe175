"""The loss report of every format on one project of odd shapes: what is declared is what is reported, in the manifest, the README and the event."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.scenes import Thing, box, make_exporter, make_scene, unzipped

from labelferry_export import formats
from labelferry_export.findings import LOSSES, Loss
from labelferry_export.lossiness import Aspect

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

IMAGES = [("a.b.png", 60, 40), ("small.png", 60, 9), ("c.png", 40, 40)]
CLASSES = ["cell", "wall: \x07"]
RING = [20.3, 3.1, 33.7, 4.2, 32.1, 16.4, 21.2, 15.3]
THINGS = [
    Thing([box(2, 2, 8, 8)], attributes={"note": "bell \x07", "round": True}),
    Thing([RING], [[[24, 7, 28, 7, 28, 11, 24, 11]]], category=2),
    Thing([box(2, 20, 5, 5), box(10, 20, 5, 5)]),
    Thing([box(20, 20, 6, 6), box(23, 23, 6, 6)]),
    Thing([box(36, 2, 8, 8)], crowd=True),
    Thing([[48.6, 3.6, 48.8, 3.6, 48.6, 3.8]]),
    Thing([[50.6, 3.6, 50.8, 3.6, 50.8, 3.8, 50.6, 3.8]], [[[50.7, 3.65, 50.75, 3.65, 50.75, 3.7]]]),
    Thing([box(12, 30, 3, 3)]),
    Thing([box(10, 28, 8, 8)], category=2),
    Thing([box(40, 20, 6, 6)]),
    Thing([[40, 20, 46, 26, 40, 26, 46, 20.0]]),
    Thing([[30, 40, 34, 40, 60, 26, 60, 22]]),
    Thing([box(1, 1, 4, 4)], image=2),
]
DECLARED = {name: {*each.lossiness.single, *each.lossiness.alike} for name, each in formats.ours().items()}
ELSEWHERE: dict[str, dict[Loss, str]] = {
    "imagej": {Loss.REDUCED: "a class over the 255 groups: test_imagej"},
    "huggingface": {Loss.REFUSED: "a bundle without images, a split without objects: test_huggingface"},
}
"""What needs a project of its own."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    scene = make_scene(tmp_path / "scene", THINGS, IMAGES, CLASSES)
    document = json.loads((scene / "annotations.json").read_text())
    document["categories"][0]["supercategory"] = "tissue"
    document["images"][0]["attributes"] = {"well": "A1"}
    (scene / "annotations.json").write_text(json.dumps(document))
    return scene


def choices(name: str) -> Iterator[dict[str, Any]]:
    """Yield the options of a format, one after the other changed to each of its other values."""
    yield {}
    for key, option in formats.find(name).options.items():
        yield from ({key: choice} for choice in option.choices if choice != option.default)


def exported(tmp_path: Path, project: Path, name: str, options: dict[str, Any]) -> tuple[Any, list[dict[str, Any]]]:
    """Return the result of an export, and its findings about the format."""
    exporter = make_exporter(tmp_path / "exports", project, formats=(name,), format_options={name: options})
    for _ in exporter.run():
        pass
    found = unzipped(exporter.result.path).manifest["findings"]
    return exporter.result, [each for each in found if each["format"] == name]


@pytest.mark.parametrize("name", formats.ours())
def test_what_a_format_declares_is_what_it_reports(project: Path, tmp_path: Path, name: str) -> None:
    reported: set[Loss] = set()
    for options in choices(name):
        _, found = exported(tmp_path, project, name, options)
        assert all(each.get("loss") for each in found), found
        aspects = [each for each in found if each["message"].endswith("are left out: it has no place for them")]
        assert {each["message"].split(" are ")[0] for each in aspects} == set(formats.find(name).lossiness.unsaid)
        reported |= {Loss(each["loss"]) for each in found if each not in aspects}
    assert reported == DECLARED[name] - set(ELSEWHERE.get(name, {}))


@pytest.mark.parametrize("name", formats.ours())
def test_manifest_readme_and_event_tell_the_same(project: Path, tmp_path: Path, name: str) -> None:
    result, found = exported(tmp_path, project, name, {})
    counts = Counter(each["loss"] for each in found)
    told: Counter[str] = Counter()
    for warning in result.warnings:
        if warning.format == name:
            assert sum(warning.losses.values()) == warning.count
            told.update(warning.losses)
    assert told == counts
    readme = (unzipped(result.path).folder / "README.md").read_text()
    lines = re.findall(rf"^- {re.escape(name).replace('_', '.{1,2}')}: (.*)$", readme, re.MULTILINE)
    words = [re.match(r"(\d+) (.*)", part) for line in lines for part in line.split(", ")]
    assert Counter({each[2]: int(each[1]) for each in words if each} if len(lines) < 2 else counts) == counts


def test_labelferrys_own_json_loses_nothing(project: Path, tmp_path: Path) -> None:
    _, found = exported(tmp_path, project, "json", {})
    assert found == []
    assert formats.find("json").lossiness.in_words() == "nothing is lost"


def test_a_project_that_says_less_has_less_reported(tmp_path: Path) -> None:
    plain = make_scene(tmp_path / "plain", [Thing([box(2, 2, 8, 8)])], [("a.png", 40, 40)])
    for name in ("coco", "cvat", "geojson", "huggingface", "labelme", "parquet", "webdataset"):
        assert exported(tmp_path, plain, name, {})[1] == [], name


def test_every_loss_and_aspect_has_its_words() -> None:
    assert set(LOSSES) == set(Loss)
    assert len({*LOSSES.values(), *Aspect}) == len(Loss) + len(Aspect)
    declared = itertools.chain.from_iterable(DECLARED.values())
    assert set(declared) == set(Loss)
