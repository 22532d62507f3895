"""Transactions, the schema's version, and what a store that cannot be used says."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from aqm.errors import StoreError
from aqm.storage import indexes, migrate, tables
from aqm.storage.database import Database
from tests.storage.conftest import AddTask


def test_the_head_that_the_code_expects_is_the_newest_migration():
    scripts = ScriptDirectory(str(migrate.scripts()))
    assert scripts.get_current_head() == migrate.HEAD


def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database):
    with database.writing() as connection:
        assert compare_metadata(MigrationContext.configure(connection), indexes.metadata) == []


def test_a_reading_transaction_cannot_write(database: Database):
    with pytest.raises(DBAPIError), database.reading() as connection:
        connection.execute(text("delete from projects"))


def test_a_transaction_that_raises_changes_nothing(database: Database, add_task: AddTask):
    add_task()

    def broken() -> None:
        with database.writing() as connection:
            connection.execute(update(tables.tasks).values(status="failed"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    with database.reading() as connection:
        assert connection.execute(select(tables.tasks.c.status)).scalar_one() == "pending"


def test_a_new_file_is_migrated_once_however_many_open_it_at_once(tmp_path: Path):
    failed: list[Exception] = []
    barrier = threading.Barrier(4)

    def open_it() -> None:
        database = Database(f"sqlite:///{tmp_path / 'aqm.db'}")
        barrier.wait()
        try:
            migrate.ensure(database)
        except Exception as error:
            failed.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_schema_newer_than_the_code_is_refused_with_the_cure(database: Database):
    with database.writing() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(StoreError, match="newer than this version's"):
        migrate.ensure(database)


def test_a_server_s_database_that_was_never_migrated_is_refused_with_the_command(postgres_url: str):
    database = Database(postgres_url)
    with pytest.raises(StoreError, match="aqm db upgrade"):
        migrate.ensure(database)
    database.close()


def test_a_file_that_is_no_database_is_named_in_one_sentence(tmp_path: Path):
    path = tmp_path / "aqm.db"
    path.write_text("not a database, " * 100)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(StoreError, match=r"aqm\.db cannot be used"):
        migrate.ensure(database)
    database.close()
