"""A keeper ends as its child ends, when nothing that it started is left; and it ends it when its leash does."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support.process_tree import lives

pytestmark = pytest.mark.processes
BREED = "import os, subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid, flush=True); "


@contextmanager
def kept(program: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Run a program below a keeper; give the keeper and the end of its leash."""
    held, leash = os.pipe()
    command = [sys.executable, "-m", "labelferry_workers.keeper", str(held), sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=(held,)) as keeper:
        os.close(held)
        try:
            yield keeper, leash
        finally:
            os.close(leash)


def said(keeper: "subprocess.Popen[str]") -> int:
    assert keeper.stdout is not None
    return int(keeper.stdout.readline())


@pytest.mark.parametrize(
    ("ending", "code"),
    [("pass", 0), ("raise SystemExit(7)", 7), ("os.abort()", -signal.SIGABRT), ("os.kill(os.getpid(), 9)", -9)],
)
def test_it_ends_as_its_child_ends_and_leaves_nothing_below(ending: str, code: int) -> None:
    with kept(BREED + ending) as (keeper, _):
        bred = said(keeper)
        assert keeper.wait(10) == code
        assert not lives(bred)


def test_at_the_end_of_its_leash_it_kills_all_that_is_below() -> None:
    with kept(BREED + "import time; time.sleep(600)") as (keeper, leash):
        bred = said(keeper)
        os.close(os.dup(leash))
        assert keeper.poll() is None
    assert keeper.returncode == -signal.SIGKILL
    assert not lives(bred)


def test_it_passes_sigterm_on_and_lives() -> None:
    listen = "import signal, time; signal.signal(15, lambda *_: print(15, flush=True)); print(0, flush=True); "
    with kept(listen + "time.sleep(600)") as (keeper, _):
        assert said(keeper) == 0
        for _ in range(2):
            keeper.send_signal(signal.SIGTERM)
            assert said(keeper) == 15
        assert keeper.poll() is None


def test_a_command_that_is_not_there_is_said() -> None:
    held, leash = os.pipe()
    command = [sys.executable, "-m", "labelferry_workers.keeper", str(held), "/no/such/program"]
    ended = subprocess.run(command, capture_output=True, text=True, pass_fds=(held,), timeout=20, check=False)
    os.close(held)
    os.close(leash)
    assert ended.returncode == 127
    assert ended.stderr == "labelferry worker: cannot start /no/such/program: No such file or directory\n"
