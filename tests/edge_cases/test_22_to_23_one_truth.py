"""Edge cases 22 and 23: the same bytes every time, and one revision of the project in everything that an export makes."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.edge_cases.conftest import Export
from tests.support.scenes import Bundle, Thing, box, make_exporter, make_scene, unzipped

from labelferry_export.errors import ExportError
from labelferry_export.formats import known

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

IMAGES = [(f"{name}.png", 64, 48) for name in ("b", "a", "deep/a", "größe", "empty")]
CLASSES = ("cell", "wall: #2", "empty")
PROGRAM = """
import sys
from pathlib import Path
from tests.support.scenes import make_exporter
source, folder, lanes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
exporter = make_exporter(
    folder, source, lanes, formats=sys.argv[4].split(","), metrics=("csv", "xlsx", "json"), visualizations=True,
    scale=0.0625, split={"train": 0.5, "val": 0.5},
)
if lanes > 1:
    exporter._lanes.start()
for _ in exporter.run():
    pass
print(exporter.result.sha256)
"""


def things() -> list[Thing]:
    odd = Thing([box(30, 5, 20, 20), box(3.25, 30.5, 9.125, 9)], [[box(35, 10, 5, 5)]], attributes={"b": 1.5, "a": "x"})
    plain = [Thing([box(2 + n, 2, 10.5, 8)], image=1 + n % 4, category=1 + n % 2) for n in range(8)]
    return [odd, *plain, Thing([[1, 1, 20, 3, 9, 30]], image=3, crowd=True)]


def digest_in_a_process_of_its_own(source: Path, folder: Path, lanes: int, seed: str) -> str:
    command = [sys.executable, "-c", PROGRAM, str(source), str(folder), str(lanes), ",".join(known())]
    root = Path(__file__).parents[2]
    run = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=root, env={**os.environ, "PYTHONHASHSEED": seed}
    )
    return run.stdout.strip()


def test_case_22_determinism(tmp_path: Path) -> None:
    source = make_scene(tmp_path / "project", things(), IMAGES, CLASSES)
    runs = [(1, "0"), (2, "random")]
    digests = {
        digest_in_a_process_of_its_own(source, tmp_path / f"run-{number}", lanes, seed)
        for number, (lanes, seed) in enumerate(runs)
    }
    assert len(digests) == 1
    (made, *_) = tmp_path.glob("run-0/*/bundle.zip")
    assert hashlib.sha256(made.read_bytes()).hexdigest() in digests


def test_case_22_determinism_from_another_place_at_another_time(export: Export, tmp_path: Path) -> None:
    first = make_scene(tmp_path / "a" / "project", things(), IMAGES, CLASSES)
    second = make_scene(tmp_path / "b" / "project", things(), IMAGES, CLASSES)
    for path in second.rglob("*"):
        os.utime(path, (1, 1))
    options = {"formats": tuple(known()), "metrics": ("csv", "xlsx"), "visualizations": True}
    assert export(first, **options).path.read_bytes() == export(second, **options).path.read_bytes()


def objects_by_format(bundle: Bundle) -> dict[str, int]:
    """Return how many objects each format holds."""
    folder = bundle.folder
    lines = [len((folder / "labels" / name).read_text().splitlines()) for name in bundle.names("labels")]
    pages = [
        json.loads((folder / "annotations/labelme" / each).read_text()) for each in bundle.names("annotations/labelme")
    ]
    return {
        "manifest": bundle.manifest["counts"]["objects"],
        "coco": len(bundle.annotations()),
        "yolo": sum(lines),
        "csv": len(bundle.table()),
        "labelme": len({shape["id"] for page in pages for shape in page["shapes"]}),
        "json": len(json.loads((folder / "annotations/json/annotations.json").read_text())["instances"]),
        "voc": sum(
            (folder / "annotations/voc/Annotations" / name).read_text().count("<object>")
            for name in bundle.names("annotations/voc/Annotations")
        ),
    }


FORMATS = ("coco", "yolo", "labelme", "json", "voc")


@pytest.mark.parametrize("stage", ["images", "annotations", "metrics"])
def test_case_23_snapshot_consistency(tmp_path: Path, stage: str) -> None:
    """The annotations are replaced in the middle of the export: it goes on with those it began with."""
    source = make_scene(tmp_path / "project", [each for each in things() if not each.crowd], IMAGES, CLASSES)
    exporter = make_exporter(tmp_path / "exports", source, formats=FORMATS, metrics=("csv",))
    running = exporter.run()
    next(update for update in running if update.stage == stage and "Reading" not in update.message)
    document = json.loads((source / "annotations.json").read_text())
    document["instances"] = document["instances"][:2]
    (source / "annotations.json").write_text(json.dumps(document))
    for _ in running:
        pass
    counts = objects_by_format(unzipped(exporter.result.path))
    assert set(counts.values()) == {9}, counts


def test_case_23_snapshot_consistency_an_image_that_changes_ends_the_export(tmp_path: Path) -> None:
    source = make_scene(tmp_path / "project", things(), IMAGES, CLASSES)
    exporter = make_exporter(tmp_path / "exports", source, formats=("coco",))
    running = exporter.run()
    next(update for update in running if "Copying" in update.message)
    with (source / "images" / "empty.png").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ExportError, match=r"'empty\.png' was changed during the export"):
        list(running)


def test_case_23_snapshot_consistency_of_what_is_read_while_it_is_written(tmp_path: Path) -> None:
    """An annotation file that is cut off while it is read is an error, and never half a project."""
    source = make_scene(tmp_path / "project", things(), IMAGES, CLASSES)
    whole = (source / "annotations.json").read_bytes()
    (source / "annotations.json").write_bytes(whole[: len(whole) * 2 // 3])
    exporter = make_exporter(tmp_path / "exports", source, formats=("coco",))
    with pytest.raises(ExportError):
        list(exporter.run())
    assert not exporter._target.exists()
