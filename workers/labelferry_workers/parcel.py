"""One bundle on its way to the depot: its open file, what was asked of it, and when it is offered again. No socket is here."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from labelferry_protocol import limits
from labelferry_protocol.errors import Code
from labelferry_protocol.work import Holding
from labelferry_workers.errands import SHOWN_BYTES

QUIET_SECONDS = 2.0
"""Without a word from the depot for so long, a bundle is offered again."""
GIVE_UP_SECONDS = 300.0
"""Without a word for so long, or with nothing asked for but what was asked before, it is given up: another worker may reach the depot."""
FLIGHT_BYTES = 8 * limits.MAX_CHUNK_BYTES
"""As much as a depot has in flight (`Window.width`): what is asked for further back than that is asked for by one that begins again."""
SHOW_SECONDS = 0.05
MAX_COMPLAINTS = 3
"""How often the depot may say that it could not store a bundle."""
FULL_SECONDS = 120.0
"""For so long a depot whose disk is full is asked again, every time after twice as long."""
LONGEST_FULL_PAUSE = 15.0


class FileChanged(Exception):
    """The bundle is not the file any more that it was."""


@dataclass
class Parcel:
    """A bundle of `size` bytes under the depot's correlation id `ref`. Times are of a steady clock, in seconds."""

    key: Holding
    token: bytes
    size: int
    ref: str
    path: Path
    begun_at: float
    heard_at: float
    moved_at: float
    """When something was asked for that had not been asked for before: a sign that what leaves arrives."""
    offer_at: float
    sent: int = 0
    """The end of the furthest piece that has left."""
    asked_to: int = 0
    """The end of the furthest piece that was asked for, since the depot began last."""
    complaints: int = 0
    full_since: float | None = None
    shown_at: float = 0.0
    silence_told: bool = False
    """Whether people were told that nothing is heard."""
    _file: int | None = field(default=None)

    def piece(self, offset: int, length: int) -> bytes:
        """Return bytes of the bundle; raise `FileChanged` when they are not there."""
        try:
            if self._file is None:
                self._file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            data = os.pread(self._file, length, offset)
        except OSError as error:
            raise FileChanged(f"its file cannot be read: {error.strerror}") from None
        if offset + length > self.size or len(data) != length:
            raise FileChanged("its file is shorter than it was when it was made")
        self.sent = max(self.sent, offset + length)
        return data

    def asked(self, offset: int, length: int, now: float) -> None:
        """Take note of what the depot asks for."""
        if offset + length > self.asked_to or offset + FLIGHT_BYTES < self.asked_to:
            self.asked_to = offset + length
            self.moved_at = now

    def content(self) -> bytes | None:
        """Return all of a bundle that is small enough to go with its offer; None for any other. `FileChanged` as `piece`."""
        return self.piece(0, self.size) if 0 < self.size <= limits.MAX_SMALL_BUNDLE_BYTES else None

    def due(self, now: float) -> bool:
        """Return whether it is to be offered now, and take note of that."""
        if now < self.offer_at:
            return False
        self.offer_at = now + QUIET_SECONDS
        return True

    def heard(self, now: float) -> None:
        """Take note of a word from the depot."""
        self.heard_at = now
        self.silence_told = False
        self.offer_at = max(self.offer_at, now + QUIET_SECONDS)

    def put_off(self, code: Code, retry_after: float, now: float) -> bool:
        """Offer it again after a refusal, when the depot wishes, or later each time its disk is full; return false when that was once too often."""
        if code is Code.DISK_FULL:
            self.full_since = now if self.full_since is None else self.full_since
            pause, patient = (
                min(retry_after * 2**self.complaints, LONGEST_FULL_PAUSE),
                now < self.full_since + FULL_SECONDS,
            )
        else:
            pause, patient = retry_after, self.complaints < MAX_COMPLAINTS
        self.complaints += code is not Code.BUSY
        # It did answer; the wait is its own wish.
        self.offer_at = self.heard_at = self.moved_at = now + pause
        return patient

    def given_up(self, now: float) -> str | None:
        """Return why, where the depot was not heard for too long or what leaves does not arrive; None otherwise."""
        if now - self.heard_at > GIVE_UP_SECONDS:
            return "the depot does not answer"
        if now - self.moved_at > GIVE_UP_SECONDS:
            return "the depot answers, but nothing of the bundle reaches it: does the way there bear packets of full size (MTU)?"
        return None

    def tells_of_silence(self, now: float) -> bool:
        """Return whether it is time to say that the depot does not answer, and take note of that: once in a silence."""
        if self.silence_told or now - self.heard_at < QUIET_SECONDS:
            return False
        self.silence_told = True
        return True

    def shows(self, now: float) -> bool:
        """Return whether it is time to say how much has left, and take note of that."""
        if self.size < SHOWN_BYTES or (now - self.shown_at < SHOW_SECONDS and self.sent < self.size):
            return False
        self.shown_at = now
        return True

    def seconds_left(self, now: float) -> float | None:
        """Return how long the rest may take at the rate so far; None while there is none."""
        spent = now - self.begun_at
        return (self.size - self.sent) * spent / self.sent if self.sent and spent > 0 else None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
