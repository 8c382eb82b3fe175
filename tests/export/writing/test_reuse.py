"""Reuse: an export that is begun again, or made again, gives the same bytes, does again only what it must, and says so."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from labelferry_export import beginning
from labelferry_export.errors import ExportError
from labelferry_export.exporter import Exporter, Update
from labelferry_export.keeping.index import NAME as INDEX
from labelferry_export.keeping.settings import Reuse
from labelferry_protocol import limits
from labelferry_protocol.options import OverlayStyle
from labelferry_protocol.words import Stage

MakeProject = Callable[..., Path]
MakeExporter = Callable[..., Exporter]

FORMATS = ("coco", "yolo", "json", "voc")
IMAGES = 6
RESULTS = 6 * IMAGES
"""Overlays, measures, and the files or rows of the four formats."""


@pytest.fixture
def again(tmp_path: Path) -> Reuse:
    """Checkpoints of a job that is worth them, and every result of it."""
    return Reuse(checkpoints=tmp_path / "checkpoints", least_job=0.0, least_result=0.0, spare=0)


@pytest.fixture
def cache(tmp_path: Path) -> Reuse:
    return Reuse(cache=tmp_path / "cache", cache_bytes=1 << 30, least_result=0.0, spare=0)


def exported(exporter: Exporter) -> bytes:
    for _ in exporter.run():
        pass
    return exporter.result.path.read_bytes()


def stopped_at(exporter: Exporter, count: int) -> Update:
    """Run so many updates and no further; return the last."""
    running = exporter.run()
    for _ in range(count):
        last = next(running)
    running.close()
    return last


def counts(exporter: Exporter) -> tuple[int, int]:
    return exporter.reused.made, exporter.reused.found


def test_stopped_anywhere_and_begun_again_it_gives_the_same_bytes_and_does_nothing_twice(
    make_project: MakeProject, make_exporter: MakeExporter, again: Reuse
) -> None:
    project = make_project(IMAGES)
    plain = make_exporter(project, lanes=1, formats=FORMATS, metrics=("csv",))
    total = len(list(plain.run()))
    whole = plain.result.path.read_bytes()
    stages = set()
    for count in range(1, total, max(total // 12, 1)):
        assert again.checkpoints is not None
        shutil.rmtree(again.checkpoints, ignore_errors=True)
        first = make_exporter(project, lanes=1, reuse=again, formats=FORMATS, metrics=("csv",))
        stages.add(stopped_at(first, count).stage)
        second = make_exporter(project, lanes=1, reuse=again, formats=FORMATS, metrics=("csv",))
        assert exported(second) == whole
        made, found = counts(second)
        assert made + found == RESULTS
        assert found == first.reused.made
    assert stages == set(Stage)


def test_it_takes_up_the_snapshot_and_says_how_far_it_was(
    make_project: MakeProject, make_exporter: MakeExporter, again: Reuse
) -> None:
    project = make_project(IMAGES)
    running = make_exporter(project, lanes=1, reuse=again).run()
    for update in running:
        if update.message.startswith("Drawing overlays (4/6)"):
            break
    running.close()
    second = make_exporter(project, lanes=1, reuse=Reuse(**{**vars(again), "reached": update.progress}))
    updates = list(second.run())
    assert not any(each.message.startswith("Reading") for each in updates)
    said = next(each for each in updates if each.message == "Resuming: 4 of 6 images are done")
    assert (said.stage, said.stage_progress.current, said.stage_progress.total) == (Stage.VISUALIZATIONS, 4, 6)
    told = [each.progress for each in updates]
    assert told[0] == pytest.approx(update.progress, abs=0.01)
    assert told[-1] == limits.WORKER_SHARE
    assert all(0 <= after - before <= 1 for before, after in pairwise(told))


def test_what_is_done_moves_progress_little_and_what_is_left_moves_it_on(
    make_project: MakeProject, make_exporter: MakeExporter, again: Reuse
) -> None:
    project = make_project(60, side=48)
    running = make_exporter(project, lanes=1, reuse=again).run()
    next(update for update in running if update.message.startswith("Drawing overlays (48/60)"))
    running.close()
    updates = list(make_exporter(project, lanes=1, reuse=again).run())
    drawing = [each for each in updates if each.message.startswith("Drawing overlays")]
    found = drawing[47].progress - drawing[0].progress
    made = drawing[-1].progress - drawing[47].progress
    assert found < made


def test_an_attempt_that_reached_the_end_goes_on_from_there(
    make_project: MakeProject, make_exporter: MakeExporter, again: Reuse
) -> None:
    project = make_project(2)
    reached = Reuse(**{**vars(again), "reached": 99.7})
    assert {each.progress for each in make_exporter(project, reuse=reached).run()} == {limits.WORKER_SHARE}


@pytest.mark.parametrize("lanes", [1, 2])
def test_killed_in_the_middle_it_goes_on_with_what_lanes_or_none_had_finished(
    make_project: MakeProject,
    make_exporter: MakeExporter,
    again: Reuse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lanes: int,
) -> None:
    monkeypatch.setattr(beginning, "LANES_WORTH", 0.0)
    project = make_project(30, side=400)
    whole = exported(make_exporter(project, lanes=1))
    script = f"""
import os, signal, time
from pathlib import Path
from labelferry_export import beginning
from labelferry_export.exporter import Exporter
from labelferry_export.keeping.index import NAME as INDEX
from labelferry_export.keeping.settings import Reuse
from labelferry_protocol.options import ExportOptions
beginning.LANES_WORTH = 0.0
place = Path({str(tmp_path)!r})
reuse = Reuse(checkpoints=place / "checkpoints", least_job=0.0, least_result=0.0, spare=0)
(place / "killed").mkdir()
for update in Exporter(Path({str(project)!r}), place / "killed" / "b.zip", ExportOptions(), staging=place / "killed",
                       roots=[place], clock=time.monotonic, lanes={lanes}, reuse=reuse).run():
    if update.message.startswith("Drawing overlays (27/30)"):
        os.killpg(0, signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], start_new_session=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    second = make_exporter(project, lanes=3 - lanes, reuse=again)
    assert exported(second) == whole
    made, found = counts(second)
    # What was made in the last moment is not in the index yet: a few of these, which take milliseconds each.
    assert 20 <= found <= 30
    assert made + found == 4 * 30


def test_a_project_whose_images_were_changed_is_read_again_and_only_they_are_done_again(
    make_project: MakeProject, make_exporter: MakeExporter, again: Reuse
) -> None:
    project = make_project(IMAGES)
    exported(make_exporter(project, lanes=1, reuse=again))
    changed = project / "images" / "image_003.png"
    Pillow.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(changed)
    second = make_exporter(project, lanes=1, reuse=again)
    messages = [update.message for update in second.run()]
    assert any("changed and is read again: image_003.png" in message for message in messages)
    assert counts(second) == (4, 4 * IMAGES - 4), "everything of that image"
    assert second.result.path.read_bytes() == exported(make_exporter(project, lanes=1))


def test_an_attempt_works_from_the_snapshot_of_the_first_though_the_annotations_were_edited(
    make_project: MakeProject, make_exporter: MakeExporter, again: Reuse
) -> None:
    project = make_project(3)
    whole = exported(make_exporter(project, lanes=1, reuse=again))
    document = project / "instances.json"
    document.write_text(document.read_text().replace("cell", "nucleus"))
    assert exported(make_exporter(project, lanes=1, reuse=again)) == whole


@pytest.mark.parametrize("suffix", ["snapshot", "findings", "seal"])
def test_a_kept_snapshot_that_is_damaged_is_none(
    make_project: MakeProject, make_exporter: MakeExporter, again: Reuse, suffix: str
) -> None:
    project = make_project(3)
    document = project / "instances.json"
    document.write_text(document.read_text().replace("[[2, 2, 10, 2,", "[[-2, 2, 10, 2,", 1))
    whole = exported(make_exporter(project, lanes=1, reuse=again))
    assert again.checkpoints is not None
    (kept,) = again.checkpoints.glob(f"*.{suffix}")
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 255
    kept.unlink()
    kept.write_bytes(data)
    second = make_exporter(project, lanes=1, reuse=again)
    messages = [update.message for update in second.run()]
    assert any(message.startswith("Reading project") for message in messages)
    assert second.result.path.read_bytes() == whole


def test_other_options_find_no_snapshot_but_what_they_share(
    make_project: MakeProject, make_exporter: MakeExporter, again: Reuse
) -> None:
    project = make_project(IMAGES)
    exported(make_exporter(project, lanes=1, reuse=again, formats=("coco",), metrics=()))
    second = make_exporter(project, lanes=1, reuse=again, formats=("coco", "yolo"), metrics=())
    assert exported(second) == exported(make_exporter(project, lanes=1, formats=("coco", "yolo"), metrics=()))
    assert counts(second) == (IMAGES, 2 * IMAGES)


def test_a_small_job_and_one_that_may_keep_nothing_leave_nothing(
    make_project: MakeProject, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    place = tmp_path / "checkpoints"
    exported(make_exporter(make_project(2), reuse=Reuse(checkpoints=place)))
    nothing = Reuse(checkpoints=place, checkpoint_bytes=0, least_job=0.0, least_result=0.0)
    exported(make_exporter(make_project(2, name="other"), reuse=nothing))
    assert not place.exists()


def test_a_stopped_attempt_that_resumed_packs_the_same_partial_bundle(
    make_project: MakeProject, make_exporter: MakeExporter, again: Reuse
) -> None:
    project = make_project(IMAGES)
    bundles = []
    for reuse in (again, again, Reuse()):
        exporter = make_exporter(project, lanes=1, reuse=reuse)
        running = exporter.run()
        next(update for update in running if update.message.startswith("Drawing overlays (5/6)"))
        running.close()
        result = exporter.pack_partial()
        assert result is not None
        bundles.append(result.path.read_bytes())
    assert bundles[0] == bundles[1] == bundles[2]


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_second_export_is_the_same_bundle_and_does_nothing_again(
    make_project: MakeProject, make_exporter: MakeExporter, cache: Reuse, monkeypatch: pytest.MonkeyPatch, lanes: int
) -> None:
    monkeypatch.setattr(beginning, "LANES_WORTH", 0.0)
    project = make_project(IMAGES)
    whole = exported(make_exporter(project, lanes=1, formats=FORMATS))
    first = make_exporter(project, lanes=lanes, reuse=cache, formats=FORMATS)
    second = make_exporter(project, lanes=3 - lanes, reuse=cache, formats=FORMATS)
    assert exported(first) == exported(second) == whole
    assert counts(first) == (RESULTS, 0)
    assert counts(second) == (0, RESULTS)


def test_a_second_export_makes_only_what_was_changed(
    make_project: MakeProject, make_exporter: MakeExporter, cache: Reuse
) -> None:
    project = make_project(IMAGES)
    exported(make_exporter(project, lanes=1, reuse=cache, formats=("coco",)))
    picture = project / "images" / "image_002.png"
    Pillow.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(picture)
    pixels = make_exporter(project, lanes=1, reuse=cache, formats=("coco",))
    assert exported(pixels) == exported(make_exporter(project, lanes=1, formats=("coco",)))
    assert counts(pixels) == (3, 3 * IMAGES - 3), "everything of that image"
    document = project / "instances.json"
    document.write_text(document.read_text().replace("[[2, 2, 10, 2,", "[[3, 2, 10, 2,", 1))
    outline = make_exporter(project, lanes=1, reuse=cache, formats=("coco",))
    assert exported(outline) == exported(make_exporter(project, lanes=1, formats=("coco",)))
    assert counts(outline) == (3, 3 * IMAGES - 3)
    style = OverlayStyle(fill_opacity=0.9)
    styled = make_exporter(project, lanes=1, reuse=cache, formats=("coco",), style=style)
    assert exported(styled) == exported(make_exporter(project, lanes=1, formats=("coco",), style=style))
    assert counts(styled) == (IMAGES, 2 * IMAGES)


def test_the_same_content_elsewhere_is_found_and_the_name_in_a_finding_is_its_own(
    make_project: MakeProject, make_exporter: MakeExporter, cache: Reuse, tmp_path: Path
) -> None:
    project = make_project(3)
    exported(make_exporter(project, lanes=1, reuse=cache))
    twin = tmp_path / "twin"
    shutil.copytree(project, twin)
    os.utime(twin / "images" / "image_001.png", (1, 1))
    second = make_exporter(twin, lanes=1, reuse=cache, name="project")
    assert exported(second) == exported(make_exporter(twin, lanes=1, name="project"))
    assert counts(second) == (0, 12)


def test_the_findings_of_a_found_result_are_told_again(
    make_project: MakeProject, make_exporter: MakeExporter, cache: Reuse
) -> None:
    project = make_project(2)
    deep = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 60
    Pillow.fromarray(deep).save(project / "images" / "image_001.png")
    first, second = (make_exporter(project, lanes=1, reuse=cache) for _ in range(2))
    assert exported(first) == exported(second)
    assert counts(second)[0] == 0
    assert first.result.warnings == second.result.warnings
    assert "contrast-window" in {each.code for each in second.result.warnings}


def test_a_broken_image_is_as_broken_the_second_time(
    make_project: MakeProject, make_exporter: MakeExporter, cache: Reuse
) -> None:
    project = make_project(3)
    path = project / "images" / "image_002.png"
    path.write_bytes(path.read_bytes()[:-600])
    first, second = (make_exporter(project, lanes=1, reuse=cache, on_error="skip") for _ in range(2))
    assert exported(first) == exported(second)
    with pytest.raises(ExportError, match=r"image_002\.png"):
        exported(make_exporter(project, lanes=1, reuse=cache))


def test_a_cache_too_small_for_anything_is_as_good_as_none(
    make_project: MakeProject, make_exporter: MakeExporter, cache: Reuse
) -> None:
    project = make_project(3)
    tiny = Reuse(**{**vars(cache), "cache_bytes": 500})
    first, second = (make_exporter(project, lanes=1, reuse=tiny) for _ in range(2))
    assert exported(first) == exported(second) == exported(make_exporter(project, lanes=1))
    assert cache.cache is not None
    assert sum(each.stat().st_size for each in cache.cache.glob("*.volume")) <= 500


def test_an_attempt_that_has_little_left_starts_no_lanes(
    make_project: MakeProject, make_exporter: MakeExporter, again: Reuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(IMAGES)
    exported(make_exporter(project, lanes=1, reuse=again))
    started: list[bool] = []
    monkeypatch.setattr(beginning, "LANES_WORTH", 60.0)
    for reuse in (Reuse(), again):
        exporter = make_exporter(project, lanes=2, reuse=reuse)
        exported_with_lanes = False
        for _ in exporter.run():
            exported_with_lanes = exported_with_lanes or exporter._lanes.running
        started.append(exported_with_lanes)
    assert started == [True, False]


@pytest.mark.parametrize("changed", [1, 40])
def test_where_results_may_be_found_lanes_are_started_only_when_many_are_not(
    make_project: MakeProject,
    make_exporter: MakeExporter,
    cache: Reuse,
    monkeypatch: pytest.MonkeyPatch,
    changed: int,
) -> None:
    monkeypatch.setattr(beginning, "LANES_WORTH", 0.0)
    project = make_project(60, side=24)
    exported(make_exporter(project, lanes=1, reuse=cache))
    for number in range(1, changed + 1):
        picture = project / "images" / f"image_{number:03}.png"
        Pillow.fromarray(np.full((24, 24, 3), number, np.uint8)).save(picture)
    exporter = make_exporter(project, lanes=2, reuse=cache)
    with_lanes = [exporter._lanes.running for _ in exporter.run()]
    assert any(with_lanes) is (changed > 1)
    assert counts(exporter) == (4 * changed, 4 * (60 - changed))
    assert exporter.result.path.read_bytes() == exported(make_exporter(project, lanes=1))


def test_where_results_were_to_be_found_and_no_store_can_be_opened_lanes_are_started(
    make_project: MakeProject, make_exporter: MakeExporter, cache: Reuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beginning, "LANES_WORTH", 0.0)
    project = make_project(60, side=24)
    assert cache.cache is not None
    (cache.cache / INDEX).mkdir(parents=True)
    exporter = make_exporter(project, lanes=2, reuse=cache)
    with_lanes = [exporter._lanes.running for _ in exporter.run()]
    assert any(with_lanes)
    assert counts(exporter) == (4 * 60, 0)
    assert exporter.result.path.read_bytes() == exported(make_exporter(project, lanes=1))
