"""A bundle gets a second name in the depot's folder where it may and can, and loses that one alone."""

import os
from pathlib import Path

import pytest

from labelferry_workers.staging import put_beside, take_back


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    made = tmp_path / "staging" / "bundle.zip"
    made.parent.mkdir()
    made.write_bytes(b"bundle")
    (tmp_path / "incoming").mkdir()
    return made


def test_it_is_one_file_with_two_names_that_nobody_else_can_read(bundle: Path, tmp_path: Path) -> None:
    place = tmp_path / "incoming" / "it.part"
    assert put_beside(bundle, place)
    assert place.samefile(bundle)
    assert place.stat().st_mode & 0o777 == 0o600
    take_back(bundle, place)
    assert (bundle.exists(), place.exists()) == (True, False)


def test_what_is_there_already_stays(bundle: Path, tmp_path: Path) -> None:
    place = tmp_path / "incoming" / "it.part"
    place.write_bytes(b"half of it")
    assert not put_beside(bundle, place)
    take_back(bundle, place)
    assert place.read_bytes() == b"half of it"


def test_a_folder_that_is_not_there_or_is_somebody_elses_is_left_alone(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not put_beside(bundle, tmp_path / "nowhere" / "it.part")
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    assert not put_beside(bundle, tmp_path / "incoming" / "it.part")
    assert list((tmp_path / "incoming").iterdir()) == []
    take_back(bundle, tmp_path / "nowhere" / "it.part")
