"""`export --dry-run`: what would be made is told, and nothing is made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.projects import make_coco_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_coco_project(tmp_path_factory.mktemp("project"))


def dry_run(place: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from labelferry.cli import main; main()", "export", "--dry-run", *arguments],
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


def test_it_is_one_object_for_a_program(project: Path, tmp_path: Path) -> None:
    told = json.loads(dry_run(tmp_path, str(project), "--json").stdout)
    assert (told["kind"], told["total"]) == ("preview", {"images": 60, "objects": 180})


def test_what_would_end_the_job_ends_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = dry_run(tmp_path, "empty")
    assert (result.returncode, "is not a project" in result.stderr) == (1, True)
