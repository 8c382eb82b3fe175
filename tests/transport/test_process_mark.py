"""A process is told from every other by its mark, also when its pid is used again, or its machine is another."""

import os
import signal
import subprocess
import sys

from labelferry_transport.process_mark import has_ended, in_sight, own_mark

SAY = "from labelferry_transport.process_mark import own_mark; print(own_mark(), flush=True); input()"


def test_a_process_is_in_sight_until_it_has_ended_and_a_zombie_has_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        mark = other.stdout.readline().strip()
        assert in_sight(mark)
        assert not has_ended(mark)
        other.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert has_ended(mark), "nobody has buried it yet"
        other.wait()
        assert has_ended(mark)
        assert not in_sight(mark)


def test_a_pid_that_is_used_again_is_another_process() -> None:
    place, _, start = own_mark().rpartition(":")
    assert has_ended(f"{place}:{int(start) + 1}")


def test_what_is_on_another_machine_or_no_mark_at_all_is_never_in_sight() -> None:
    _, _, rest = own_mark().partition(":")
    for mark in (f"{'0' * 36}:{rest}", "", ":", "a:b:c:d", "x" * 255, f"::{os.getpid()}:"):
        assert not in_sight(mark), mark
