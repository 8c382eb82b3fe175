"""The supervisor's children: started before they are needed, one for each slot and one to spare; watched, killed, replaced.

What one child is, how it is started and ended, is `kept_child`.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from labelferry_protocol.work import CancelOrder, Holding, Lease
from labelferry_transport.kinship import adopt_orphans, children, kill
from labelferry_transport.logs import Log
from labelferry_workers.channel import ChannelEnded
from labelferry_workers.kept_child import Child, Death, ending, start_child
from labelferry_workers.reports import ENDINGS, Report, Warm
from labelferry_workers.settings import PoolSettings, WorkerSettings

ORPHAN_SECONDS = 2.0
"""How long the end of processes whose keeper was killed is waited for: one that the kernel cannot end must not hold the others up."""

log = Log("pool")


@dataclass
class Pool:
    """All children of one worker. `fill` starts them, one at a time; nothing here blocks but the last `close`."""

    settings: PoolSettings
    slots: int
    options: list[str]
    """The options of a child that are the same for all."""
    children: list[Child] = field(default_factory=list)
    _next_start_at: float = 0.0
    _early_deaths: int = 0
    _orphans_since: float | None = None

    def __post_init__(self) -> None:
        adopt_orphans()

    def fill(self, now: float) -> None:
        """Start a child if one is missing and none is being warmed."""
        if len(self.children) > self.slots or now < self._next_start_at:
            return
        if all(child.warm for child in self.children):
            try:
                self._start()
            except OSError as error:
                self._put_off(now, error.strerror)

    @property
    def next_at(self) -> float | None:
        """When `fill` can do something that it could not before; None when nothing is missing."""
        missing = len(self.children) <= self.slots and all(child.warm for child in self.children)
        return self._next_start_at if missing else None

    def begin(self, lease: Lease) -> str | None:
        """Give a lease to a child, the warmest that is free; return why that cannot be, or None. One that has just died is passed over."""
        while True:
            free = [child for child in self.children if child.key is None and not child.broken]
            try:
                child = max(free, key=lambda each: (each.warm, each.jobs)) if free else self._start()
                child.channel.tell(lease)
            except ChannelEnded as error:
                child.end()
                if not free:
                    return f"could not be started: {error}"
            except OSError as error:
                return f"could not be started: {error}"
            else:
                child.key = Holding(job_id=lease.job_id, attempt=lease.attempt)
                return None

    def stop(self, order: CancelOrder) -> None:
        """Tell the child of an attempt to stop: first the order, then the signal, which hastens it."""
        child = self.at_work_on(Holding(job_id=order.job_id, attempt=order.attempt))
        if child is not None:
            try:
                child.channel.tell(order)
            except ChannelEnded:
                child.broken = True
            kill(child.process.pid, signal.SIGTERM)

    def kill(self, key: Holding) -> bool:
        """Kill the child of an attempt with all that it started; return whether there was one."""
        child = self.at_work_on(key)
        if child is not None:
            child.condemned = True
            child.end()
        return child is not None

    def at_work_on(self, key: Holding) -> Child | None:
        """Return the child that has an attempt."""
        return next((child for child in self.children if child.key == key), None)

    def hear(self, child: Child) -> Iterator[Report]:
        """Yield what a child has said. After the last word about its attempt it is free again, or dismissed."""
        try:
            child.channel.flush()
            for message in child.channel.messages(Report):
                report = self._note(child, message)  # type: ignore[arg-type]  # the channel yields what the lane has
                if report is not None:
                    yield report
        except ChannelEnded:
            # Its end follows; if it only closed the channel, nobody can talk to it any more.
            child.end()

    def reap(self, child: Child, now: float) -> Death | Report | None:
        """Bury a child that has ended; return its death if it was at work, or the last word that waited for this. None also while it still lives."""
        if child.process.poll() is None or self._bury_orphans(now):
            return None
        self.children.remove(child)
        child.close()
        how = ending(child.process.returncode)
        if child.key is None:
            if not child.warm:
                self._put_off(now, f"the export process {how}")
            return None
        return child.last_word if child.last_word is not None and not child.condemned else Death(child.key, how)

    def close(self) -> None:
        """Kill all children and wait for their end."""
        for child in self.children:
            child.end()
        for child in self.children:
            child.process.wait()
            child.close()
        self.children.clear()
        while orphans := self._orphans():
            for pid in orphans:
                kill(pid)
                os.waitpid(pid, 0)

    def _note(self, child: Child, report: Report) -> Report | None:
        """Take note of a report; return it unless it must wait."""
        if isinstance(report, Warm):
            child.warm = True
            self._early_deaths = 0
        elif isinstance(report, ENDINGS) and not child.condemned:
            child.jobs += 1
            if not report.fit:
                # What it left running must end before its attempt is said to have.
                child.last_word = report
                child.end()
                return None
            child.key = None
            if child.jobs >= self.settings.jobs_per_child:
                child.end()
        return report

    def _bury_orphans(self, now: float) -> bool:
        """Kill what lost its keeper, if somebody killed that; return whether any of it is left, and worth waiting for."""
        orphans = self._orphans()
        for pid in orphans:
            kill(pid)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._orphans_since = (self._orphans_since or now) if orphans else None
        return self._orphans_since is not None and now - self._orphans_since < ORPHAN_SECONDS

    def _orphans(self) -> set[int]:
        return children() - {child.process.pid for child in self.children}

    def _start(self) -> Child:
        child = start_child([*self.settings.command], self.options)
        self.children.append(child)
        log.debug("started a child", pid=child.process.pid)
        return child

    def _put_off(self, now: float, why: str | None) -> None:
        pause = min(
            self.settings.restart_seconds * 2 ** min(self._early_deaths, 16), self.settings.restart_ceiling_seconds
        )
        self._early_deaths += 1
        self._next_start_at = now + pause
        log.error("a child did not start", reason=why, again_in=pause)


def child_options(place: Path, settings: WorkerSettings, log_level: str) -> list[str]:
    """Return the options that all children of a worker are started with, which works in `place`; its slots share the processors."""
    lanes = max(1, (os.cpu_count() or 1) // settings.slots)
    options = ["--staging", str(place), "--log-level", log_level, "--lanes", str(lanes)]
    keeping = settings.keeping
    options += ["--checkpoint-bytes", str(keeping.checkpoint_bytes), "--cache-bytes", str(keeping.cache_bytes)]
    for root in settings.roots:
        options += ["--root", str(root)]
    return options
