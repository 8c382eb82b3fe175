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
from labelferry_broker.ledger.rows import JobRow, Outcome, TemplateRow
from labelferry_broker.store import columns
from labelferry_broker.store.diverged import Diverged
from labelferry_broker.store.prepared import Prepared
from labelferry_broker.store.tables import ATTEMPTS, JOBS, META, TEMPLATES, TRANSFERS

CHECK_EPOCH = Prepared(
    sa.update(META).where(META.c.name == sa.bindparam("called"), META.c.value == sa.bindparam("believed")),
    columns=["value"],
)
ADD_JOB = Prepared(sa.insert(JOBS), columns=JOBS.columns.keys())
ADD_ATTEMPT = Prepared(sa.insert(ATTEMPTS), columns=ATTEMPTS.columns.keys())
UPDATE_JOB = Prepared(
    sa.update(JOBS).where(JOBS.c.job_id == sa.bindparam("the_job"), JOBS.c.state == sa.bindparam("previous")),
    columns=columns.CHANGING,
)
END_ATTEMPT = Prepared(
    sa.update(ATTEMPTS).where(
        ATTEMPTS.c.job_id == sa.bindparam("the_job"),
        ATTEMPTS.c.attempt == sa.bindparam("the_attempt"),
        ATTEMPTS.c.outcome == sa.bindparam("leased"),
    ),
    columns=["ended_at", "outcome", "reason"],
)
DROP_TRANSFER = sa.delete(TRANSFERS).where(TRANSFERS.c.transfer_id == sa.bindparam("the_transfer"))
DROP_TEMPLATE = sa.delete(TEMPLATES).where(
    TEMPLATES.c.owner == sa.bindparam("whose"), TEMPLATES.c.name == sa.bindparam("called")
)


def write_turn(connection: sa.Connection, epoch: int, saves: Sequence[Save]) -> None:
    """Write what a turn has decided, inside the caller's transaction; raise `Diverged` where a row is not as believed."""
    _check_epoch(connection, epoch)
    added, changed = _jobs(saves)
    jobs = [columns.job_columns(row) for row in added.values()]
    updates = [_update(save) for save in changed.values()]
    attempts = [columns.attempt_columns(save.row) for save in saves if isinstance(save, AddAttempt)]
    ends = [_end(save) for save in saves if isinstance(save, EndAttempt)]
    ADD_JOB.write(connection, jobs)
    _write_conditional(connection, UPDATE_JOB, updates, "a job is not in the state")
    ADD_ATTEMPT.write(connection, attempts)
    _write_conditional(connection, END_ATTEMPT, ends, "an attempt has ended already, not as")
    _write_transfers(connection, saves)
    _write_templates(connection, saves)


def _jobs(saves: Sequence[Save]) -> tuple[dict[str, JobRow], dict[str, UpdateJob]]:
    """Return the turn's new jobs and changed jobs, each once: from what it was before the turn to what it is after."""
    added: dict[str, JobRow] = {}
    changed: dict[str, UpdateJob] = {}
    for save in saves:
        if isinstance(save, AddJob):
            added[save.row.job_id] = save.row
        elif isinstance(save, UpdateJob):
            job_id = save.row.job_id
            if job_id in added:
                added[job_id] = save.row
            else:
                before = changed.get(job_id, save).previous
                changed[job_id] = UpdateJob(before, save.row)
    return added, changed


def _check_epoch(connection: sa.Connection, epoch: int) -> None:
    if CHECK_EPOCH.write(connection, [{"called": "epoch", "believed": epoch, "value": epoch}]) != 1:
        raise Diverged("another broker has begun on this ledger since: this one must stop")


def _write(connection: sa.Connection, statement: sa.Executable, records: list[columns.Columns]) -> None:
    if records:
        connection.execute(statement, records)


def _write_conditional(
    connection: sa.Connection, statement: Prepared, records: list[columns.Columns], trouble: str
) -> None:
    if statement.write(connection, records) != len(records):
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
        "leased": Outcome.LEASED.value,
        "reason": save.reason,
    }
