"""One job child as the pool has it: its keeper's process, its channel, its leash, and what it is at.

It is spawned (never forked with our threads and sockets in it) by a keeper of its own, which ends as the child ends once nothing that
the child started is left; letting go of the leash kills all of it. So the keeper's end, told by a descriptor where the system has one,
else found by asking after each SIGCHLD, is the end of the child and of everything below it.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

from labelferry_protocol.work import Holding
from labelferry_workers.channel import Channel, channel_pair
from labelferry_workers.reports import Report

KEEPER = (sys.executable, "-P", "-m", "labelferry_workers.keeper")


@dataclass(frozen=True)
class Death:
    """The end of a child that was at work; `how` is a clause: `was killed by signal 9`."""

    key: Holding
    how: str


@dataclass(eq=False)
class Child:
    """One child. `process` is its keeper; `sentinel` becomes readable at that one's end, where the system has such a thing."""

    process: "subprocess.Popen[bytes]"
    channel: Channel
    leash: int
    sentinel: int | None
    warm: bool = False
    key: Holding | None = None
    jobs: int = 0
    broken: bool = False
    """Whether nobody talks to it any more: it has ended its channel, or is being replaced."""
    condemned: bool = False
    """Whether it was killed at its work. What it still has to say comes too late: its end is what its attempt waits for."""
    last_word: Report | None = None
    """What it said of its attempt before it had to be ended: passed on when nothing of it is left."""

    @property
    def descriptors(self) -> list[int]:
        """What to poll for reading."""
        ears = [] if self.broken else [self.channel.fileno()]
        return ears if self.sentinel is None else [*ears, self.sentinel]

    def end(self) -> None:
        """Kill it with all that it started."""
        self.broken = True
        if self.leash >= 0:
            os.close(self.leash)
            self.leash = -1

    def close(self) -> None:
        """Give back what was held for it, when it has ended."""
        self.end()
        self.channel.close()
        if self.sentinel is not None:
            os.close(self.sentinel)


def start_child(command: list[str], options: list[str]) -> Child:
    """Start a child with its keeper; raise `OSError` when the system gives none."""
    held, leash = os.pipe()
    ours, theirs = channel_pair()
    try:
        process = subprocess.Popen(
            [*KEEPER, str(held), *command, "--channel", str(theirs.fileno()), *options],
            stdin=subprocess.DEVNULL,
            stdout=2,
            pass_fds=(theirs.fileno(), held),
            start_new_session=True,
        )
    except OSError:
        ours.close()
        os.close(leash)
        raise
    finally:
        theirs.close()
        os.close(held)
    return Child(process, ours, leash, _sentinel(process.pid))


def ending(code: int) -> str:
    """Return how a process ended, as a clause, from its return code."""
    if code >= 0:
        return f"ended unexpectedly with exit code {code}"
    hint = ": perhaps the machine ran out of memory" if -code == signal.SIGKILL else ""
    return f"was killed by signal {-code} ({_signal_name(-code)}){hint}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _sentinel(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
