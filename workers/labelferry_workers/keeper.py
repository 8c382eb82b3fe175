"""The keeper: a small process between the supervisor and one job child, so that nothing that the child started outlives it.

`python -m labelferry_workers.keeper LEASH COMMAND...` is started by the pool, never by hand. It starts the command, passes SIGTERM on
to it, and ends as it ended. When the leash (the reading end of a pipe) ends, because the supervisor wants the child dead or is dead
itself, and when the child has ended by itself, everything below is killed: orphans become children of the keeper, also those with a
session of their own, so none is left when it has no child any more.
"""

import os
import resource
import select
import signal
import sys
from collections.abc import Sequence

from labelferry_transport.kinship import adopt_orphans, children, kill, kill_group
from labelferry_transport.lifeline import Lifeline

NOT_STARTED = 127
"""The exit code when the command cannot be started, as a shell's."""


class Keeper:
    """One child and all below it."""

    def __init__(self, leash: int, lifeline: Lifeline, command: Sequence[str]) -> None:
        self._leash = leash
        self._lifeline = lifeline
        self._status: int | None = None
        own = [*command, "--parent", str(os.getpid())]
        # A session of its own: its group is killed as a whole, and no terminal's Ctrl-C reaches it.
        self._child = os.posix_spawn(own[0], own, os.environ, setsid=True)

    def run(self) -> int:
        """Keep the child until its end, or that of the leash; return its wait status when nothing is left below."""
        poll = select.poll()
        for descriptor in (self._leash, *self._lifeline.descriptors):
            poll.register(descriptor, select.POLLIN)
        while self._status is None:
            ready = {descriptor for descriptor, _ in poll.poll()}
            for _ in range(self._lifeline.requests()):
                kill(self._child, signal.SIGTERM)
            while self._bury(os.WNOHANG):
                pass
            if self._leash in ready:
                break
        return self._end_all()

    def _end_all(self) -> int:
        """Kill whoever is a child now, and again those who become children by that, until there is none."""
        if self._status is None:
            kill_group(self._child)
        while True:
            for pid in children():
                kill(pid)
            if not self._bury(0):
                return self._status or 0

    def _bury(self, options: int) -> bool:
        """Take in the end of one child; return whether there was one."""
        try:
            pid, status = os.waitpid(-1, options)
        except ChildProcessError:
            return False
        if pid == self._child:
            # Its group may have others in it; the number is nobody else's as long as one of them lives.
            kill_group(self._child)
            self._status = status
        return pid != 0


def main(arguments: Sequence[str]) -> None:
    """Keep a child; end as it ends."""
    leash, command = int(arguments[0]), arguments[1:]
    os.set_inheritable(leash, False)
    adopt_orphans()
    lifeline = Lifeline(until_eof=False)
    try:
        status = Keeper(leash, lifeline, command).run()
    except OSError as error:
        print(f"labelferry worker: cannot start {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - its log
        os._exit(NOT_STARTED)
    end_as(status)


def end_as(status: int) -> None:
    """End this process with the wait status of another: the same code, or the same signal, without a second core file."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
