"""One ledger after another: the one that serves, and, when it failed or ran ahead of the store, a new one made from the store.

A new ledger is a new epoch, as after a restart: workers are asked to register, subscribers resync. What comes too often, or
lasts too long, ends the broker with a sentence.
"""

import secrets
from collections import deque

from labelferry_broker.ledger.machine import Ledger
from labelferry_broker.ledger.settings import LedgerSettings, Moment
from labelferry_broker.store.store import Store
from labelferry_protocol.errors import Code, Refusal
from labelferry_transport.logs import Log

FAILURES = 5
WINDOW_SECONDS = 60.0
"""More failed ledgers than that in this time are a fault that does not go by itself."""
STORE_PATIENCE_SECONDS = 30.0
"""How long a store that cannot be written (a full disk, say) is tried again."""
TOLD_SECONDS = 3.0
"""After so long whoever asks is told; a shorter while is outlived by asking again."""
AGAIN_SECONDS = 5.0
"""When whoever was turned away meanwhile may ask again."""

log = Log("tenure")


class Tenure:
    """The ledger of one store. `whole` is false between a failure and the next ledger; nothing may be asked of it then."""

    def __init__(self, store: Store, settings: LedgerSettings, now: Moment) -> None:
        self._store = store
        self._settings = settings
        self._failed_at: deque[float] = deque()
        self.whole = True
        self.fault: Refusal | None = None
        """What is said to whoever asks when no ledger can be made for long."""
        self.ledger = self._make(store.epoch, now)

    def fail(self, now: Moment) -> None:
        """Give the ledger up; raise `Refusal(STORE)` when that was once too often."""
        self.whole = False
        while self._failed_at and now.steady - self._failed_at[0] > WINDOW_SECONDS:
            self._failed_at.popleft()
        self._failed_at.append(now.steady)
        if len(self._failed_at) > FAILURES:
            raise Refusal(Code.STORE, "the broker's ledger fails again and again, so the broker stops: see its log")

    def restore(self, now: Moment) -> bool:
        """Make the next ledger; return false when the store cannot be written yet, and raise `Refusal(STORE)` when it never can."""
        try:
            self.ledger = self._make(self._store.begin_epoch(), now)
        except Refusal as refusal:
            away = now.steady - self._failed_at[-1]
            if away > STORE_PATIENCE_SECONDS:
                raise
            log.error("ledger not taken up", reason=refusal.message)
            if away >= TOLD_SECONDS:
                sentence = f"the broker takes nothing in for now, for {refusal.message}: try again later"
                self.fault = Refusal(refusal.code, sentence, retry_after=AGAIN_SECONDS)
            return False
        self.whole, self.fault = True, None
        log.warning("ledger taken up afresh", epoch=self._store.epoch)
        return True

    def _make(self, epoch: int, now: Moment) -> Ledger:
        return Ledger(self._settings, epoch, self._store, self._store.load(), now, _new_id)


def _new_id() -> str:
    return secrets.token_hex(16)
