"""A statement that is made ready once, for what is asked in every turn: its text and the order of its values, past the compiler."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa


class Prepared:
    """One statement whose values are all named; `columns` are those that an insert or update sets. Values are passed as they are."""

    def __init__(self, statement: sa.Select[Any] | sa.Insert | sa.Update, columns: Iterable[str] = ()) -> None:
        self._statement = statement
        self._columns = list(columns)
        self._ready: dict[str, tuple[str, Sequence[str] | None]] = {}

    def write(self, connection: sa.Connection, records: Sequence[Mapping[str, Any]]) -> int:
        """Execute it for each record; return how many rows that made or changed."""
        text, order = self._made_for(connection.dialect)
        return connection.exec_driver_sql(text, [_values(record, order) for record in records]).rowcount

    def read(self, connection: sa.Connection, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the records that it finds."""
        text, order = self._made_for(connection.dialect)
        return [dict(record) for record in connection.exec_driver_sql(text, _values(values, order)).mappings()]

    def _made_for(self, dialect: sa.Dialect) -> tuple[str, Sequence[str] | None]:
        ready = self._ready.get(dialect.name)
        if ready is None:
            compiled = self._statement.compile(dialect=dialect, column_keys=self._columns or None)
            assert isinstance(compiled, sa.sql.compiler.SQLCompiler)  # noqa: S101 - as every statement with values
            ready = self._ready[dialect.name] = (str(compiled), compiled.positiontup)
        return ready


def _values(record: Mapping[str, Any], order: Sequence[str] | None) -> Any:
    """Return a record's values in the order in which the database wants them; by name where it wants that."""
    return dict(record) if order is None else tuple(record[name] for name in order)
