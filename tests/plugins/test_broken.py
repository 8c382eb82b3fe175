"""Packages that bring something broken: one sentence that names the package, and all that is built in goes on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.packages import EntryPoints, install, looked_up_anew
from tests.support.scenes import Thing, box, export_to, make_scene

from labelferry.cli.commands import labelferry
from labelferry_export import formats, sources, tables
from labelferry_export.catalogue import catalogue, problems
from labelferry_export.errors import ExportError
from labelferry_protocol.errors import Code

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FAULTY = """
import dataclasses
from labelferry_export.formats.geojson import FORMAT as GEOJSON
from labelferry_export.source import FoundProject

class Source:
    name, title, looks_for = "faulty", "a faulty source", "anything"
    def recognises(self, path):
        raise ValueError("nobody expects this")
    def read(self, path, sink):
        yield 1.0

class Failing:
    name, title, looks_for = "failing", "a failing source", "a folder called failing"
    def recognises(self, path):
        return path.name == "failing"
    def read(self, path, sink):
        sink.begin(FoundProject("x", path))
        yield 0.5
        raise KeyError("column")

class Silent:
    name = title = looks_for = "silent"

def write(job):
    yield from ()
    raise ZeroDivisionError("division by zero")

FORMAT = dataclasses.replace(GEOJSON, name="faulty", write=write)
NUMBER = 5
"""
POINTS: EntryPoints = {
    "labelferry.sources": {
        "absent": "nowhere.at_all:SOURCE",
        "faulty": "faulty_labelferry:Source",
        "failing": "faulty_labelferry:Failing",
        "silent": "faulty_labelferry:Silent",
        "coco": "faulty_labelferry:Source",
    },
    "labelferry.formats": {
        "absent": "nowhere:FORMAT",
        "faulty": "faulty_labelferry:FORMAT",
        "missing": "faulty_labelferry:NOTHING",
        "number": "faulty_labelferry:NUMBER",
        "dead": "dead_labelferry:FORMAT",
        "coco": "faulty_labelferry:FORMAT",
    },
    "labelferry.metrics": {"number": "faulty_labelferry:NUMBER"},
    "labelferry.stages": {"number": "faulty_labelferry:NUMBER"},
}


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a package of which nothing works."""
    modules = {"faulty_labelferry": FAULTY, "dead_labelferry": "raise SystemExit('bye')"}
    install(tmp_path / "site", "faulty-labelferry", "0.9", POINTS, modules)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with looked_up_anew():
        yield


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return make_scene(tmp_path / "scene", [Thing([box(2, 2, 9, 9)])])


OWN = "update that package, or uninstall it"


@pytest.mark.parametrize(
    ("find", "name", "said"),
    [
        (
            formats.find,
            "absent",
            "the format 'absent' of the package faulty-labelferry 0.9 (nowhere:FORMAT) cannot be used: No module",
        ),
        (formats.find, "missing", "has no attribute 'NOTHING'"),
        (formats.find, "number", "it is of the type int, not labelferry_export.format.Format"),
        (formats.find, "dead", "SystemExit bye"),
        (sources.find_source, "absent", "the source format 'absent' of the package faulty-labelferry 0.9"),
        (sources.find_source, "silent", "it has no method 'recognises', as labelferry_export.source.Source has"),
        (tables.find, "number", "not labelferry_export.tables.writer.MetricWriter"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_that_names_the_package(find: object, name: str, said: str) -> None:
    assert callable(find)
    with pytest.raises(ExportError) as caught:
        find(name)
    assert caught.value.code is Code.USAGE
    assert said in caught.value.message
    assert caught.value.message.endswith(OWN)
    assert "\n" not in caught.value.message


def test_a_name_of_ours_stays_ours(scene: Path, tmp_path: Path) -> None:
    assert formats.find("coco").title == "COCO instances"
    assert sources.find_source("coco").title == "COCO"
    assert sum("the name is that of one of labelferry" in each.message for each in problems()) == 2


def test_the_built_in_ones_are_read_and_written_beside_it(scene: Path, tmp_path: Path) -> None:
    bundle = export_to(tmp_path / "exports", scene, formats=("coco", "yolo"), metrics=("csv",))
    assert len(bundle.annotations()) == 1
    (said,) = bundle.findings(code="other")
    assert "the stage 'number' of the package faulty-labelferry 0.9" in said


def test_a_source_that_fails_while_it_reads_is_blamed_by_name(tmp_path: Path) -> None:
    (tmp_path / "failing").mkdir()
    with pytest.raises(ExportError) as caught:
        export_to(tmp_path / "exports", tmp_path / "failing")
    assert caught.value.message == (
        "the source format 'failing' of the package faulty-labelferry 0.9 failed: KeyError 'column': tell the makers of that package"
    )


def test_a_source_that_fails_while_it_is_asked_recognises_nothing(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is not a project of the form a faulty source"):
        export_to(tmp_path / "exports", scene, source_format="faulty")


def test_a_format_that_fails_while_it_writes_is_blamed_by_name(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        export_to(tmp_path / "exports", scene, formats=("coco", "faulty"))
    assert caught.value.code is Code.INTERNAL
    assert caught.value.message == (
        "the format 'faulty' of the package faulty-labelferry 0.9 failed: ZeroDivisionError division by zero: "
        "tell the makers of that package"
    )


def test_the_list_says_what_is_whose_and_what_is_broken() -> None:
    origins = {entry.name: entry.origin for entry in catalogue()["formats"]}
    assert (origins["coco"], origins["faulty"]) == ("labelferry", "faulty-labelferry 0.9")
    told = CliRunner().invoke(labelferry, ["formats"])
    assert told.exit_code == 0
    assert "faulty          GeoJSON for QuPath (from faulty-labelferry 0.9)" in told.stdout
    assert "Warning: the format 'number' of the package faulty-labelferry 0.9" in told.stderr
    as_json = json.loads(CliRunner().invoke(labelferry, ["formats", "--json"]).stdout)
    assert as_json["formats"]["coco"] == "COCO instances"
    assert as_json["origins"]["formats"]["faulty"] == "faulty-labelferry 0.9"
    assert len(as_json["problems"]) == 10
