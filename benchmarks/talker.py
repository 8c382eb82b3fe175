"""A worker without children that says how far its job is as often as it likes: what the broker carries to subscribers, measured without our own pacing."""

import threading
import time
from collections.abc import Callable

from labelferry_protocol.endpoints import parse_endpoint
from labelferry_protocol.errors import Code
from labelferry_protocol.events import StageProgress
from labelferry_protocol.words import Stage
from labelferry_protocol.work import AttemptFailed, AttemptStarted, Lease, ProgressFrame, Register
from labelferry_transport.sockets import new_context
from labelferry_workers.link import Link

WORKER = "7" * 32
TURN_SECONDS = 0.001
LAST_SECONDS = 1.0


class Talker(threading.Thread):
    """One worker, for one job: `talk(send)` is called in its thread when the job is leased; then the job fails, for nothing was made."""

    def __init__(self, endpoint: str, talk: Callable[[Callable[[str], None]], None]) -> None:
        super().__init__(daemon=True)
        self._endpoint = endpoint
        self._talk = talk
        self.ready = threading.Event()
        self.go = threading.Event()

    def run(self) -> None:
        """Register, take the lease, talk, end."""
        with new_context() as context:
            link = Link(context, parse_endpoint(self._endpoint), None, WORKER, "talker")
            try:
                while link.welcomed(time.monotonic()) is None:
                    link.greet(time.monotonic())
                    time.sleep(TURN_SECONDS)
                while True not in link.connections(time.monotonic()):
                    time.sleep(TURN_SECONDS)
                link.say(Register(worker_id=WORKER, host="talker", slots=1), "register")
                lease = self._lease(link)
                link.say(AttemptStarted(worker_id=WORKER, job_id=lease.job_id, attempt=1), "started")
                self.ready.set()
                self.go.wait()
                self._talk(lambda word: link.publish(_frame(lease.job_id, word)))
                # The last word travels on the weighty lane: it would overtake what was said before, and end it.
                time.sleep(LAST_SECONDS)
                link.say(_over(lease.job_id), "over")
                time.sleep(LAST_SECONDS)
            finally:
                link.close()

    def _lease(self, link: Link) -> Lease:
        while True:
            for _, message in link.from_work():
                if isinstance(message, Lease):
                    return message
            time.sleep(TURN_SECONDS)


def _frame(job_id: str, word: str) -> ProgressFrame:
    return ProgressFrame(
        worker_id=WORKER,
        job_id=job_id,
        attempt=1,
        progress=1.0,
        stage=Stage.IMAGES,
        message=word,
        stage_progress=StageProgress(current=0, total=1),
    )


def _over(job_id: str) -> AttemptFailed:
    return AttemptFailed(worker_id=WORKER, job_id=job_id, attempt=1, code=Code.USAGE, message="there was nothing to do")
