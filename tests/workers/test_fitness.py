"""Whether a child may run another job: looked at in a process of its own, for it is about the whole process."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes

GROWTH = 20_000_000


def fitness_after(what: str) -> str:
    """Return what a process says of its fitness that has done something since it was warm."""
    program = (
        f"from labelferry_workers.fitness import Fitness; fitness = Fitness({GROWTH}); {what}; print(fitness.fit())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_a_process_that_did_nothing_of_note_is_fit() -> None:
    assert fitness_after("kept = bytes(1000)") == "True"


def test_a_process_that_holds_more_than_it_should_is_not() -> None:
    assert fitness_after(f"kept = b'x' * {3 * GROWTH}") == "False"


def test_what_was_freed_does_not_count_even_in_cycles() -> None:
    cycle = f"kept = [b'x' * {3 * GROWTH}]; kept.append(kept); del kept"
    assert fitness_after(f"import gc; gc.disable(); {cycle}") == "True"


def test_a_process_that_is_left_behind_makes_unfit() -> None:
    assert fitness_after("import subprocess; left = subprocess.Popen(['sleep', '5'])") == "False"
