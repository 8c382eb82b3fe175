"""The state directory of the embedded mode: its files, its locks, and what stands in `service.json`."""

import fcntl
import os
from pathlib import Path

import msgspec
import platformdirs

from labelferry_protocol.errors import Code, Refusal

STATE_VARIABLE = "LABELFERRY_STATE"
ROOM_BYTES = 2**20
"""What the ledger needs at least to begin."""
OURS = frozenset({"ledger.sqlite3", "service.log", "start.lock", "broker"})
"""What lies in a state directory of labelferry's: such a one, or an empty one, may be closed to others."""


class ServiceFacts(msgspec.Struct, frozen=True):
    """Where the service is, and how many jobs it can run at once."""

    endpoint: str
    pid: int
    workers: int


class Lock:
    """A lock on a file, between processes; it goes with the process that holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def try_take(self, *, shared: bool = False) -> bool:
        """Take the lock if nobody holds it the other way; return whether it is ours now."""
        if self._handle is None:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class Place:
    """The files of the embedded service below one state directory."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.facts_file = state / "service.json"
        self.failed_file = state / "service.failed"
        self.log_file = state / "service.log"
        self.unended_file = state / "service.unended"
        """There while jobs may be in the ledger that have not ended."""
        self.staging = state / "staging"
        """Where the worker of the embedded service makes bundles."""
        self.cache = self.staging / "cache"
        """Where that worker keeps finished work for later exports, if it is told to."""

    def prepare(self) -> None:
        """Make the directory, for its owner only; raise `Refusal(OUTPUT)` when that cannot be."""
        try:
            self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Refusal(
                Code.OUTPUT,
                f"cannot keep state in {self.state}: {error.strerror}: name another place with {STATE_VARIABLE}",
            ) from None
        if not os.access(self.state, os.W_OK | os.X_OK):
            raise Refusal(
                Code.OUTPUT,
                f"cannot write in the state directory {self.state}: name another place with {STATE_VARIABLE}",
            )
        if self.state.stat().st_mode & 0o077:
            self._close_to_others()

    def check_room(self) -> None:
        """Raise `Refusal(DISK_FULL)` when the directory takes nothing more: a service could not even tell its log why it ends."""
        probe = self.state / "room.probe"
        try:
            probe.write_bytes(bytes(ROOM_BYTES))
        except OSError as error:
            raise Refusal(
                Code.DISK_FULL,
                f"cannot write in the state directory {self.state}: {error.strerror}: free some space there, or name another place with {STATE_VARIABLE}",
            ) from None
        finally:
            probe.unlink(missing_ok=True)

    def _close_to_others(self) -> None:
        held = {path.name for path in self.state.iterdir()}
        if held and not held & OURS:
            raise Refusal(
                Code.ACCESS,
                f"the state directory {self.state} is open to others: chmod 700 {self.state}, or name another with {STATE_VARIABLE}",
            )
        self.state.chmod(0o700)

    def lock(self, name: str) -> Lock:
        """Return the lock of that name, not yet taken."""
        return Lock(self.state / f"{name}.lock")

    def host_lives(self) -> bool:
        """Whether a host holds its lock."""
        probe = self.lock("host")
        free = probe.try_take(shared=True)
        probe.release()
        return not free

    def facts(self) -> ServiceFacts | None:
        """Return where the service is, once its host has said so."""
        try:
            return msgspec.json.decode(self.facts_file.read_bytes(), type=ServiceFacts)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def say_ready(self, facts: ServiceFacts) -> None:
        """Tell everybody where the service is."""
        draft = self.facts_file.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(facts))
        draft.replace(self.facts_file)

    def failure(self) -> str:
        """Return why the last service ended before its time; empty when nothing is known."""
        try:
            return self.failed_file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""


def state_directory() -> Path:
    """Return where the embedded mode keeps its ledger, bundles and log: LABELFERRY_STATE, or the platform's place for state."""
    named = os.environ.get(STATE_VARIABLE)
    return Path(named).absolute() if named else Path(platformdirs.user_state_dir("labelferry"))
