"""A job child: its main thread does the work, one attempt at a time; its line (a thread) speaks with the supervisor.

`python -m labelferry_workers.child` is started by a keeper of the supervisor's pool, never by hand. What stops an attempt is the cancel
order on the channel, looked at between two updates of the export; SIGTERM alone stops none, so that a signal from outside to the
whole machine does not end what may finish. Before the handler is there, SIGTERM ends a child that is still importing.
"""

import argparse
import contextlib
import errno
import queue
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from labelferry_export.errors import ExportError, ProcessLost
from labelferry_export.keeping.settings import Reuse
from labelferry_protocol.errors import Code
from labelferry_protocol.work import Holding, Lease
from labelferry_transport.kinship import adopt_orphans, die_with_parent
from labelferry_transport.logs import Log, start_logging
from labelferry_workers.checkpoints import checkpoints_of
from labelferry_workers.engine import Export, OpenExport, Result, Workplace
from labelferry_workers.fitness import Fitness, give_back_memory
from labelferry_workers.line import Line, end_with_all
from labelferry_workers.moved import clean
from labelferry_workers.reports import Broke, Ending, Packed, Packing, Stopped, Warm
from labelferry_workers.staging import BUNDLE, CACHE, attempt_directory

IDLE_SECONDS = 0.05
"""Without a lease for so long, a child has the time to make itself small."""
OOM_SCORE = 500
"""Between 0 (as any process) and 1000 (first of all)."""

log = Log("child")


def open_export(lease: Lease, place: Workplace) -> Export:
    """Return the engine's export of a lease."""
    from labelferry_export.exporter import Exporter

    return Exporter(
        Path(lease.source.location),
        place.target,
        lease.options,
        staging=place.staging,
        roots=place.roots,
        clock=time.monotonic,
        lanes=place.lanes,
        reuse=place.reuse,
    )


def warm_up() -> None:
    """Import all that an export needs, so that a lease begins at once."""
    from PIL import Image

    from labelferry_export import exporter
    from labelferry_export.check import check
    from labelferry_export.keeping.mark import mark
    from labelferry_protocol.options import ExportOptions

    Image.init()
    mark()
    # Opens every built-in format, table and stage, and those of third parties.
    check(ExportOptions())
    log.debug("warm", engine=exporter.__name__)


def main(arguments: Sequence[str], opened_by: OpenExport = open_export) -> int:
    """Serve the supervisor that holds the other end of the channel, until it is gone."""
    said = _parse(arguments)
    bind_to_parent(said.parent)
    offer_to_the_oom_killer()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _look_up)
    start_logging(said.log_level)
    line = Line(socket.socket(fileno=said.channel))
    line.start()
    if opened_by is open_export:
        warm_up()
    fitness = Fitness()
    line.say(Warm())
    while True:
        lease = _next_lease(line)
        key = Holding(job_id=lease.job_id, attempt=lease.attempt)
        staging = attempt_directory(said.staging, key)
        place = Workplace(staging, staging / BUNDLE, said.root, said.lanes, _reuse(said, lease))
        line.begin(key)
        ending = _attempt(line, lease, place, opened_by)
        line.end(msgspec.structs.replace(ending, fit=ending.fit and fitness.fit()))


def _reuse(said: argparse.Namespace, lease: Lease) -> Reuse:
    base = said.staging.parent
    return Reuse(
        reached=lease.reached,
        checkpoints=checkpoints_of(base, lease.job_id),
        checkpoint_bytes=said.checkpoint_bytes,
        cache=base / CACHE,
        cache_bytes=said.cache_bytes,
    )


def bind_to_parent(parent: int) -> None:
    """End with the keeper, wherever the system can see to that; be given the orphans of the processes that a job starts, to know of them."""
    adopt_orphans()
    if not die_with_parent(parent):
        end_with_all()


def offer_to_the_oom_killer() -> None:
    """Have the kernel take this process, not its supervisor, when the machine runs out of memory."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")


def _next_lease(line: Line) -> Lease:
    try:
        return line.leases.get(timeout=IDLE_SECONDS)
    except queue.Empty:
        give_back_memory()
        return line.leases.get()


def _attempt(line: Line, lease: Lease, place: Workplace, opened_by: OpenExport) -> Ending:
    key = Holding(job_id=lease.job_id, attempt=lease.attempt)
    try:
        if line.cancel_of(key) is not None:
            return Stopped(key=key)
        export = opened_by(lease, place)
        if _run(line, key, export):
            reused = export.reused
            log.info("made", job=key.job_id, attempt=key.attempt, results_made=reused.made, results_found=reused.found)
            return _packed(key, export.result)
        return _pack_partial(line, key, export)
    except (ExportError, OSError) as error:
        if not place.staging.is_dir():
            sentence = "somebody has removed the staging directory of the worker while the export ran"
            return Broke(key=key, code=Code.INTERNAL, message=sentence, retryable=True, fit=False)
        if isinstance(error, OSError):
            return _unexpected(key, error)
        item = None if error.item is None else clean(error.item, 255)
        sentence = clean(error.message, 1024)
        if isinstance(error, ProcessLost):
            # As when this process itself is killed: the attempt is lost, not the job.
            return Broke(key=key, code=Code.WORKER_LOST, message=sentence, retryable=True)
        return Broke(key=key, code=error.code, message=sentence, stage=error.stage, item=item)
    except MemoryError:
        sentence = "the export ran out of memory: give the worker more, or fewer slots"
        return Broke(key=key, code=Code.INTERNAL, message=sentence, retryable=True, fit=False)
    except Exception as error:  # noqa: BLE001 - the child's outermost edge: whatever it was, the job must be told
        return _unexpected(key, error)


def _run(line: Line, key: Holding, export: Export) -> bool:
    """Run the export; return False when it was stopped."""
    updates = export.run()
    for update in updates:
        line.move(update)
        if line.cancel_of(key) is not None:
            close = getattr(updates, "close", None)
            if close is not None:
                close()
            return False
    return True


def _pack_partial(line: Line, key: Holding, export: Export) -> Ending:
    order = line.cancel_of(key)
    if order is None or not order.keep_partial:
        return Stopped(key=key)
    line.say(Packing(key=key))
    result = export.pack_partial()
    return Stopped(key=key) if result is None else _packed(key, result)


def _packed(key: Holding, result: Result) -> Packed:
    return Packed(
        key=key,
        size=result.size,
        sha256=result.sha256,
        counts=result.counts,
        warnings=result.warnings,
        partial=result.partial,
    )


def _unexpected(key: Holding, error: Exception) -> Broke:
    log.fault("export failed unexpectedly", job=key.job_id, attempt=key.attempt)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        sentence = "the disk of the worker is full: make room in its staging directory"
        return Broke(key=key, code=Code.DISK_FULL, message=sentence, fit=False)
    name = type(error).__name__
    sentence = clean(f"the export failed unexpectedly ({name}: {error}); the worker's log has more", 1024)
    return Broke(key=key, code=Code.INTERNAL, message=sentence, retryable=True, fit=False)


def _look_up(signum: int, frame: object) -> None:
    """Let the main thread come to the next bytecode; what is to be done stands on the channel."""


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="labelferry-child")
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--staging", type=Path, required=True)
    parser.add_argument("--root", type=Path, action="append", default=[])
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--checkpoint-bytes", type=int, default=0)
    parser.add_argument("--cache-bytes", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
