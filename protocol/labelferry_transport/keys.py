"""Key files: one for the broker, one for each user, worker and admin; who holds which is a directory of public keys.

    KEYS/broker.key               the broker's own pair (0600)
    KEYS/authorized/ROLE-NAME.pub one public key a line-less file: who may connect, as whom
    NAME.key                      what a user, worker or admin holds (0600): own pair and the broker's public key

Key files are JSON. A secret file that others may read is refused, with the command that mends it.
"""

import os
import re
import stat
from pathlib import Path

import msgspec
import zmq

from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.words import Role
from labelferry_transport.sockets import ClientKeys, ServerKeys

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a key file holds; keys are Z85 text of 40 characters. `role` is empty in the broker's own."""

    name: str
    role: str
    public: str
    secret: str
    broker_public: str

    def as_client(self) -> ClientKeys:
        """Return the keys of a connecting socket."""
        return ClientKeys(self.public.encode(), self.secret.encode(), self.broker_public.encode())

    def as_server(self, domain: str) -> ServerKeys:
        """Return the keys of a binding socket of one ZAP domain."""
        return ServerKeys(self.public.encode(), self.secret.encode(), domain)


def make_broker_key(directory: Path) -> Path:
    """Make the broker's key below `directory` and return its path; refuse to replace one, for every peer's file names it."""
    path = directory / "broker.key"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    (directory / "authorized").mkdir(exist_ok=True, mode=0o700)
    public, secret = _new_pair()
    _write_secret(path, KeyFile(name="broker", role="", public=public, secret=secret, broker_public=public))
    return path


def make_peer_key(directory: Path, role: Role, name: str, target: Path) -> Path:
    """Make the key of a user, worker or admin at `target`, authorize it below `directory`, and return the path of the key file."""
    if not NAME.match(name):
        raise Refusal(
            Code.USAGE, f"{name!r} is not a name for a key: use letters, digits and . _ @ -, at most 64 of them"
        )
    broker = load_key(directory / "broker.key")
    entry = directory / "authorized" / f"{role}-{name}.pub"
    if entry.exists():
        raise Refusal(
            Code.USAGE, f"{role} {name!r} has a key already: remove {entry} to take it back, then make a new one"
        )
    public, secret = _new_pair()
    _write_secret(target, KeyFile(name=name, role=role, public=public, secret=secret, broker_public=broker.public))
    entry.write_text(public + "\n", encoding="ascii")
    return target


def load_key(path: Path) -> KeyFile:
    """Return what a key file holds; raise `Refusal` when it is missing, no key file, or readable by others."""
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise Refusal(Code.ACCESS, f"{path} can be read by others: chmod 600 {path}")
        key = msgspec.json.decode(path.read_bytes(), type=KeyFile)
        for text in (key.public, key.secret, key.broker_public):
            # Whoever can make a public key of it takes it for a key.
            zmq.curve_public(text.encode("ascii"))
    except FileNotFoundError:
        raise Refusal(Code.USAGE, f"no key file at {path}: make one with `labelferry keys`") from None
    except OSError as error:
        raise Refusal(Code.USAGE, f"cannot read the key file {path}: {error.strerror}") from None
    except (ValueError, zmq.ZMQError):
        raise Refusal(Code.USAGE, f"{path} is not a key file: make one with `labelferry keys`") from None
    return key


def authorized(directory: Path) -> dict[str, tuple[Role, str]]:
    """Return who may connect: public key (Z85) to role and name, as the files below `directory`/authorized say now."""
    known: dict[str, tuple[Role, str]] = {}
    for path in sorted((directory / "authorized").glob("*.pub")):
        role, _, name = path.stem.partition("-")
        try:
            public = path.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            # Taken away at this moment, or not ours to read: that key is not admitted; the others are.
            continue
        if role in set(Role) and NAME.match(name) and len(public) == 40:
            known[public] = (Role(role), name)
    return known


def _new_pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode("ascii"), secret.decode("ascii")


def _write_secret(path: Path, key: KeyFile) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refusal(Code.USAGE, f"{path} exists already: a key is never replaced in place") from None
    except OSError as error:
        raise Refusal(Code.OUTPUT, f"cannot write {path}: {error.strerror}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(key)) + b"\n")
