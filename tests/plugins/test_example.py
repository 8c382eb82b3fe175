"""The example of a platform's own package: its source, format and metric table, as if installed, in the library and in the service."""

import csv
import json
import os
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image as Pillow
from tests.support.packages import install, looked_up_anew
from tests.support.scenes import export_to

from labelferry_export import formats, sources
from labelferry_export.errors import ExportError

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugins"
SQUARE, TRIANGLE = [2, 2, 12, 2, 12, 12, 2, 12], [20, 2, 30, 2, 20, 12]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path where the example is installed, as its own pyproject.toml says."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    folder = tmp_path / "site"
    install(folder, project["name"], project["version"], project["entry-points"])
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.syspath_prepend(str(folder))
    with looked_up_anew():
        yield folder


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    """A platform's database with two images and three objects, one of them of two parts."""
    path = tmp_path / "platform" / "plate.db"
    (path.parent / "files").mkdir(parents=True)
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE class(id, name); CREATE TABLE image(id, file, width, height, well);"
            "CREATE TABLE object(id, image, class, outline, score);"
        )
        for number, well in ((1, "A1"), (2, None)):
            Pillow.new("RGB", (40, 30)).save(path.parent / "files" / f"{number}.png")
            row = (number, f"files/{number}.png", 40, 30, well)
            database.execute("INSERT INTO image VALUES (?, ?, ?, ?, ?)", row)
        database.executemany("INSERT INTO class VALUES (?, ?)", [(7, "cell"), (9, "=nucleus")])
        objects = [
            (11, 1, 7, [SQUARE], 0.5),
            (12, 1, 9, [TRIANGLE, [20, 20, 25, 20, 25, 25, 20, 25]], None),
            (15, 2, 7, [SQUARE], 1),
        ]
        for number, image, category, outline, score in objects:
            said = (number, image, category, json.dumps(outline), score)
            database.execute("INSERT INTO object VALUES (?, ?, ?, ?, ?)", said)
        database.commit()
    return path


def test_the_database_is_recognised_and_exported_with_its_ids(site: Path, platform: Path, tmp_path: Path) -> None:
    assert sources.recognise(platform).name == "platform"
    bundle = export_to(tmp_path / "exports", platform, formats=("coco", "json"))
    coco = bundle.coco()
    assert [each["name"] for each in coco.cats.values()] == ["cell", "=nucleus"]
    assert {number: (each["image_id"], each["area"]) for number, each in coco.anns.items()} == {
        11: (1, 100),
        12: (1, 70),
        15: (2, 100),
    }
    assert coco.anns[11]["attributes"] == {"score": 0.5}
    whole = json.loads((bundle.folder / "annotations/json/annotations.json").read_text())
    assert whole["images"][0]["attributes"] == {"well": "A1"}
    assert bundle.manifest["project"]["source_format"] == "platform"


def test_the_format_and_the_metric_table_are_written_and_reported(site: Path, platform: Path, tmp_path: Path) -> None:
    bundle = export_to(
        tmp_path / "exports", platform, formats=("centroids", "coco"), metrics=("markdown", "csv"), split={"train": 1.0}
    )
    with (bundle.folder / "annotations/centroids/train/1.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"id": "11", "class": "cell", "x": "7.0", "y": "7.0"}
    assert rows[1]["class"] == "'=nucleus"
    table = (bundle.folder / "metrics/classes.md").read_text().splitlines()
    assert table[0] == "| class | objects | area_mean_px2 | circularity_mean |"
    assert table[2].startswith("| cell | 2 | 100 | 0.7854 |")
    assert bundle.findings(format="centroids") == [
        "an object is its centre: its outline is left out",
        "attributes of objects are left out: it has no place for them",
        "attributes of images are left out: it has no place for them",
    ]
    assert "**Centroids as csv**" in (bundle.folder / "README.md").read_text()


def test_a_database_that_is_broken_is_one_sentence(site: Path, platform: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(platform)) as database:
        database.execute("ALTER TABLE object RENAME COLUMN outline TO shape")
        database.commit()
    with pytest.raises(ExportError, match=r"plate\.db cannot be read: no such column: outline"):
        export_to(tmp_path / "exports", platform, formats=("coco",))


def test_the_format_has_what_a_format_should(site: Path) -> None:
    example = formats.find("centroids")
    assert str(formats.origin("centroids")) == "platform-labelferry 1.0"
    assert example.lossiness.in_words().startswith("dropped, reduced (all); without attributes")
    assert formats.resolve(example, {}) == {"decimals": 2}


@pytest.mark.processes
def test_the_command_line_exports_it_with_the_service_it_starts(site: Path, platform: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(EXAMPLE)]),
        "LABELFERRY_STATE": str(tmp_path / "state"),
    }
    command = [sys.executable, "-c", "from labelferry.cli import main; main()"]
    listed = subprocess.run([*command, "formats"], env=environment, capture_output=True, text=True, check=True)
    assert "platform        the platform's database (from platform-labelferry 1.0)" in listed.stdout
    assert "centroids       Centroids as csv (from platform-labelferry 1.0)" in listed.stdout
    target = tmp_path / "out.zip"
    chosen = ["--format", "centroids", "--metrics", "markdown", "--format-option", "centroids.decimals=1"]
    done = subprocess.run(
        [*command, "export", str(platform), "-o", str(target), *chosen],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert target.is_file()
