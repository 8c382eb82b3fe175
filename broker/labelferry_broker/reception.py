"""Takes what peers say on requests, work and progress to the ledger: who speaks, may they, is it a message, and then the ledger's effects.

Nothing a peer sends gets further than its own refusal.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from labelferry_broker.intake import Parts
from labelferry_broker.ledger.effects import Effect, Reply, Tell
from labelferry_broker.ledger.machine import Ledger
from labelferry_broker.ledger.settings import Asker, Moment
from labelferry_broker.neighbours import Neighbours
from labelferry_protocol import codec, tokens
from labelferry_protocol.errors import Code, Malformed, Refusal
from labelferry_protocol.requests import (
    ClientSays,
    DeleteTemplate,
    GetHistory,
    GetOverview,
    GetTemplate,
    GetTransfers,
    Hello,
    ListTemplates,
    Refused,
    SaveTemplate,
    Submit,
)
from labelferry_protocol.tokens import Claims
from labelferry_protocol.topics import identity_of
from labelferry_protocol.words import Role
from labelferry_protocol.work import AttemptCancelled, AttemptFinished, ProgressLane, Register, WorkerSays
from labelferry_transport.logs import Log
from labelferry_transport.speaker import Speaker, speaker_of

log = Log("reception")

TOLD_AT_ONCE = (
    Submit,
    GetHistory,
    GetOverview,
    GetTransfers,
    SaveTemplate,
    GetTemplate,
    DeleteTemplate,
    ListTemplates,
)
"""What a person asks, once, and can ask again later: refused while there is no ledger."""

Greet = Callable[[bytes, str, Speaker, Hello], None]


class LedgerFault(Exception):
    """The ledger failed on a message: a bug. `answer` is for its sender, who must not try for ever."""

    def __init__(self, answer: Reply | Tell) -> None:
        super().__init__("the ledger failed on a message")
        self.answer = answer


class Reception:
    """The way in to the ledger. `greet` answers a `hello`, which is no business of the ledger's; nor is which process a worker is."""

    def __init__(self, secret: bytes, greet: Greet, neighbours: Neighbours, *, open_door: bool) -> None:
        self._secret = secret
        self._greet = greet
        self._neighbours = neighbours
        self._open_door = open_door

    def from_client(self, ledger: Ledger, parts: Parts, now: Moment) -> list[Effect]:
        """Take `[peer, header, body]` of the requests lane."""
        return self._take(parts, Reply, ClientSays, partial(self._client, ledger, now))

    def turn_away(self, parts: Parts, why: Refusal) -> list[Reply]:
        """Take `[peer, header, body]` of the requests lane while there is no ledger: a person is told `why`.

        What is asked again until it is answered (a cancel, a snapshot, a download) goes without an answer: its asker outlives that.
        """
        effects = self._take(parts, Reply, ClientSays, partial(self._turned_away, why))
        return [effect for effect in effects if isinstance(effect, Reply)]

    def from_worker(self, ledger: Ledger, parts: Parts, now: Moment) -> list[Effect]:
        """Take `[peer, header, body]` of the work lane."""
        return self._take(parts, Tell, WorkerSays, partial(self._worker, ledger, now))

    def from_progress(self, ledger: Ledger, parts: Parts, now: Moment) -> list[Effect]:
        """Take `[topic, body]` of the progress lane; what is wrong with it is nobody's to be told."""
        try:
            speaker = speaker_of(parts[-1], open_door=self._open_door)
            if len(parts) != 2 or not speaker.may_work:
                return []
            frame = codec.unpack(parts[1].bytes, ProgressLane)
        except (Malformed, Refusal) as error:
            log.debug("progress dropped", reason=error)
            return []
        if identity_of(parts[0].bytes) != frame.job_id:
            return []
        return ledger.progress_said(speaker.user, frame, now)

    def _take(
        self, parts: Parts, back: type[Reply] | type[Tell], lane: Any, do: Callable[..., list[Effect]]
    ) -> list[Effect]:
        peer, ref = parts[0].bytes, ""
        try:
            speaker = speaker_of(parts[-1], open_door=self._open_door)
            if len(parts) != 3:
                raise Malformed(f"a message has a header and a body, not {len(parts) - 1} frames")
            header = codec.parse_header(parts[1].bytes)
            ref = header.ref
            message = codec.read(header, parts[2].bytes, lane)
            return do(peer, ref, speaker, message)
        except Malformed as error:
            return [back(peer, ref, _refused(Refusal(Code.MALFORMED, str(error))))]
        except Refusal as refusal:
            return [back(peer, ref, _refused(refusal))]
        except Exception as fault:
            sentence = "the broker failed on this message: report it, with the broker's log"
            raise LedgerFault(back(peer, ref, _refused(Refusal(Code.INTERNAL, sentence)))) from fault

    def _client(
        self, ledger: Ledger, now: Moment, peer: bytes, ref: str, speaker: Speaker, message: ClientSays
    ) -> list[Effect]:
        if isinstance(message, Hello):
            self._greet(peer, ref, speaker, message)
            return []
        if not speaker.may_ask:
            raise Refusal(Code.ACCESS, f"a {speaker.role} may not ask for jobs: connect with a user's key")
        asker = Asker(speaker.user, speaker.role is Role.ADMIN)
        return ledger.client_said(peer, ref, asker, message, now)

    def _turned_away(self, why: Refusal, peer: bytes, ref: str, speaker: Speaker, message: ClientSays) -> list[Effect]:
        if isinstance(message, Hello):
            self._greet(peer, ref, speaker, message)
        elif isinstance(message, TOLD_AT_ONCE):
            raise why
        return []

    def _worker(
        self, ledger: Ledger, now: Moment, peer: bytes, ref: str, speaker: Speaker, message: WorkerSays
    ) -> list[Effect]:
        if not speaker.may_work:
            raise Refusal(Code.ACCESS, f"a {speaker.role} may not run jobs: connect with a worker's key")
        if isinstance(message, Register):
            self._neighbours.registered(peer, message.process)
            log.info("a worker registers", worker=message.worker_id, host=message.host, peer=peer.hex())
        receipt = self._receipt(speaker, message, now)
        return ledger.worker_said(peer, ref, speaker.user, message, now, receipt)

    def _receipt(self, speaker: Speaker, message: WorkerSays, now: Moment) -> Claims | None:
        """Return what the depot's receipt says, if there is one, it is genuine, and it was given to this speaker."""
        if not isinstance(message, AttemptFinished | AttemptCancelled) or message.receipt is None:
            return None
        try:
            claims = tokens.verify(message.receipt, "receipt", self._secret, now.wall)
        except (Malformed, Refusal) as error:
            log.warning("receipt refused", job=message.job_id, attempt=message.attempt, user=speaker.user, reason=error)
            return None
        return claims if claims.user == speaker.user else None


def _refused(refusal: Refusal) -> Refused:
    log.info("refused", code=refusal.code, reason=refusal.message)
    return Refused(code=refusal.code, message=refusal.message[:1024], retry_after=refusal.retry_after)
