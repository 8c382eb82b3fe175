"""What the depot asks the broker and is told by it: one question at a time, so that an answer needs no name to be matched."""

from collections import deque
from dataclasses import dataclass

from labelferry_broker.depot.answer import Answer, refused
from labelferry_broker.depot.downloads import Downloads
from labelferry_broker.depot.uploads import Uploads
from labelferry_broker.depot.vault import Vault, not_removed
from labelferry_protocol.depot import AskKeep, BundleAbandoned, Discard, Discarded, Keep
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.tokens import Claims
from labelferry_protocol.work import Holding
from labelferry_transport.logs import Log

BATCH = 256
ASK_AGAIN_SECONDS = 5.0
MAX_WAITING = 256
"""Workers' questions that may wait for the broker."""

log = Log("depot")


@dataclass
class _Question:
    """About these attempts; a worker that abandons one waits for the answer."""

    holding: tuple[Holding, ...]
    waiting: tuple[bytes, str] | None = None
    asked_at: float = float("-inf")
    first_asked_at: float | None = None


class BrokerLane:
    """The questions to the broker, the oldest being the one that is out."""

    def __init__(self, vault: Vault, uploads: Uploads, downloads: Downloads) -> None:
        self._vault = vault
        self._uploads = uploads
        self._downloads = downloads
        self._questions: deque[_Question] = deque()

    def sweep(self) -> None:
        """Put on the list to ask: all that lies here. Where the disk does not say, `littered` asks for another time."""
        try:
            holding = self._vault.holding()
        except OSError as error:
            log.error("bundles not looked through", reason=error.strerror)
            self._vault.littered = True
            return
        for start in range(0, len(holding), BATCH):
            self._questions.append(_Question(tuple(holding[start : start + BATCH])))

    def ask_for(self, claims: Claims, peer: bytes, ref: str) -> None:
        """Put on the list to ask: whether a whole bundle that its worker abandons is published."""
        holding = (Holding(job_id=claims.job_id, attempt=claims.attempt),)
        if all(question.waiting != (peer, ref) or question.holding != holding for question in self._questions):
            if sum(question.waiting is not None for question in self._questions) >= MAX_WAITING:
                sentence = "too many bundles are being abandoned at once: say it again soon"
                raise Refusal(Code.BUSY, sentence, retry_after=1.0)
            # Behind the one that is out, before the rest of a long sweep: a cancel waits for it.
            self._questions.insert(1, _Question(holding, (peer, ref)))

    def due(self, steady: float) -> AskKeep | None:
        """Return the question to send now."""
        if not self._questions or steady - self._questions[0].asked_at < ASK_AGAIN_SECONDS:
            return None
        question = self._questions[0]
        question.asked_at = steady
        if question.first_asked_at is None:
            question.first_asked_at = steady
        return AskKeep(holding=question.holding)

    def keep(self, message: Keep) -> list[Answer]:
        """Take the answer: what the broker does not keep is thrown away, but for what was offered since it was asked about."""
        if not self._questions or self._questions[0].first_asked_at is None:
            return []
        question = self._questions.popleft()
        asked_at = question.first_asked_at or 0.0
        kept = set(message.holding)
        gone = [
            each
            for each in question.holding
            if each not in kept and not self._uploads.touched_since(each.job_id, each.attempt, asked_at)
        ]
        answers = []
        done = True
        for each in gone:
            told, removed = self._throw_away(each.job_id, each.attempt)
            answers += told
            done = done and removed
            if removed:
                log.info("bundle of nobody removed", job=each.job_id, attempt=each.attempt)
        if question.waiting is not None:
            answers.append(_answer_to(question, gone=bool(gone), done=done))
        return answers

    def discard(self, message: Discard) -> tuple[list[Answer], Discarded | None]:
        """Take the broker's word that a bundle is nobody's; return what to tell its worker, and the broker: None when it could not be removed yet."""
        answers, removed = self._throw_away(message.job_id, message.attempt)
        if not removed:
            return answers, None
        log.info("bundle discarded", job=message.job_id, attempt=message.attempt)
        return answers, Discarded(job_id=message.job_id, attempt=message.attempt)

    def _throw_away(self, job_id: str, attempt: int) -> tuple[list[Answer], bool]:
        self._downloads.evict(job_id, attempt)
        return self._uploads.discard(job_id, attempt)


def _answer_to(question: _Question, *, gone: bool, done: bool) -> Answer:
    peer, ref = question.waiting or (b"", "")
    holding = question.holding[0]
    if not done:
        return refused(peer, ref, not_removed())
    if gone:
        return Answer(peer, ref, BundleAbandoned(job_id=holding.job_id, attempt=holding.attempt))
    sentence = "that bundle is stored and the broker holds on to it: only the broker can throw it away"
    return refused(peer, ref, Refusal(Code.FENCED, sentence))
