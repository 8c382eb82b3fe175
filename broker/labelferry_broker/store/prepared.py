"""A statement that is made ready once, for what is asked in every turn: its text and the order of its values.

It goes to the driver's own cursor, inside whatever transaction the connection is in; what the driver raises comes as SQLAlchemy's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
        if not records:
            return 0
        text, order = self._made_for(connection.dialect)
        with _cursor(connection, text) as cursor:
            cursor.executemany(text, [_values(record, order) for record in records])
            return int(cursor.rowcount)

    def read(self, connection: sa.Connection, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the records that it finds."""
        text, order = self._made_for(connection.dialect)
        with _cursor(connection, text) as cursor:
            cursor.execute(text, _values(values, order))
            found = cursor.fetchall()
            names = [column[0] for column in cursor.description]
        return [dict(zip(names, record, strict=True)) for record in found]

    def _made_for(self, dialect: sa.Dialect) -> tuple[str, Sequence[str] | None]:
        ready = self._ready.get(dialect.name)
        if ready is None:
            compiled = self._statement.compile(dialect=dialect, column_keys=self._columns or None)
            assert isinstance(compiled, sa.sql.compiler.SQLCompiler)  # noqa: S101 - as every statement with values
            ready = self._ready[dialect.name] = (str(compiled), compiled.positiontup)
        return ready


@contextmanager
def _cursor(connection: sa.Connection, text: str) -> Iterator[Any]:
    errors = connection.dialect.loaded_dbapi.Error
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except errors as error:
        raise sa.exc.DBAPIError.instance(text, None, error, errors, dialect=connection.dialect) from error
    finally:
        cursor.close()


def _values(record: Mapping[str, Any], order: Sequence[str] | None) -> Any:
    """Return a record's values in the order in which the database wants them; by name where it wants that."""
    return dict(record) if order is None else tuple(record[name] for name in order)
