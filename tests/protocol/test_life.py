"""The life of a job: the table, and what follows from it."""

import pytest

from labelferry_protocol.life import LIFE, TERMINAL, IllegalMove, Move, after
from labelferry_protocol.words import State


def test_nothing_follows_a_terminal_state() -> None:
    assert {State.COMPLETED, State.FAILED, State.CANCELLED} == TERMINAL
    for state in TERMINAL:
        for move in Move:
            with pytest.raises(IllegalMove, match=f"a {state} job cannot {move}"):
                after(state, move)


def test_every_state_can_be_reached_from_queued_and_can_reach_an_end() -> None:
    reached, frontier = {State.QUEUED}, [State.QUEUED]
    while frontier:
        here = frontier.pop()
        for (state, _), target in LIFE.items():
            if state is here and target not in reached:
                reached.add(target)
                frontier.append(target)
    assert reached == set(State)
    for state in set(State) - TERMINAL:
        assert any(start is state for start, _ in LIFE)


def test_a_job_that_is_being_cancelled_can_only_become_cancelled() -> None:
    assert {target for (state, _), target in LIFE.items() if state is State.CANCELLING} == {State.CANCELLED}
