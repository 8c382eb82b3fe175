"""Thousands of histories of the pure ledger, each from a seed, and the proof that the watch over them is awake."""

import pytest
from tests.sim.history import History


@pytest.mark.parametrize("first", range(0, 2000, 100))
def test_the_promises_hold_in_every_history(first: int) -> None:
    for seed in range(first, first + 100):
        History(seed).play()
