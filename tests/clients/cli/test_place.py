"""The embedded mode's meeting place: locks between processes, and what is written there."""

import resource
from pathlib import Path

import pytest

from labelferry.embedded.place import Place, ServiceFacts
from labelferry_protocol.errors import Refusal


def test_a_host_lives_as_long_as_it_holds_its_lock(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert not place.host_lives()
    lock = place.lock("host")
    assert lock.try_take()
    assert place.host_lives()
    lock.release()
    assert not place.host_lives()


def test_many_may_hold_a_service_and_the_host_sees_when_nobody_does(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first, second, host = place.lock("holders"), place.lock("holders"), place.lock("holders")
    assert first.try_take(shared=True)
    assert second.try_take(shared=True)
    assert not host.try_take()
    first.release()
    assert not host.try_take()
    second.release()
    assert host.try_take()


def test_facts_are_there_whole_or_not_at_all(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.facts() is None
    place.facts_file.write_text('{"endpoint": "ipc:')
    assert place.facts() is None
    facts = ServiceFacts("ipc:///x", 7, 2)
    place.say_ready(facts)
    assert place.facts() == facts


def test_the_state_directory_is_its_owners_alone(tmp_path: Path) -> None:
    Place(tmp_path / "a" / "b").prepare()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_state_directory_that_is_open_is_closed_if_it_is_ours_and_refused_if_it_is_not(tmp_path: Path) -> None:
    for name in ("empty", "ours", "other"):
        (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / "ours" / "ledger.sqlite3").touch()
    (tmp_path / "other" / "thesis.tex").touch()
    for name in ("empty", "ours"):
        Place(tmp_path / name).prepare()
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700
    with pytest.raises(Refusal, match="chmod 700"):
        Place(tmp_path / "other").prepare()
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o755


def test_a_state_directory_that_takes_nothing_more_is_said_to_be_full(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.check_room()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(Refusal, match=r"cannot write in the state directory .*: free some space there"):
            place.check_room()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
