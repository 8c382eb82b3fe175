"""The folders in which finished work of jobs is kept: found, removed, and swept when nobody comes for them."""

import os
from pathlib import Path

from labelferry_workers.checkpoints import MOST_IDLE, MOST_SECONDS, Checkpoints, checkpoints_of

NOW = 1_000_000.0


def keep(staging: Path, number: int, written_at: float) -> str:
    job_id = f"{number:032x}"
    folder = checkpoints_of(staging, job_id) / "results"
    folder.mkdir(parents=True)
    (folder / "index.sqlite").write_bytes(b"x")
    for each in (folder / "index.sqlite", folder, folder.parent):
        os.utime(each, (written_at, written_at))
    return job_id


def test_jobs_are_found_by_their_folders_the_latest_last(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.jobs == []
    late, early = keep(tmp_path, 1, NOW), keep(tmp_path, 2, NOW - 60)
    (tmp_path / "checkpoints" / "something-else").mkdir()
    assert checkpoints.jobs == [early, late]
    assert checkpoints.has(late)
    assert not checkpoints.has("f" * 32)


def test_removed_with_the_folder_of_all_when_it_was_the_last(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    first, second = keep(tmp_path, 1, NOW), keep(tmp_path, 2, NOW)
    assert checkpoints.remove(first)
    assert checkpoints.jobs == [second]
    assert checkpoints.remove(second)
    assert list(tmp_path.iterdir()) == []
    assert checkpoints.remove(second), "what is not there is removed"


def test_what_nobody_has_written_to_for_a_day_goes_but_not_what_runs_here(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    old, running, young = (
        keep(tmp_path, number, NOW - age) for number, age in enumerate((MOST_SECONDS + 1, MOST_SECONDS + 1, 60))
    )
    checkpoints.sweep(NOW, {running})
    assert set(checkpoints.jobs) == {running, young}
    assert not checkpoints.has(old)


def test_of_very_many_jobs_the_latest_stay(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    jobs = [keep(tmp_path, number, NOW + number) for number in range(MOST_IDLE + 3)]
    checkpoints.sweep(NOW + 100, {jobs[0]})
    assert checkpoints.jobs == [jobs[0], *jobs[3:]]


def test_a_worker_that_may_not_look_there_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file")
    checkpoints = Checkpoints(tmp_path)
    checkpoints.sweep(NOW, set())
    assert checkpoints.jobs == []
