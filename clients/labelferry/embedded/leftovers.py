"""Jobs of an embedded service that nobody waits for any more: found, and cancelled. When that is so, the host says."""

from collections.abc import Container

from labelferry.flow import WAIT, Flow, ask
from labelferry.requests import history_message
from labelferry.session import Session
from labelferry.wires import Wires
from labelferry_protocol.life import TERMINAL
from labelferry_protocol.requests import Cancel, CancelSettled, GetOverview, History, Overview

REASON = "nobody waits for it any more"
ANSWER_SECONDS = 2.0
CONFIRM_SECONDS = 3.0
"""For the confirmations: an export process that must be killed takes less than one."""
PAGE = 50


class Leftovers:
    """Cancels what has not ended, each job once."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._cancelled: set[str] = set()

    def cancel(self, *, confirmed: bool) -> bool:
        """Cancel all jobs, and return whether none is left; wait until that is durable, or, `confirmed`, `CONFIRM_SECONDS` for their ends.

        Raise `LabelferryError` when the broker does not answer.
        """
        wires = Wires(self._endpoint, None, ANSWER_SECONDS, ANSWER_SECONDS, environment={})
        try:
            left = wires.run(_cancel_all(wires.session, self._cancelled, confirmed=confirmed))
        finally:
            wires.close()
        self._cancelled.update(left)
        return not left


def _cancel_all(session: Session, but: Container[str], *, confirmed: bool) -> Flow[list[str]]:
    """Cancel every job that has not ended, `but` for some; return all that have not ended then. Nothing is kept of them, whatever was wished."""
    unended = yield from _unended(session)
    wishes = [
        session.ask(Cancel(job_id=job_id, keep_partial=False, reason=REASON), CancelSettled, CONFIRM_SECONDS)
        for job_id in unended
        if job_id not in but
    ]
    while any(wish.open and (confirmed or wish.accepted is None) for wish in wishes):
        session.check()
        yield WAIT
    ended = {wish.answer.job_id for wish in wishes if wish.answer is not None}
    return [job_id for job_id in unended if job_id not in ended]


def _unended(session: Session) -> Flow[list[str]]:
    """Return the jobs that have not ended, the newest first: those that wait are cancelled before a slot is free for them."""
    overview = yield from ask(session, GetOverview(), Overview)
    count = sum(jobs for state, jobs in overview.jobs.items() if state not in TERMINAL)
    found: list[str] = []
    before = None
    while len(found) < count:
        page = yield from ask(session, history_message(PAGE, before, everybody=False), History)
        found += [row.job_id for row in page.jobs if row.state not in TERMINAL]
        if not page.more:
            break
        before = page.jobs[-1].job_id
    return found
