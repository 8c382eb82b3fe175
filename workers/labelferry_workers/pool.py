"""The supervisor's children: started before they are needed, one for each slot and one to spare; watched, killed, replaced.

A child is spawned (never forked with our threads and sockets in it), leads a session and process group of its own, and is
killed with all of it. Its end is told by a descriptor where the system has one, else found by asking after each SIGCHLD.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from labelferry_protocol.work import CancelOrder, Holding, Lease
from labelferry_transport.logs import Log
from labelferry_workers.channel import Channel, ChannelEnded, channel_pair
from labelferry_workers.reports import ENDINGS, Broke, Report, Warm
from labelferry_workers.settings import PoolSettings

log = Log("pool")


@dataclass(frozen=True)
class Death:
    """The end of a child that was at work; `how` is a clause: `was killed by signal 9`."""

    key: Holding
    how: str


@dataclass(eq=False)
class Child:
    """One child. `sentinel` becomes readable at its end, where the system has such a thing."""

    process: "subprocess.Popen[bytes]"
    channel: Channel
    sentinel: int | None
    warm: bool = False
    key: Holding | None = None
    jobs: int = 0
    broken: bool = False
    """Whether nobody talks to it any more: it has ended its channel, or is being replaced."""
    condemned: bool = False
    """Whether it was killed at its work. What it still has to say comes too late: its end is what its attempt waits for."""

    @property
    def descriptors(self) -> list[int]:
        """What to poll for reading."""
        ears = [] if self.broken else [self.channel.fileno()]
        return ears if self.sentinel is None else [*ears, self.sentinel]


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
        """Give a lease to a child, the warmest that is free; return why that cannot be, or None."""
        free = [child for child in self.children if child.key is None and not child.broken]
        try:
            child = max(free, key=lambda each: (each.warm, each.jobs)) if free else self._start()
            child.channel.tell(lease)
        except (OSError, ChannelEnded) as error:
            return f"could not be started: {error}"
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
            _signal(child.process.pid, signal.SIGTERM, whole_group=False)

    def kill(self, key: Holding) -> bool:
        """Kill the child of an attempt with all that it started; return whether there was one."""
        child = self.at_work_on(key)
        if child is not None:
            child.condemned = True
            _signal(child.process.pid, signal.SIGKILL)
        return child is not None

    def at_work_on(self, key: Holding) -> Child | None:
        """Return the child that has an attempt."""
        return next((child for child in self.children if child.key == key), None)

    def hear(self, child: Child) -> Iterator[Report]:
        """Yield what a child has said. After the last word about its attempt it is free again, or dismissed."""
        try:
            child.channel.flush()
            for message in child.channel.messages(Report):
                yield self._note(child, message)  # type: ignore[arg-type]  # the channel yields what the lane has
        except ChannelEnded:
            # Its end follows; if it only closed the channel, nobody can talk to it any more.
            child.broken = True
            _signal(child.process.pid, signal.SIGKILL)

    def reap(self, child: Child, now: float) -> Death | None:
        """Bury a child that has ended; return its death if it was at work. None also while it still lives."""
        if child.sentinel is not None:
            # While it is not reaped its group's number cannot be somebody else's.
            _signal(child.process.pid, signal.SIGKILL)
            child.process.wait()
        elif child.process.poll() is None:
            return None
        self.children.remove(child)
        child.channel.close()
        if child.sentinel is not None:
            os.close(child.sentinel)
        how = ending(child.process.returncode)
        if child.key is None and not child.warm:
            self._put_off(now, f"the export process {how}")
        return Death(child.key, how) if child.key is not None else None

    def close(self) -> None:
        """Kill all children and wait for their end."""
        for child in self.children:
            _signal(child.process.pid, signal.SIGKILL)
        for child in list(self.children):
            child.process.wait()
            child.channel.close()
            if child.sentinel is not None:
                os.close(child.sentinel)
        self.children.clear()

    def _note(self, child: Child, report: Report) -> Report:
        if isinstance(report, Warm):
            child.warm = True
            self._early_deaths = 0
        elif isinstance(report, ENDINGS) and not child.condemned:
            child.key = None
            child.jobs += 1
            fit = not isinstance(report, Broke) and report.fit
            if not fit or child.jobs >= self.settings.jobs_per_child:
                # After a failure nobody knows what state it is in; a process that it left behind must end too.
                child.broken = True
                _signal(child.process.pid, signal.SIGKILL)
        return report

    def _start(self) -> Child:
        ours, theirs = channel_pair()
        try:
            options = ["--channel", str(theirs.fileno()), "--parent", str(os.getpid()), *self.options]
            process = subprocess.Popen(
                [*self.settings.command, *options],
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        child = Child(process, ours, _sentinel(process.pid))
        self.children.append(child)
        log.debug("started a child", pid=process.pid)
        return child

    def _put_off(self, now: float, why: str | None) -> None:
        pause = min(
            self.settings.restart_seconds * 2 ** min(self._early_deaths, 16), self.settings.restart_ceiling_seconds
        )
        self._early_deaths += 1
        self._next_start_at = now + pause
        log.error("a child did not start", reason=why, again_in=pause)


def ending(code: int) -> str:
    """Return how a process ended, as a clause, from its return code."""
    if code >= 0:
        return f"ended unexpectedly with exit code {code}"
    hint = ": perhaps the machine ran out of memory" if -code == signal.SIGKILL else ""
    return f"was killed by signal {-code} ({_signal_name(-code)}){hint}"


def child_options(staging: Path, roots: tuple[Path, ...], log_level: str, slots: int) -> list[str]:
    """Return the options that all children of a worker are started with; its `slots` share the processors."""
    lanes = max(1, (os.cpu_count() or 1) // slots)
    options = ["--staging", str(staging), "--log-level", log_level, "--lanes", str(lanes)]
    for root in roots:
        options += ["--root", str(root)]
    return options


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _signal(pid: int, number: int, *, whole_group: bool = True) -> None:
    try:
        if whole_group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        # It has ended; the sentinel tells.
        pass


def _sentinel(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
