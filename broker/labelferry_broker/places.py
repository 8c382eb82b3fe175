"""Where the broker lives on disk: its state directory, the secret it shares with the depot, and the directory of its unix sockets."""

import fcntl
import os
import secrets
import socket
import stat
import tempfile
from pathlib import Path

from labelferry_broker.depot.settings import SECRET_BYTES, bundles_folder, secret_path
from labelferry_protocol.endpoints import MAX_IPC_PATH, Endpoint, Lane
from labelferry_protocol.errors import Code, Refusal
from labelferry_transport.doors import SHUT

_INNER = "inner"
_LOCK = "lock"


def make_private(directory: Path) -> bool:
    """Make a directory that only this user can enter, or check that it is one; return whether it was made here."""
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        pass
    except OSError as error:
        raise Refusal(Code.OUTPUT, f"cannot make the directory {directory}: {error.strerror}") from None
    else:
        return True
    about = directory.lstat()
    if not stat.S_ISDIR(about.st_mode):
        raise Refusal(Code.ACCESS, f"{directory} is not a directory (a link is not taken for one): name another place")
    if about.st_uid != os.geteuid():
        raise Refusal(Code.ACCESS, f"{directory} belongs to somebody else: name a directory of your own")
    if stat.S_IMODE(about.st_mode) & 0o077:
        raise Refusal(Code.ACCESS, f"{directory} is open to others: chmod 700 {directory}")
    return False


def read_secret(state: Path) -> bytes:
    """Return the secret that signs tokens, made on the first start; raise `Refusal` when others can read it."""
    path = secret_path(state)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise Refusal(Code.OUTPUT, f"cannot write {path}: {error.strerror}") from None
    else:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(handle)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refusal(
            Code.ACCESS, f"{path} can be read by others: remove it (running transfers will ask for new tokens)"
        )
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise Refusal(Code.STORE, f"{path} is not whole: remove it (running transfers will ask for new tokens)")
    return secret


def check_no_bundles(state: Path) -> None:
    """Raise `Refusal(STORE)` where bundles lie: a ledger that knows of none would have them all removed."""
    folder = bundles_folder(state)
    if any(folder.glob("*.zip")):
        raise Refusal(
            Code.STORE,
            f"the ledger in {state} is missing or empty, but {folder} holds bundles: put a copy of the ledger back, or remove"
            f" {folder} to begin anew without them",
        )


def listening(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with a host name replaced by its address: sockets are bound to addresses."""
    host = endpoint.place.strip("[]")
    if endpoint.scheme == "ipc" or host == "*":
        return endpoint
    try:
        found = socket.getaddrinfo(host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise Refusal(Code.USAGE, f"cannot listen on {endpoint}: this machine has no address {host!r}") from None
    family, *_, address = found[0]
    place = f"[{address[0]}]" if family == socket.AF_INET6 else str(address[0])
    return Endpoint("tcp", place, endpoint.port)


def told(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint as a `welcome` names it: one that listens everywhere is `*`, the host it was reached at."""
    everywhere = endpoint.scheme == "tcp" and endpoint.place in ("*", "0.0.0.0", "[::]", "::")  # noqa: S104 - named, not bound
    return Endpoint("tcp", "*", endpoint.port) if everywhere else endpoint


class SocketPlace:
    """The private directory of unix sockets: of all lanes for an ipc endpoint, of the depot's inner lane alone for tcp.

    Locked while it is used, for libzmq would quietly take a socket file away from a broker that is running.
    """

    def __init__(self, endpoint: Endpoint, state: Path) -> None:
        self._endpoint = endpoint
        if endpoint.scheme == "ipc":
            self._directory = Path(endpoint.place)
            self._made = make_private(self._directory)
        else:
            self._directory, self._made = _inner_place(state)
        self._lock = _take_lock(self._directory / _LOCK, endpoint)

    @property
    def inner(self) -> str:
        """The endpoint of the depot's inner lane."""
        return f"ipc://{self._directory / _INNER}"

    def clear(self) -> None:
        """Remove the socket files and the lock, and the directory if it was made here and is empty."""
        for name in (*Lane, _INNER, _LOCK):
            (self._directory / name).unlink(missing_ok=True)
            (self._directory / f"{name}{SHUT}").unlink(missing_ok=True)
        os.close(self._lock)
        if self._made:
            try:
                self._directory.rmdir()
            except OSError:
                return


def _inner_place(state: Path) -> tuple[Path, bool]:
    directory = state / "run"
    if len(os.fsencode(directory / _INNER)) <= MAX_IPC_PATH:
        return directory, make_private(directory)
    # The path of a unix socket is short by law of the kernel; a temporary directory's always is.
    return Path(tempfile.mkdtemp(prefix="labelferry-")), True


def _take_lock(path: Path, endpoint: Endpoint) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Refusal(Code.OUTPUT, f"another broker serves at {endpoint}: stop it or name another place") from None
        try:
            if os.fstat(handle).st_ino == path.stat().st_ino:
                return handle
        except FileNotFoundError:
            pass
        # Its last owner removed it between our opening and our locking: take the new one.
        os.close(handle)
