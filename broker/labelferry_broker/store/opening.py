"""How a ledger's place is taken and its file opened, before anything is known of its rows."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from labelferry_broker.store.lock import Lock
from labelferry_protocol.errors import Code, Refusal


def own(directory: Path) -> Lock:
    """Return the right to a state directory, which is made when it is missing; raise `Refusal(STORE)` when another broker has it, or it cannot be used."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Lock(directory)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Refusal(Code.STORE, f"the state directory {directory} cannot be used: {reason}") from None


def open_sqlite(path: Path, busy_seconds: float) -> sa.Engine:
    """Return the engine of a ledger file, whose every commit reaches the disk."""
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # a reply must outlive a power cut, not only a crash
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    return engine
