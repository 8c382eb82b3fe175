"""Ledgers of earlier and later versions: read, migrated once, or refused and left alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from labelferry_broker.ledger.rows import AttemptRow, JobRow, TemplateRow
from labelferry_broker.store.migrations import SCHEMA, STEPS, migrate
from labelferry_broker.store.store import FILE, Store
from labelferry_broker.store.tables import ATTEMPTS, JOBS, METADATA, TEMPLATES
from labelferry_protocol.errors import Code, Refusal

FIRST_VERSION = """
INSERT INTO jobs VALUES ('00000000000000000000000000000001', 1, 'ada', 'key', 'nuclei', '{"location":"/data/nuclei"}',
    '{"scale":0.5,"formats":["coco"]}', 1700000000.5, 'running', 1, '11111111111111111111111111111111', 'crew', 1024,
    '["attempt 0: never"]', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO attempts VALUES ('00000000000000000000000000000001', 1, '11111111111111111111111111111111', 'crew', 'host',
    1700000001.5, NULL, 'leased', '');
INSERT INTO templates VALUES ('ada', 'paper', '{"scale":2.0}', 1700000002.5);
INSERT INTO meta VALUES ('epoch', 41);
"""
"""What a ledger of schema 1 may hold."""


def made_by(version: int, directory: Path, content: str) -> None:
    """Make a ledger file as the code of a version did."""
    engine = sa.create_engine(f"sqlite:///{directory / FILE}")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        migrate(connection, STEPS[:version])
    engine.dispose()
    with closing(sqlite3.connect(directory / FILE)) as file:
        file.executescript(content)


def test_a_ledger_of_the_first_version_is_read(tmp_path: Path) -> None:
    made_by(1, tmp_path, FIRST_VERSION)
    store = Store.open(tmp_path)
    (job,) = store.load().jobs
    assert (job.source.location, job.options.scale, job.options.formats) == ("/data/nuclei", 0.5, ("coco",))
    assert (job.seq_reserved, job.reasons) == (1024, ("attempt 0: never",))
    attempt = store.attempt(job.job_id, 1)
    assert attempt is not None
    assert attempt.host == "host"
    template = store.template("ada", "paper")
    assert template is not None
    assert template.options.scale == 2.0
    assert store.epoch == 42
    store.close()


def test_a_ledger_is_migrated_once(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    Store.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        assert file.execute("SELECT value FROM meta WHERE name = 'schema'").fetchall() == [(SCHEMA,)]


def test_a_ledger_of_a_newer_labelferry_is_refused_and_left_alone(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as file, file:
        file.execute("UPDATE meta SET value = 999 WHERE name = 'schema'")
    with pytest.raises(Refusal, match="update labelferry") as refused:
        Store.open(tmp_path)
    assert refused.value.code is Code.STORE
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        assert file.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone() == (1,)


@pytest.mark.parametrize("version", [-3, "two"])
def test_a_ledger_of_no_version_at_all_is_damaged(tmp_path: Path, version: object) -> None:
    Store.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as file, file:
        file.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (version,))
    with pytest.raises(
        Refusal, match=r"ledger\.sqlite3 is damaged \(its schema is .*\): put a copy of it back"
    ) as refused:
        Store.open(tmp_path)
    assert refused.value.code is Code.STORE


def test_a_step_that_fails_leaves_the_version_before(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / FILE}")
    broken = (*STEPS, ("CREATE TABLE extra (x INTEGER)", "THIS IS NOT SQL"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        with pytest.raises(sa.exc.OperationalError):
            migrate(connection, broken)
        assert "extra" not in sa.inspect(engine).get_table_names()
        migrate(connection, (*STEPS, ("CREATE TABLE extra (x INTEGER)",)))
        assert "extra" in sa.inspect(engine).get_table_names()
    engine.dispose()


def test_the_migrated_tables_are_those_that_queries_see(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / FILE}")
    found = sa.inspect(engine)
    assert set(found.get_table_names()) == set(METADATA.tables)
    for name, table in METADATA.tables.items():
        columns = {column["name"]: column["nullable"] for column in found.get_columns(name)}
        assert columns == {column.name: column.nullable for column in table.columns}
        assert found.get_pk_constraint(name)["constrained_columns"] == [key.name for key in table.primary_key]
    engine.dispose()


def test_every_field_of_a_row_has_its_column() -> None:
    for row, table in ((JobRow, JOBS), (AttemptRow, ATTEMPTS), (TemplateRow, TEMPLATES)):
        assert set(row.__struct_fields__) == {column.name for column in table.columns}
