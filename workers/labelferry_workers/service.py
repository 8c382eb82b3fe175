"""The worker process from outside: its options, what is refused before it starts, and how it ends."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from labelferry_export.keeping.settings import CHECKPOINT_BYTES
from labelferry_protocol.endpoints import Endpoint, parse_endpoint
from labelferry_protocol.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNREACHABLE, Code, Refusal, unusable
from labelferry_protocol.software import software
from labelferry_transport.amounts import size
from labelferry_transport.collector import search_seldom
from labelferry_transport.keys import load_key
from labelferry_transport.logs import LEVELS, Log, start_logging
from labelferry_transport.notice import Notice
from labelferry_transport.sockets import new_context
from labelferry_workers.settings import CrewSettings, KeepingSettings, PoolSettings, WorkerSettings
from labelferry_workers.supervisor import Supervisor

MAX_SLOTS = 256
LEAST_DESCRIPTORS = 32
"""What must be free for a worker to begin: its sockets with their monitors, and one child."""

log = Log("worker")


def main(arguments: Sequence[str], pool: PoolSettings | None = None) -> int:
    """Run a worker with these options; return its exit code. `pool` says how children are started (tests start their own)."""
    said = _parse(arguments)
    notice = Notice.take()
    start_logging(said.log_level)
    search_seldom()
    try:
        with _explained():
            settings = settings_of(said, pool or PoolSettings())
        with new_context(LEAST_DESCRIPTORS) as context:
            Supervisor(
                settings, context, _say_ready, software=software(), log_level=said.log_level, notice=notice
            ).run()
    except Refusal as refusal:
        print(f"labelferry worker: {refusal.message}", file=sys.stderr)  # noqa: T201 - for the person who started it
        return EXIT_UNREACHABLE if refusal.code is Code.PROTOCOL else refusal.exit_code
    except Exception:  # noqa: BLE001 - the process's outermost edge
        log.fault("the worker failed")
        return EXIT_FAILED
    return EXIT_DONE


def settings_of(said: argparse.Namespace, pool: PoolSettings) -> WorkerSettings:
    """Return the settings that the options make; raise `Refusal` with what is wrong with them."""
    broker = parse_endpoint(said.broker)
    key = None if said.key is None else load_key(said.key)
    if key is None and not broker.local:
        raise Refusal(
            Code.USAGE,
            f"{broker} is not on this machine, so a key is needed: make one with `labelferry keys`, then --key",
        )
    staging = said.staging or Path(platformdirs.user_cache_dir("labelferry")) / "staging"
    return WorkerSettings(
        broker=broker,
        staging=staging.absolute(),
        roots=_roots(said.root, broker, has_keys=key is not None),
        slots=said.slots,
        keys=None if key is None else key.as_client(),
        key_name="" if key is None else key.name,
        until_eof=said.until_eof,
        connect_timeout=said.connect_timeout,
        crew=CrewSettings(drain_seconds=said.drain_seconds, stall_kill=said.stall_kill),
        pool=pool,
        keeping=KeepingSettings(said.checkpoint_bytes, said.cache_bytes),
    )


def _roots(named: list[Path], broker: Endpoint, *, has_keys: bool) -> tuple[Path, ...]:
    if not named:
        if has_keys or not broker.local:
            raise Refusal(
                Code.USAGE, "say below which folders this worker may read projects: --root FOLDER, as often as needed"
            )
        return (Path("/"),)
    for root in named:
        if not root.is_dir():
            raise Refusal(Code.USAGE, f"--root {root}: there is no such folder")
    return tuple(root.resolve() for root in named)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="labelferry worker", description="Run exports for a broker.")
    parser.add_argument("--broker", required=True, metavar="ENDPOINT", help="tcp://HOST:PORT or ipc://DIRECTORY")
    parser.add_argument("--slots", type=_slots, default=1, help="jobs at a time (default: 1)")
    parser.add_argument("--staging", type=Path, metavar="DIR", help="where exports are made before they are published")
    parser.add_argument(
        "--root",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="projects are read below it only; repeatable",
    )
    parser.add_argument("--key", type=Path, metavar="FILE", help="this worker's key file")
    parser.add_argument("--until-eof", action="store_true", help="leave at once when standard input ends")
    parser.add_argument(
        "--drain-seconds", type=_seconds, default=30.0, help="on SIGTERM, what runs may finish within (default: 30)"
    )
    parser.add_argument(
        "--stall-kill",
        type=_some_seconds,
        metavar="SECONDS",
        help="kill an export that makes no progress for so long, and try it again (default: never)",
    )
    parser.add_argument("--connect-timeout", type=_seconds, help="leave with code 5 when no broker answers within")
    parser.add_argument(
        "--checkpoint-bytes",
        type=size,
        default=CHECKPOINT_BYTES,
        metavar="SIZE",
        help="how much finished work of a job is kept for another attempt (default: 20GB; 0: none)",
    )
    parser.add_argument(
        "--cache-bytes",
        type=size,
        default=os.environ.get("LABELFERRY_CACHE_BYTES") or "0",
        metavar="SIZE",
        help="how much finished work is kept for later exports, in STAGING/cache (default: LABELFERRY_CACHE_BYTES, or 0: none)",
    )
    parser.add_argument("--log-level", choices=LEVELS, default="info")
    return parser.parse_args(arguments)


def _slots(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_SLOTS:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MAX_SLOTS}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("a number of seconds, 0 or more")
    return seconds


def _some_seconds(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        # Nobody makes progress all the time: each export would be killed at once.
        raise argparse.ArgumentTypeError("a number of seconds above 0; leave it out to kill nothing")
    return seconds


def _say_ready(worker_id: str) -> None:
    with _explained():
        print(f"ready {worker_id}", flush=True)  # noqa: T201 - the line that whoever started it waits for


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refusal(Code.OUTPUT, unusable(error)) from None
