"""One turn of the ledger as SQL: in the order in which rows depend on one another, each kind in one batch."""

from collections.abc import Sequence

import sqlalchemy as sa

from labelferry_broker.ledger.effects import (
    AddAttempt,
    AddJob,
    DropTemplate,
    EndAttempt,
    Save,
    SaveTemplate,
    SaveTransfer,
    UpdateJob,
)
from labelferry_broker.ledger.rows import Outcome, TemplateRow
from labelferry_broker.store import columns
from labelferry_broker.store.diverged import Diverged
from labelferry_broker.store.tables import ATTEMPTS, JOBS, META, TEMPLATES, TRANSFERS

CHECK_EPOCH = (
    sa.update(META)
    .where(META.c.name == "epoch", META.c.value == sa.bindparam("believed"))
    .values(value=sa.bindparam("believed"))
)
ADD_JOB, ADD_ATTEMPT = sa.insert(JOBS), sa.insert(ATTEMPTS)
UPDATE_JOB = sa.update(JOBS).where(JOBS.c.job_id == sa.bindparam("the_job"), JOBS.c.state == sa.bindparam("previous"))
END_ATTEMPT = sa.update(ATTEMPTS).where(
    ATTEMPTS.c.job_id == sa.bindparam("the_job"),
    ATTEMPTS.c.attempt == sa.bindparam("the_attempt"),
    ATTEMPTS.c.outcome == Outcome.LEASED.value,
)
DROP_TRANSFER = sa.delete(TRANSFERS).where(TRANSFERS.c.transfer_id == sa.bindparam("the_transfer"))
DROP_TEMPLATE = sa.delete(TEMPLATES).where(
    TEMPLATES.c.owner == sa.bindparam("whose"), TEMPLATES.c.name == sa.bindparam("called")
)


def write_turn(connection: sa.Connection, epoch: int, saves: Sequence[Save]) -> None:
    """Write what a turn has decided, inside the caller's transaction; raise `Diverged` where a row is not as believed."""
    _check_epoch(connection, epoch)
    jobs = [columns.job_columns(save.row) for save in saves if isinstance(save, AddJob)]
    updates = [_update(save) for save in saves if isinstance(save, UpdateJob)]
    attempts = [columns.attempt_columns(save.row) for save in saves if isinstance(save, AddAttempt)]
    ends = [_end(save) for save in saves if isinstance(save, EndAttempt)]
    _write(connection, ADD_JOB, jobs)
    _write_conditional(connection, UPDATE_JOB, updates, "a job is not in the state")
    _write(connection, ADD_ATTEMPT, attempts)
    _write_conditional(connection, END_ATTEMPT, ends, "an attempt has ended already, not as")
    _write_transfers(connection, saves)
    _write_templates(connection, saves)


def _check_epoch(connection: sa.Connection, epoch: int) -> None:
    if connection.execute(CHECK_EPOCH, {"believed": epoch}).rowcount != 1:
        raise Diverged("another broker has begun on this ledger since: this one must stop")


def _write(connection: sa.Connection, statement: sa.Executable, records: list[columns.Columns]) -> None:
    if records:
        connection.execute(statement, records)


def _write_conditional(
    connection: sa.Connection, statement: sa.Update, records: list[columns.Columns], trouble: str
) -> None:
    if records and connection.execute(statement, records).rowcount != len(records):
        raise Diverged(f"{trouble} that the broker believed: it must stop")


def _write_transfers(connection: sa.Connection, saves: Sequence[Save]) -> None:
    """Replace transfers, each by its last row of the turn (no upsert is the same in every database)."""
    rows = {save.row.transfer_id: save.row for save in saves if isinstance(save, SaveTransfer)}
    _write(connection, DROP_TRANSFER, [{"the_transfer": transfer_id} for transfer_id in rows])
    _write(connection, sa.insert(TRANSFERS), [columns.transfer_columns(row) for row in rows.values()])


def _write_templates(connection: sa.Connection, saves: Sequence[Save]) -> None:
    rows: dict[tuple[str, str], TemplateRow | None] = {}
    for save in saves:
        if isinstance(save, SaveTemplate):
            rows[save.row.owner, save.row.name] = save.row
        elif isinstance(save, DropTemplate):
            rows[save.owner, save.name] = None
    _write(connection, DROP_TEMPLATE, [{"whose": owner, "called": name} for owner, name in rows])
    _write(connection, sa.insert(TEMPLATES), [columns.template_columns(row) for row in rows.values() if row])


def _update(save: UpdateJob) -> columns.Columns:
    return columns.changing_columns(save.row) | {"the_job": save.row.job_id, "previous": save.previous.value}


def _end(save: EndAttempt) -> columns.Columns:
    return {
        "the_job": save.job_id,
        "the_attempt": save.attempt,
        "ended_at": save.ended_at,
        "outcome": save.outcome.value,
        "reason": save.reason,
    }
