"""How the tables came to be: a literal list of steps, each a schema version. A step, once released, never changes.

A ledger file says in `meta` how many steps it has taken; opening it takes the rest, each step in a transaction of its own.
To add one: append its statements (SQL that SQLite and PostgreSQL both take), change `tables.py` alike, and let
`tests/store` keep a file of the version before.
"""

from collections.abc import Callable

import sqlalchemy as sa

from labelferry_broker.store.diverged import Damaged
from labelferry_protocol.errors import Code, Refusal

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE jobs (
            job_id TEXT NOT NULL PRIMARY KEY,
            number BIGINT NOT NULL UNIQUE,
            owner TEXT NOT NULL,
            idempotency_key TEXT NOT NULL,
            project TEXT NOT NULL,
            source TEXT NOT NULL,
            options TEXT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            state TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            worker_id TEXT,
            worker_user TEXT,
            seq_reserved BIGINT NOT NULL,
            reasons TEXT NOT NULL,
            cancel TEXT,
            started TEXT,
            progress TEXT,
            terminal TEXT,
            finished_at DOUBLE PRECISION,
            bundle TEXT,
            bundle_attempt INTEGER,
            counts TEXT,
            UNIQUE (owner, idempotency_key)
        )""",
        "CREATE INDEX jobs_of_owner ON jobs (owner, number)",
        "CREATE INDEX jobs_by_state ON jobs (state, owner)",
        """CREATE TABLE attempts (
            job_id TEXT NOT NULL REFERENCES jobs (job_id),
            attempt INTEGER NOT NULL,
            worker_id TEXT NOT NULL,
            worker_user TEXT NOT NULL,
            host TEXT NOT NULL,
            leased_at DOUBLE PRECISION NOT NULL,
            ended_at DOUBLE PRECISION,
            outcome TEXT NOT NULL,
            reason TEXT NOT NULL,
            PRIMARY KEY (job_id, attempt)
        )""",
        """CREATE TABLE transfers (
            transfer_id TEXT NOT NULL PRIMARY KEY,
            number BIGINT NOT NULL UNIQUE,
            job_id TEXT NOT NULL REFERENCES jobs (job_id),
            user_name TEXT NOT NULL,
            started_at DOUBLE PRECISION NOT NULL,
            updated_at DOUBLE PRECISION NOT NULL,
            received BIGINT NOT NULL,
            size BIGINT NOT NULL,
            state TEXT NOT NULL
        )""",
        "CREATE INDEX transfers_of_job ON transfers (job_id, number)",
        """CREATE TABLE templates (
            owner TEXT NOT NULL,
            name TEXT NOT NULL,
            options TEXT NOT NULL,
            saved_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (owner, name)
        )""",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN retry_at DOUBLE PRECISION",
        "CREATE INDEX jobs_with_bundle ON jobs (finished_at, number) WHERE bundle_attempt IS NOT NULL",
    ),
)

SCHEMA = len(STEPS)
"""The schema version that this code reads and writes."""

_META = "CREATE TABLE IF NOT EXISTS meta (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)"


def migrate(
    connection: sa.Connection, steps: tuple[tuple[str, ...], ...] = STEPS, may_begin: Callable[[], None] = lambda: None
) -> None:
    """Bring the tables to the version of `steps`; `connection` is in autocommit mode. `may_begin` is called before the first step, and raises where there must be tables already.

    Raises `Refusal(STORE)` for tables of a newer version, `Damaged` for those of no version at all: they are left as they are.
    """
    connection.exec_driver_sql(_META)
    version = connection.exec_driver_sql("SELECT value FROM meta WHERE name = 'schema'").scalar() or 0
    if not isinstance(version, int) or version < 0:
        raise Damaged(f"its schema is {version!r}")
    if version > len(steps):
        raise Refusal(
            Code.STORE,
            f"this ledger was written by a newer labelferry (its schema is {version}, this one knows {len(steps)}): update labelferry here",
        )
    if version == 0:
        may_begin()
    for step in range(version, len(steps)):
        connection.exec_driver_sql("BEGIN")
        try:
            for statement in steps[step]:
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql("DELETE FROM meta WHERE name = 'schema'")
            connection.exec_driver_sql(f"INSERT INTO meta (name, value) VALUES ('schema', {step + 1})")  # noqa: S608 - a number of our own
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
