"""`export --dry-run`: what would be made is told, and nothing is made."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.projects import make_coco_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_coco_project(tmp_path_factory.mktemp("project"))


def dry_run(place: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return labelferry(place, "export", "--dry-run", *arguments)


def labelferry(place: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from labelferry.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=place,
        env={**os.environ, "LABELFERRY_STATE": str(place / "state"), "TMPDIR": str(place)},
    )


def test_counts_splits_and_sizes_are_told_and_nothing_is_left(project: Path, tmp_path: Path) -> None:
    result = dry_run(tmp_path, str(project), "--split", "train=0.5,val=0.5", "--format", "coco", "--format", "yolo")
    assert result.returncode == 0, result.stderr
    assert "60 images, 180 objects" in result.stdout
    assert "split train" in result.stdout
    assert "renamed" not in result.stdout
    assert "Nothing was written." in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_counts_by_class_and_split_and_what_is_left_out_are_told(project: Path, tmp_path: Path) -> None:
    arguments = (
        "--select",
        "0*",
        "--exclude",
        "00?.png",
        "--split",
        "train=0.999,val=0.001",
        "--map-class",
        "thing=cell",
    )
    result = dry_run(tmp_path, str(project), *arguments)
    assert result.returncode == 0, result.stderr
    assert "  selected 51 of 60 images (left out: 9 by --exclude)\n" in result.stdout
    assert "  selected 153 of 180 objects (left out: 27 by the selection of images)\n" in result.stdout
    assert "    objects (in images)     train  val\n    cell                 153 (51)    -\n" in result.stdout
    assert "Warning: split-gap x 1: the split 'val' has no images\n" in result.stdout
    assert "Warning: class-renamed x 1: the class 'thing' is called 'cell' (153 objects)\n" in result.stdout
    told = json.loads(dry_run(tmp_path, str(project), *arguments, "--json").stdout)
    assert told["split_classes"] == {
        "train": {"cell": {"images": 51, "objects": 153}},
        "val": {"cell": {"images": 0, "objects": 0}},
    }
    assert told["selection"]["objects"] == {"found": 180, "selected": 153, "left_out": {"image": 27}}


def test_it_begins_with_a_template_as_an_export_does(project: Path, tmp_path: Path) -> None:
    made = labelferry(tmp_path, "template", "save", "few", "--select", "01?.png")
    assert made.returncode == 0, made.stderr
    result = dry_run(tmp_path, str(project), "--template", "few")
    assert "10 images, 30 objects" in result.stdout, result.stderr


def test_it_is_one_object_for_a_program(project: Path, tmp_path: Path) -> None:
    told = json.loads(dry_run(tmp_path, str(project), "--json").stdout)
    assert (told["kind"], told["total"]) == ("preview", {"images": 60, "objects": 180})


def test_a_zip_of_a_project_is_looked_into(project: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "download"), "zip", project)
    result = dry_run(tmp_path, "download.zip")
    assert "download (coco): 60 images, 180 objects" in result.stdout, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["download.zip"]


def test_what_would_end_the_job_ends_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = dry_run(tmp_path, "empty")
    assert (result.returncode, "is not a project" in result.stderr) == (1, True)
