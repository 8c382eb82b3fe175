"""A project that changes while it is read, and one that may not be read: in this process, stopped at the moment that matters."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.hostile.case import coco

from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import OnError


def gone(path: Path) -> None:
    path.unlink()


def another(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: list[tuple[Callable[[Path], None], str]] = [
    (gone, r"'b\.png' cannot be opened: No such file"),
    (another, r"'b\.png' was changed during the export"),
    (a_link, r"'b\.png' cannot be opened"),
    (a_pipe, r"'b\.png' cannot be opened: b\.png is not a plain file"),
    (a_folder, r"'b\.png' cannot be opened: b\.png is not a plain file"),
]


def exporter(root: Path, staging: Path, on_error: OnError) -> Exporter:
    staging.mkdir()
    options = ExportOptions(on_error=on_error, metrics=())
    return Exporter(root, staging / "b.zip", options, staging=staging, roots=[root], clock=lambda: 0.0, lanes=1)


@pytest.mark.parametrize(("change", "says"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_an_image_that_changes_after_it_was_looked_at_is_told(
    tmp_path: Path, change: Callable[[Path], None], says: str
) -> None:
    for on_error in OnError:
        root = tmp_path / on_error
        root.mkdir()
        coco(root, "a.png", "b.png")
        made = exporter(root, tmp_path / f"staging-{on_error}", on_error)
        updates = made.run()
        for update in updates:
            if update.message.startswith("Copying images (1/2)"):
                break
        change(root / "images/b.png")
        if on_error is OnError.FAIL:
            with pytest.raises(ExportError, match=says):
                list(updates)
        else:
            assert len(list(updates)) > 1
            assert (made.result.counts.images, made.result.counts.skipped) == (1, 1)


AS_NOBODY = """
import os, sys
from pathlib import Path
from PIL import Image
from tests.hostile.test_moving import exporter
from labelferry_export.check import check
from labelferry_export.errors import ExportError
from labelferry_export.sources import find_source, source_names
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import OnError
root, staging = map(Path, sys.argv[1:])
made = exporter(root, staging, OnError.FAIL)
# What is imported late may lie where nobody may read.
Image.init()
check(ExportOptions(formats=("coco",), metrics=()))
for name in source_names():
    find_source(name)
os.chmod(staging, 0o777)
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    list(made.run())
except ExportError as error:
    print(error.code, error)
"""


@pytest.mark.parametrize("name", ["instances.json", "images/b.png"])
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, name: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    coco(root, "a.png", "b.png")
    (root / name).chmod(0)
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    # The tests may run as root, who may read everything: the export itself is done as somebody who may not.
    said = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(root), str(tmp_path / "staging")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert said.stderr == ""
    assert "cannot be opened: Permission denied" in said.stdout
    assert Path(name).name in said.stdout
