"""Key files: made closed, refused when open, and read as who may connect."""

import json
import stat
from pathlib import Path

import pytest

from labelferry_protocol.errors import Refusal
from labelferry_protocol.words import Role
from labelferry_transport.keys import authorized, load_key, make_broker_key, make_peer_key


def test_a_peer_key_names_its_broker_and_is_authorized(tmp_path: Path) -> None:
    broker = load_key(make_broker_key(tmp_path / "keys"))
    alice = load_key(make_peer_key(tmp_path / "keys", Role.USER, "alice", tmp_path / "alice.key"))
    assert alice.broker_public == broker.public
    assert alice.as_client().server_public == broker.public.encode()
    assert authorized(tmp_path / "keys") == {alice.public: (Role.USER, "alice")}


def test_secret_files_are_for_their_owner_only(tmp_path: Path) -> None:
    path = make_broker_key(tmp_path / "keys")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o640)
    with pytest.raises(Refusal, match="chmod 600"):
        load_key(path)


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    make_broker_key(tmp_path)
    with pytest.raises(Refusal, match="exists already"):
        make_broker_key(tmp_path)
    make_peer_key(tmp_path, Role.WORKER, "gpu1", tmp_path / "gpu1.key")
    with pytest.raises(Refusal, match="has a key already"):
        make_peer_key(tmp_path, Role.WORKER, "gpu1", tmp_path / "again.key")
    assert not (tmp_path / "again.key").exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-a", "a" * 65, "a b", "ü"])
def test_a_name_that_is_no_name_gets_a_sentence(tmp_path: Path, name: str) -> None:
    make_broker_key(tmp_path)
    with pytest.raises(Refusal, match="not a name for a key"):
        make_peer_key(tmp_path, Role.USER, name, tmp_path / "x.key")


def test_a_missing_or_wrong_key_file_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no key file"):
        load_key(tmp_path / "none.key")
    (tmp_path / "wrong.key").write_text("{}")
    (tmp_path / "wrong.key").chmod(0o600)
    with pytest.raises(Refusal, match="not a key file"):
        load_key(tmp_path / "wrong.key")


@pytest.mark.parametrize("field", ["public", "secret", "broker_public"])
@pytest.mark.parametrize(
    "text", ["", "short", "a" * 39, "a" * 41, "~" * 40, "#" * 40, "a" * 39 + "\n", "ü" * 40, "a" * 39 + " ", 7, None]
)
def test_a_key_file_whose_keys_are_none_is_not_a_key_file(tmp_path: Path, field: str, text: object) -> None:
    path = make_broker_key(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: text}))
    with pytest.raises(Refusal, match="not a key file: make one with `labelferry keys`"):
        load_key(path)


def test_bytes_that_are_no_text_are_not_a_key_file(tmp_path: Path) -> None:
    path = make_broker_key(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"broker"', b'"\xff\xfe"'))
    with pytest.raises(Refusal, match="not a key file"):
        load_key(path)


def test_every_key_that_is_made_can_be_read(tmp_path: Path) -> None:
    for number in range(100):
        assert load_key(make_broker_key(tmp_path / str(number))).name == "broker"


def test_files_that_are_no_authorization_are_ignored(tmp_path: Path) -> None:
    make_broker_key(tmp_path)
    (tmp_path / "authorized" / "emperor-zed.pub").write_text("x" * 40)
    (tmp_path / "authorized" / "user-bob.pub").write_text("short")
    assert authorized(tmp_path) == {}
