"""Our processes in a world of the tests' making: crash points, short leases, other clocks, full disks, children that misbehave.

`python -m tests.support.world broker|worker|child|depot ...` runs the product's own `main` after putting the world's faults in.
What the world does is told by files in one directory, so that a test can change it while the processes run. The product has
no switch for any of this.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgpack

PLACE = "LABELFERRY_TEST_WORLD"
ERA = "LABELFERRY_TEST_ERA"
ADDED = frozenset({"process", "paused", "software", "full", "bundles", "bundle_bytes", "place", "begun", "content"})
"""Fields that have a default, and that an older peer does not send."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class World:
    """The directory that tells the processes of one service what happens to them."""

    place: Path

    @classmethod
    def make(cls, place: Path, **settings: float | bool) -> "World":
        """Make a world. `lease_seconds` and the ledger's other numbers; `stall_seconds` of workers; `told_everywhere`: `*` for the host; `descriptors` of the broker; `hidden_workers`; `always_lanes`; `misbehaves_at`."""
        place.mkdir()
        (place / "settings.json").write_text(json.dumps(settings))
        return cls(place)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to live in this world."""
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, PLACE: str(self.place), "PYTHONPATH": os.pathsep.join(paths)}

    @property
    def settings(self) -> dict[str, Any]:
        """What the world was made with."""
        settings: dict[str, Any] = json.loads((self.place / "settings.json").read_text())
        return settings

    def command(self, role: str) -> list[str]:
        """Return how a process of this world is started."""
        return [sys.executable, "-m", "tests.support.world", role]

    def arm(self, point: str) -> None:
        """Have the first process that passes this point die there, at once and without a word."""
        for told in ("fired", "victim"):
            self.take_back(told)
        self.tell("armed", point)

    def disarm(self) -> None:
        """Take an armed point back. `fired` is told if it had killed somebody."""
        (self.place / "armed").unlink(missing_ok=True)

    def passed(self) -> list[str]:
        """Return the points that were passed, in order, and forget them."""
        try:
            (self.place / "passed").rename(self.place / "read")
        except FileNotFoundError:
            return []
        return (self.place / "read").read_text().splitlines()

    def tell(self, name: str, text: str = "") -> None:
        """Make something so, from now on."""
        (self.place / f"{name}.new").write_text(text)
        (self.place / f"{name}.new").rename(self.place / name)

    def take_back(self, name: str) -> None:
        """Make it no longer so."""
        (self.place / name).unlink(missing_ok=True)

    def told(self, name: str) -> str | None:
        """Return what is so, or None; also when this process has no descriptor left to look."""
        try:
            return (self.place / name).read_text()
        except OSError:
            return None

    def pass_point(self, point: str) -> None:
        """Pass a crash point: noted, and the end of this process if it is the armed one."""
        with suppress(OSError):
            descriptor = os.open(self.place / "passed", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(descriptor, f"{point}\n".encode())
            os.close(descriptor)
        if self.told("armed") != point:
            return
        with suppress(FileNotFoundError):
            # Under a name that says so, whoever of several comes first.
            os.rename(self.place / "armed", self.place / "fired")  # noqa: PTH104 - Path.rename may be the point
            self.tell("victim", str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)

    def surround(self, owner: type | ModuleType, method: str, name: Callable[..., Iterable[str]]) -> None:
        """Put a crash point right before and right after a method, or a module's function; `name` makes the points' names of its arguments."""
        original = getattr(owner, method)

        def surrounded(this: Any, *arguments: Any, **options: Any) -> Any:
            names = list(name(*arguments, **options))
            for each in names:
                self.pass_point(f"before {each}")
            result = original(this, *arguments, **options)
            for each in names:
                self.pass_point(f"after {each}")
            return result

        setattr(owner, method, surrounded)

    def live_in(self, era: str) -> None:
        """Have this process speak as one of another time: `older` lacks what was added to the first messages, `newer` adds to each and speaks a further version, `later` speaks that alone."""
        from labelferry_protocol import codec, version

        plain = codec.pack
        if era in ("newer", "later"):
            version.MAXIMUM = 2
            version.MINIMUM = 2 if era == "later" else 1
            version.FEATURES = frozenset({*version.FEATURES, "of-the-future"})

        def pack(message: Any) -> bytes:
            body: dict[str, Any] = msgpack.unpackb(plain(message))
            if era == "older":
                body = {name: value for name, value in body.items() if name not in ADDED}
            else:
                body["of_the_future"] = {"deep": [1, 2.5, None, b"bytes", {"er": "still"}]}
            return msgpack.packb(body)  # type: ignore[no-any-return]  # the library has no types

        if era:
            codec.pack = pack

    def bend_clocks(self) -> None:
        """Have this process's wall clock jump as told."""
        true = time.time
        time.time = lambda: true() + float(self.told("shift") or 0.0)


def run_broker(world: World, arguments: list[str]) -> int:
    """Run a broker whose depot lives in the same world."""
    from labelferry_broker import __main__ as program
    from labelferry_broker import depot_post, service
    from labelferry_broker.delivery import Delivery
    from labelferry_broker.ledger.settings import LedgerSettings
    from labelferry_broker.nearby import Nearby
    from labelferry_broker.store.store import Store
    from labelferry_protocol import codec
    from labelferry_protocol.endpoints import Endpoint

    settings = world.settings
    if "descriptors" in settings:
        resource.setrlimit(resource.RLIMIT_NOFILE, (settings["descriptors"], settings["descriptors"]))
    numbers = {name: value for name, value in settings.items() if name in _fields(LedgerSettings)}
    vars(service)["LedgerSettings"] = partial(LedgerSettings, **numbers)
    if settings.get("told_everywhere"):
        vars(service)["told"] = lambda endpoint: Endpoint("tcp", "*", endpoint.port)
    if settings.get("hidden_workers"):
        # As for clients on another machine: a bundle is sent, in pieces.
        setattr(Nearby, "bundle_for", lambda this, claims: None)  # noqa: B010 - a method of another's
    plain_command = depot_post.depot_command

    def depot_command(*options: Any) -> list[str]:
        plain = plain_command(*options)
        return [*world.command("depot"), *plain[plain.index("--endpoint") :]]

    vars(service)["depot_command"] = depot_command
    # However often this world kills it, a depot is started again without a longer and longer pause.
    depot_post.HEALTHY_SECONDS = 0.0
    for method in ("apply", "begin_epoch"):
        _fill(world, Store, method)
    world.surround(Store, "apply", _persists)
    world.surround(Delivery, "_post", lambda socket, peer, ref, message: [f"send {codec.kind(message)}"])
    world.surround(Delivery, "_fan_out", lambda lane, identity, message: [f"publish {codec.kind(message)}"])
    world.surround(depot_post.DepotPost, "tell", lambda message: [f"tell depot {codec.kind(message)}"])
    kept = ["--keep-bytes", str(settings["keep_bytes"])] if "keep_bytes" in settings else []
    sys.argv = ["broker", *arguments, *kept]
    return program.main()


def _fill(world: World, store: type, method: str) -> None:
    """Have a method of the ledger's store fail as it does where the disk is full, while the world says so."""
    from labelferry_protocol.errors import Code, Refusal

    plain = getattr(store, method)

    def full(this: Any, *arguments: Any) -> Any:
        if world.told("ledger-full") is not None:
            raise Refusal(Code.STORE, "the ledger cannot be written now: the disk of this world is full")
        return plain(this, *arguments)

    setattr(store, method, full)


def run_depot(world: World, arguments: list[str]) -> int:
    """Run a depot, as a broker of this world starts it."""
    from labelferry_broker.depot import __main__ as program
    from labelferry_broker.depot import vault
    from labelferry_broker.depot.carrier import Carrier
    from labelferry_protocol import codec

    world.surround(Carrier, "_send", lambda answers: {f"send {codec.kind(answer.message)}" for answer in answers})
    world.surround(Path, "rename", lambda target: ["rename bundle"])
    world.surround(vault.Vault, "begin", lambda claims: ["open incoming"])
    world.surround(vault.Incoming, "write", lambda piece: ["write incoming"])
    world.surround(vault.Vault, "discard", lambda job_id, attempt: ["remove bundle"])
    world.surround(Carrier, "_tell_broker", lambda message: [f"tell broker {codec.kind(message)}"])
    plain_seal = vault.Vault.seal

    def seal(self: vault.Vault, coming: Path, claims: Any) -> None:
        if world.told("depot-full") is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain_seal(self, coming, claims)

    vault.Vault.seal = seal  # type: ignore[method-assign]  # the disk of this world is full when it says so
    sys.argv = ["depot", *arguments]
    return program.main()


def run_worker(world: World, arguments: list[str]) -> int:
    """Run a worker whose children live in the same world."""
    from labelferry_protocol import codec
    from labelferry_workers import instructions as do
    from labelferry_workers import service, settings, supervisor
    from labelferry_workers.supervisor import Supervisor
    from labelferry_workers.uploader import Uploader

    def performs(each: do.Instruction) -> list[str]:
        match each:
            case do.Send(message=message):
                return [f"say {codec.kind(message)}"]
            case do.Begin() | do.Clear() | do.Forget() | do.Bring() | do.Stop() | do.Kill() | do.Abandon():
                return [f"perform {type(each).__name__.lower()}"]
        return []

    numbers = {name: value for name, value in world.settings.items() if name in _fields(settings.CrewSettings)}
    if world.settings.get("hidden_workers"):
        # As on another machine: the broker cannot look whether this process lives.
        vars(supervisor)["own_mark"] = lambda: ""
    identity = world.told("identity")
    if identity is not None:
        vars(supervisor)["secrets"] = SimpleNamespace(token_hex=lambda size: identity)
    vars(service)["CrewSettings"] = partial(settings.CrewSettings, **numbers)
    world.surround(Supervisor, "_perform", performs)
    world.surround(supervisor, "put_beside", lambda place: ["put bundle beside"])
    world.surround(Uploader, "_tell_depot", lambda message, ref, payload=None: [f"say {codec.kind(message)}"])
    return service.main(arguments, settings.PoolSettings(command=tuple(world.command("child"))))


def run_child(world: World, arguments: list[str]) -> int:
    """Run a job child that misbehaves in its third unit of work, or a later one, if the world says how."""
    from labelferry_export import beginning
    from labelferry_workers import child
    from labelferry_workers.engine import Export, Result, Reused, Workplace
    from labelferry_workers.engine import Update as Step

    class Disturbed:
        """An export with a fault in it."""

        def __init__(self, export: Export) -> None:
            self._export = export

        @property
        def result(self) -> Result:
            return self._export.result

        @property
        def reused(self) -> Reused:
            return self._export.reused

        def run(self) -> Iterator[Step]:
            for number, update in enumerate(self._export.run()):
                yield update
                if number == world.settings.get("misbehaves_at", 2):
                    yield from _misbehave(world, update)

        def pack_partial(self) -> Result | None:
            return self._export.pack_partial()

    def opened_by(lease: Any, place: Workplace) -> Export:
        return Disturbed(child.open_export(lease, place))

    if world.settings.get("always_lanes"):
        vars(beginning)["LANES_WORTH"] = 0.0
        arguments = [*arguments, "--lanes", "2"]
    child.warm_up()
    return child.main(arguments, opened_by)


def _misbehave(world: World, update: Any) -> Iterator[Any]:
    fault, _, number = (world.told("child") or "").partition(" ")
    if fault:
        world.tell("misbehaves")
    match fault:
        case "hold-the-interpreter":
            # PyDLL keeps the interpreter's lock while C sleeps: no other thread of this process runs.
            ctypes.PyDLL(None).sleep(int(number))
        case "linger":
            yield from _linger(world, update)
        case "linger-and-die":
            yield from _linger(world, update)
            world.take_back("child")
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            while True:
                time.sleep(0.05)
        case "breed-and-ignore":
            _breed(world)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(0.05)
        case "breed-and-linger":
            _breed(world)
            yield from _linger(world, update)
        case "flood":
            for _ in range(int(number)):
                yield update
            world.tell("flooded", str(time.monotonic()))
        case "break":
            raise RuntimeError("as it was told to")
        case "no-space":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _linger(world: World, update: Any) -> Iterator[Any]:
    """Say the same over and over until the world says to go on."""
    while world.told("go") is None:
        time.sleep(0.01)
        yield update


def _breed(world: World) -> None:
    """Start processes of every kind that a program may leave behind, all of them deaf to SIGTERM; tell their pids."""
    deaf = "trap '' TERM INT HUP; echo $$; while true; do sleep 600; done"
    commands = [
        ["sh", "-c", deaf],
        ["setsid", "sh", "-c", deaf],
        # A daemon as it is in the books: its parent ends, it has a session of its own, and nothing of our environment.
        ["env", "-i", "sh", "-c", f'setsid sh -c "{deaf.replace("$", chr(92) + "$")}" &'],
    ]
    bred = []
    for command in commands:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=False) as process:
            assert process.stdout is not None
            bred.append(process.stdout.readline().strip())
            process.stdout = None
            if command[0] != "env":
                process.wait = lambda timeout=None: 0  # type: ignore[method-assign]  # left behind, as is the point
    world.tell("bred", " ".join(bred))


def _persists(saves: Iterable[Any]) -> Iterator[str]:
    """Name what a turn makes durable: new states, beginnings and ends of attempts, downloads, bundles that go."""
    from labelferry_broker.ledger.effects import AddAttempt, AddJob, EndAttempt, SaveTransfer, UpdateJob
    from labelferry_protocol.life import TERMINAL

    for save in saves:
        if isinstance(save, AddJob):
            yield "persist queued"
        elif isinstance(save, UpdateJob) and save.previous is not save.row.state:
            yield f"persist {save.row.state}"
        elif isinstance(save, UpdateJob) and save.row.state in TERMINAL and save.row.bundle_attempt is None:
            yield "persist eviction"
        elif isinstance(save, SaveTransfer):
            yield "persist transfer"
        elif isinstance(save, AddAttempt):
            yield "persist lease"
        elif isinstance(save, EndAttempt):
            yield "persist end of attempt"


def _fields(settings: type) -> frozenset[str]:
    return frozenset(getattr(settings, "__dataclass_fields__", ()))


ROLES: dict[str, Callable[[World, list[str]], int]] = {
    "broker": run_broker,
    "depot": run_depot,
    "worker": run_worker,
    "child": run_child,
}

if __name__ == "__main__":
    here = World(Path(os.environ[PLACE]))
    here.bend_clocks()
    here.live_in(os.environ.get(ERA, ""))
    sys.exit(ROLES[sys.argv[1]](here, sys.argv[2:]))
