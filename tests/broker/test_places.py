"""The broker's places on disk are its own, and only its own."""

import os
import stat
from pathlib import Path

import pytest

from labelferry_broker.places import SocketPlace, listening, make_private, read_secret, told
from labelferry_protocol.endpoints import Endpoint, parse_endpoint
from labelferry_protocol.errors import EXIT_REFUSED, EXIT_USAGE, Refusal


def test_a_private_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    assert make_private(place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert not make_private(place)


def test_a_directory_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o750)
    with pytest.raises(Refusal, match="chmod 700") as caught:
        make_private(place)
    assert caught.value.exit_code == EXIT_REFUSED


def test_a_link_is_not_taken_for_a_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(Refusal, match="not a directory"):
        make_private(tmp_path / "link")


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(Refusal, match="somebody else"):
        make_private(tmp_path)


def test_the_secret_stays_the_same(tmp_path: Path) -> None:
    secret = read_secret(tmp_path)
    assert len(secret) == 32
    assert read_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    read_secret(tmp_path)
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(Refusal, match="read by others"):
        read_secret(tmp_path)


def test_a_secret_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    (tmp_path / "secret").chmod(0o600)
    with pytest.raises(Refusal, match="not whole"):
        read_secret(tmp_path)


def test_two_brokers_never_share_a_socket_directory(short_dir: Path, tmp_path: Path) -> None:
    endpoint = Endpoint("ipc", str(short_dir / "lanes"))
    first = SocketPlace(endpoint, tmp_path)
    with pytest.raises(Refusal, match="another broker serves"):
        SocketPlace(endpoint, tmp_path)
    first.clear()
    assert not (short_dir / "lanes").exists()
    SocketPlace(endpoint, tmp_path).clear()


def test_a_socket_directory_that_was_there_stays_and_is_left_empty(short_dir: Path, tmp_path: Path) -> None:
    place = SocketPlace(Endpoint("ipc", str(short_dir)), tmp_path)
    (short_dir / "requests").touch()
    (short_dir / "inner").touch()
    place.clear()
    assert list(short_dir.iterdir()) == []


def test_the_inner_lane_has_a_short_path_whatever_the_state_directory(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir(mode=0o700)
    place = SocketPlace(parse_endpoint("tcp://127.0.0.1:5570"), long)
    assert len(place.inner) < 100
    place.clear()


def test_a_host_name_is_listened_on_by_its_address() -> None:
    assert listening(parse_endpoint("tcp://localhost:5570")).place in ("127.0.0.1", "[::1]")
    assert listening(parse_endpoint("tcp://*:5570")).place == "*"
    assert listening(parse_endpoint("tcp://[::1]:5570")).place == "[::1]"


def test_a_host_that_this_machine_does_not_know_is_refused() -> None:
    with pytest.raises(Refusal, match="no address") as caught:
        listening(parse_endpoint("tcp://no-such-host.invalid:5570"))
    assert caught.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "[::]"])
def test_a_broker_that_listens_everywhere_is_told_as_a_star(host: str) -> None:
    assert str(told(parse_endpoint(f"tcp://{host}:5570"))) == "tcp://*:5570"


def test_other_endpoints_are_told_as_they_are() -> None:
    assert str(told(parse_endpoint("tcp://10.0.0.1:5570"))) == "tcp://10.0.0.1:5570"
    assert str(told(parse_endpoint("ipc:///run/lanes"))) == "ipc:///run/lanes"
