"""The life of a job, as one literal table.

A job is in one state at a time and moves only along the rows below. A pair without a row is a protocol error
(`IllegalMove`), never a silent no-op. The terminal states have no row, so nothing follows them: a cancelled job can never
become completed or failed, nor the other way round.

`LEASE` gives the job to a worker and makes it a new attempt. `REQUEUE` is a lease that ended without an answer, or an
attempt that failed and may be tried again. `CONFIRM` is the worker's word that it has stopped and cleaned up; `LOSE` is the
end of the lease of a worker that was told to stop and never answered.
"""

from enum import StrEnum

from labelferry_protocol.words import State


class Move(StrEnum):
    """What can happen to a job."""

    LEASE = "lease"
    REQUEUE = "requeue"
    FINISH = "finish"
    FAIL = "fail"
    CANCEL = "cancel"
    CONFIRM = "confirm"
    LOSE = "lose"


LIFE: dict[tuple[State, Move], State] = {
    (State.QUEUED, Move.LEASE): State.RUNNING,
    (State.QUEUED, Move.CANCEL): State.CANCELLED,
    (State.QUEUED, Move.FAIL): State.FAILED,
    (State.RUNNING, Move.REQUEUE): State.QUEUED,
    (State.RUNNING, Move.FINISH): State.COMPLETED,
    (State.RUNNING, Move.FAIL): State.FAILED,
    (State.RUNNING, Move.CANCEL): State.CANCELLING,
    (State.CANCELLING, Move.CONFIRM): State.CANCELLED,
    (State.CANCELLING, Move.LOSE): State.CANCELLED,
}

TERMINAL: frozenset[State] = frozenset(State) - {state for state, _ in LIFE}


class IllegalMove(Exception):
    """A job was asked to move along a way that its life does not have."""

    def __init__(self, state: State, move: Move) -> None:
        super().__init__(f"a {state} job cannot {move}")
        self.state = state
        self.move = move


def after(state: State, move: Move) -> State:
    """Return the state that `move` leads to from `state`; raise `IllegalMove` where the table has no row."""
    try:
        return LIFE[state, move]
    except KeyError:
        raise IllegalMove(state, move) from None
