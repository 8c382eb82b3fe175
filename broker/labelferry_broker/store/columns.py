"""Rows to columns and back. What has parts of its own becomes JSON, which a person can read with any SQL shell.

What makes a row raises `ValueError` where a record holds anything that its row cannot.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from labelferry_broker.ledger.rows import AttemptRow, BundleRow, CancelMark, JobRow, TemplateRow, TransferRow
from labelferry_protocol.events import BundleFacts, Cancelled, Completed, ExportCounts, Failed, Progress, Started
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.words import State

R = TypeVar("R", bound=msgspec.Struct)
Columns = dict[str, Any]

FIXED = ("job_id", "number", "owner", "idempotency_key", "project", "source", "options", "created_at")
"""Columns of a job that never change."""
_JSON: dict[str, Any] = {
    "source": Source,
    "options": ExportOptions,
    "reasons": tuple[str, ...],
    "cancel": CancelMark,
    "started": Started,
    "progress": Progress,
    "terminal": Completed | Failed | Cancelled,
    "bundle": BundleFacts,
    "counts": ExportCounts,
}
_JOB_FIELDS = JobRow.__struct_fields__
CHANGING = tuple(name for name in _JOB_FIELDS if name not in FIXED)
"""Columns of a job that may change."""
_encode = msgspec.json.Encoder().encode


def job_columns(row: JobRow) -> Columns:
    """Return all columns of a job."""
    return {name: _out(name, getattr(row, name)) for name in _JOB_FIELDS}


def changing_columns(row: JobRow) -> Columns:
    """Return the columns of a job that may change."""
    return {name: _out(name, getattr(row, name)) for name in CHANGING}


def job_row(columns: Mapping[str, Any]) -> JobRow:
    """Return the job in a record of `jobs`."""
    return _row(JobRow, columns)


def bundle_row(columns: Mapping[str, Any]) -> BundleRow:
    """Return the bundle of the job in a record of `jobs`, which has one."""
    row = job_row(columns)
    if row.bundle is None:
        raise ValueError("bundle: there is none, though it is kept")
    return BundleRow(row.job_id, row.finished_at or 0.0, row.bundle.size)


def attempt_columns(row: AttemptRow) -> Columns:
    """Return the columns of an attempt."""
    return msgspec.structs.asdict(row) | {"outcome": row.outcome.value}


def attempt_row(columns: Mapping[str, Any]) -> AttemptRow:
    """Return the attempt in a record of `attempts`."""
    return _row(AttemptRow, columns)


def transfer_columns(row: TransferRow) -> Columns:
    """Return the columns of a transfer."""
    columns = msgspec.structs.asdict(row) | {"state": row.state.value, "user_name": row.user}
    del columns["user"]
    return columns


def transfer_row(columns: Mapping[str, Any]) -> TransferRow:
    """Return the transfer in a record of `transfers`."""
    return _row(TransferRow, {**columns, "user": columns["user_name"]})


def template_columns(row: TemplateRow) -> Columns:
    """Return the columns of a template."""
    return msgspec.structs.asdict(row) | {"options": _out("options", row.options)}


def template_row(columns: Mapping[str, Any]) -> TemplateRow:
    """Return the template in a record of `templates`."""
    return _row(TemplateRow, columns)


def state_count(columns: Mapping[str, Any]) -> tuple[State, int]:
    """Return a state, and how many jobs are in it, of a record of the columns `state` and `jobs`."""
    return State(columns["state"]), columns["jobs"]


def number(columns: Mapping[str, Any]) -> int:
    """Return the number in a record of the column `number`."""
    return msgspec.convert(columns["number"], int)


def _row(kind: type[R], columns: Mapping[str, Any]) -> R:
    return msgspec.convert({name: _in(name, columns[name]) for name in kind.__struct_fields__}, kind)


def _out(name: str, value: Any) -> Any:
    if name in _JSON and value is not None:
        return _encode(value).decode()
    return value.value if isinstance(value, State) else value


def _in(name: str, value: Any) -> Any:
    if name not in _JSON or value is None:
        return value
    try:
        return _decoder(name).decode(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: {error}") from error


@cache
def _decoder(name: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_JSON[name])
